"""The layers of search space S2: convolutions with BatchNorm and ReLU6, and the inverted bottleneck (MobileNetV2).

An inverted bottleneck widens the image by a 1x1 convolution, filters it by a depthwise one and narrows it by a 1x1
convolution; BatchNorm follows each, and ReLU6 the first two (Sandler et al., CVPR 2018, section 3.4). Epsilon is 1e-3
everywhere.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from fairdarts_tf import convolutions
from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.normalization import BatchNormalization

EPSILON = 1e-3
"""Of every BatchNorm of S2."""


@keras.saving.register_keras_serializable("fairdarts_tf")
class ConvolutionUnit(keras.layers.Layer):
    """Convolution, BatchNorm (and ReLU6).

    Args:
        filters: Channels of the output; None for a depthwise convolution, which has those of its input.
        kernel_size: Side of the kernel, odd. Defaults to 1.
        stride: Defaults to 1.
        activate: Whether ReLU6 follows. Defaults to True.
        affine: Whether BatchNorm has a learned scale and offset. Defaults to True.

    Call arguments:
        inputs: (batch, height, width, channels).
        scale: A scalar that multiplies what BatchNorm gives. Defaults to None: 1. It costs no pass over memory.
        training: Whether BatchNorm uses the batch's statistics.

    Returns:
        (batch, ceil(height / stride), ceil(width / stride), filters).
    """

    def __init__(
        self,
        filters: int | None,
        kernel_size: int = 1,
        stride: int = 1,
        activate: bool = True,
        affine: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.activate = activate
        self.affine = affine

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the kernel and BatchNorm."""
        channels, area = input_shape[-1], self.kernel_size**2
        outputs, fan_in = (channels, area) if self.filters is None else (self.filters, area * channels)
        last = (channels, 1) if self.filters is None else (channels, self.filters)
        shape = (self.kernel_size, self.kernel_size, *last)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=FanInUniform(fan_in))
        self.normalization = BatchNormalization(
            affine=self.affine, epsilon=EPSILON, name="normalization", dtype=self.dtype_policy
        )
        self.normalization.build([(None, None, None, outputs)])

    def call(self, inputs: tf.Tensor, scale: tf.Tensor | None = None, training: bool | None = None) -> tf.Tensor:
        """Returns the normalised convolution of the inputs."""
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), inputs.dtype)
        if self.filters is None:
            x = convolutions.depthwise(inputs, kernel, self.stride)
        else:
            x = convolutions.convolution(inputs, kernel, (self.stride, self.stride))
        scales = None if scale is None else tf.broadcast_to(scale, [1, x.shape[-1]])
        (x,) = self.normalization([x], scales=scales, training=training)
        return tf.nn.relu6(x) if self.activate else x

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the output."""
        return convolutions.strided_shape(input_shape, self.stride, self.filters or input_shape[-1])

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "activate": self.activate,
            "affine": self.affine,
        }


@keras.saving.register_keras_serializable("fairdarts_tf")
class InvertedBottleneck(keras.layers.Layer):
    """1x1 convolution that widens, depthwise convolution, 1x1 convolution that narrows.

    The residual connection is the caller's: `keeps_shape` tells whether there is one.

    Args:
        filters: Channels of the output.
        kernel_size: Side of the depthwise kernel, odd. Defaults to 3.
        expansion: How many times the input's channels the depthwise convolution has; 1: nothing is widened. Defaults to
            6.
        stride: Of the depthwise convolution. Defaults to 1.
        affine: Whether BatchNorm has a learned scale and offset: no in a supernet, yes in a found network. Defaults to
            True.

    Call arguments:
        inputs: (batch, height, width, channels).
        scale: A scalar, the mixing weight; it multiplies the last BatchNorm. Defaults to None: 1.
        training: Whether BatchNorm uses the batch's statistics.

    Returns:
        (batch, ceil(height / stride), ceil(width / stride), filters).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        expansion: int = 6,
        stride: int = 1,
        affine: bool = True,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.expansion = expansion
        self.stride = stride
        self.affine = affine

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the convolutions."""
        channels = input_shape[-1]
        wide = self.expansion * channels
        options = {"affine": self.affine, "dtype": self.dtype_policy}
        self.expand = ConvolutionUnit(wide, name="expand", **options) if self.expansion > 1 else None
        self.depthwise = ConvolutionUnit(None, self.kernel_size, self.stride, name="depthwise", **options)
        self.project = ConvolutionUnit(self.filters, activate=False, name="project", **options)
        if self.expand is not None:
            self.expand.build(tuple(input_shape))
        self.depthwise.build((*input_shape[:-1], wide))
        self.project.build((None, None, None, wide))
        self.keeps_shape = self.stride == 1 and channels == self.filters

    def call(self, inputs: tf.Tensor, scale: tf.Tensor | None = None, training: bool | None = None) -> tf.Tensor:
        """Returns the block's output, without a residual connection."""
        x = inputs if self.expand is None else self.expand(inputs, training=training)
        return self.project(self.depthwise(x, training=training), scale=scale, training=training)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the output."""
        return convolutions.strided_shape(input_shape, self.stride, self.filters)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "expansion": self.expansion,
            "stride": self.stride,
            "affine": self.affine,
        }
