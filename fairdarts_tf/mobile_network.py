"""The found network of search space S2: a chain of inverted bottlenecks, trained from scratch."""

from __future__ import annotations

import json

import keras
import tensorflow as tf

from fairdarts_tf.bottlenecks import ConvolutionUnit, InvertedBottleneck
from fairdarts_tf.drop_path import DropPath
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import SKIP
from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.mobile_genotypes import MobileGenotype, MobileLayer, bottleneck


@keras.saving.register_keras_serializable("fairdarts_tf")
class FoundLayer(keras.layers.Layer):
    """The inverted bottleneck that a genotype has at a layer, with its residual connection where the shape is kept.

    Args:
        filters: Channels of the output.
        kernel_size: Side of the depthwise kernel.
        expansion: Of the bottleneck.
        stride: 1 or 2.

    Call arguments:
        inputs: (batch, height, width, channels).
        training: Whether BatchNorm uses the batch's statistics, and the bottleneck is dropped for some images.
    """

    def __init__(self, filters: int, kernel_size: int, expansion: int, stride: int, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)
        self.block = InvertedBottleneck(filters, kernel_size, expansion, stride, name="block", dtype=self.dtype_policy)
        self.drop_path: DropPath | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the bottleneck, and drop path beside a residual connection."""
        self.block.build(tuple(input_shape))
        if self.block.keeps_shape:
            self.drop_path = DropPath(name="drop_path", dtype=self.dtype_policy)
            self.drop_path.build(tuple(input_shape))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns (batch, ceil(height / stride), ceil(width / stride), filters)."""
        x = self.block(inputs, training=training)
        return x if self.drop_path is None else self.drop_path(x, training=training) + inputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the output."""
        return self.block.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        names = ("filters", "kernel_size", "expansion", "stride")
        return super().get_config() | {name: getattr(self.block, name) for name in names}


@keras.saving.register_keras_serializable("fairdarts_tf")
class MobileNetwork(keras.Model):
    """Stem, fixed block, the layers of a genotype, 1x1 convolution, global average pooling and a linear classifier.

    Args:
        genotype: Its layers, with their widths and strides.
        num_classes: Number of classes.

    Call arguments:
        images: (batch, height, width, channels), normalised.
        training: Whether BatchNorm uses the batch's statistics, and paths are dropped.

    Returns:
        Logits, (batch, num_classes), at least float32.

    Example:
        >>> genotype = fd.MobileGenotype(stages=[(8, 2, ["mbconv3_3x3", "skip_connect"])], head_width=16)
        >>> fd.MobileNetwork(genotype, num_classes=10)(np.zeros((4, 32, 32, 3), "float32")).shape
        TensorShape([4, 10])
    """

    def __init__(self, genotype: MobileGenotype, num_classes: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.genotype = genotype
        self.num_classes = num_classes
        policy = {"dtype": self.dtype_policy}
        self.stem = ConvolutionUnit(genotype.stem_width, 3, genotype.stem_stride, name="stem", **policy)
        self.first_block = InvertedBottleneck(genotype.first_width, expansion=1, name="first_block", **policy)
        self.found_layers = [_found(layer, policy) for layer in genotype.layers() if layer.operation != SKIP]
        self.head = ConvolutionUnit(genotype.head_width, name="head", **policy)
        self.classifier = keras.layers.Dense(num_classes, name="classifier", dtype=self._result_dtype)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds all layers for images (batch, height, width, channels).

        Raises:
            ConfigurationError: When the images are too small for the strides.
        """
        genotype = self.genotype
        least = 2 ** sum(stride == 2 for stride in (genotype.stem_stride, *(s.stride for s in genotype.stages)))
        if min(side or least for side in input_shape[1:3]) < least:
            raise ConfigurationError(
                f"images of {input_shape[1]} x {input_shape[2]} pixels are too small: the network halves them to "
                f"nothing. It needs at least {least} pixels a side; enlarge them with --image_size."
            )
        shape = tuple(input_shape)
        for layer in (self.stem, self.first_block, *self.found_layers, self.head):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.classifier.kernel_initializer = FanInUniform(shape[-1])
        self.classifier.bias_initializer = FanInUniform(shape[-1])
        self.classifier.build((None, shape[-1]))

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the logits of the images."""
        x = tf.cast(images, self.compute_dtype)
        for layer in (self.stem, self.first_block, *self.found_layers, self.head):
            x = layer(x, training=training)
        return self.classifier(tf.cast(tf.reduce_mean(x, axis=[1, 2]), self._result_dtype))

    def set_drop_path_rate(self, rate: float) -> None:
        """Sets the probability that a bottleneck beside a residual connection is dropped, in [0, 1)."""
        for layer in self.found_layers:
            if layer.drop_path is not None:
                layer.drop_path.rate.assign(rate)

    @property
    def training_variables(self) -> list[keras.Variable]:
        """The variables that only training has: those of drop path."""
        paths = [layer.drop_path for layer in self.found_layers if layer.drop_path is not None]
        return [variable for path in paths for variable in path.variables]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the logits."""
        return (input_shape[0], self.num_classes)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this model."""
        return super().get_config() | {
            "genotype": json.loads(self.genotype.to_json()),
            "num_classes": self.num_classes,
        }

    @classmethod
    def from_config(cls, config: dict[str, object]) -> MobileNetwork:
        """Rebuilds a model from `get_config`."""
        return cls(**config | {"genotype": MobileGenotype.from_json(json.dumps(config["genotype"]))})

    @property
    def _result_dtype(self) -> str:
        """Classifier and logits never fall below float32, whatever the layers compute in."""
        return "float64" if self.variable_dtype == "float64" else "float32"


def _found(layer: MobileLayer, policy: dict[str, object]) -> FoundLayer:
    choice = bottleneck(layer.operation)
    return FoundLayer(
        layer.width, choice.kernel, choice.expansion, layer.stride, name=f"layer_{layer.number}", **policy
    )
