"""What decides how long a layer of a found network takes: what it computes, on images of which shape."""

from __future__ import annotations

from typing import NamedTuple


class LayerShape(NamedTuple):
    """A layer of a found network by kind and shape, as a table of latencies has it.

    Attributes:
        kind: An operation of a genotype, or one of the names below.
        side: Side of the images that it reads, in pixels.
        inputs: Channels that it reads.
        outputs: Channels that it gives; of a classifier the classes.
        stride: 1 or 2.
    """

    kind: str
    side: int
    inputs: int
    outputs: int
    stride: int = 1

    def __str__(self) -> str:
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        return f"{self.kind} {self.side}x{self.side}x{self.inputs} to {self.outputs}{stride}"


PIXELS_CONV = "pixels_conv_3x3"
"""Bytes of pixels normalised, 3x3 convolution, BatchNorm: what every network begins with."""

PIXELS_CONV_RELU6 = "pixels_conv_3x3_relu6"
"""The same with ReLU6, in S2."""

FIRST_BLOCK = "first_block"
"""3x3 depthwise, ReLU6, 1x1 convolution without a residual connection: the fixed block of S2."""

CONV_RELU6 = "conv_1x1_relu6"
"""1x1 convolution, BatchNorm, ReLU6: the head of S2."""

RELU_CONV_3X3 = "relu_conv_3x3"
"""ReLU, 3x3 convolution, BatchNorm."""

RELU_CONV_1X1 = "relu_conv_1x1"
"""ReLU, 1x1 convolution, BatchNorm: what brings the output of a cell to the channels of another."""

FACTORIZED_REDUCE = "factorized_reduce"
"""The same for an image that is halved; also ``skip_connect`` of stride 2."""

SUM = "sum"
"""The addition of two images: what each input of a node but its first costs."""

CONCAT = "concat"
"""The concatenation of images, of `inputs` channels each, to `outputs` channels: the output of a cell."""

CLASSIFIER = "classifier"
"""Global average pooling, linear layer and softmax."""
