"""The auxiliary head: a second classifier after the second reduction, in training only."""

from __future__ import annotations

import keras
import tensorflow as tf

from fairdarts_tf.cells import ConvolutionBlock
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.normalization import BatchNormalization


@keras.saving.register_keras_serializable("fairdarts_tf")
class AuxiliaryHead(keras.layers.Layer):
    """ReLU, average pooling, 1x1 convolution to 128, 2x2 convolution to 768, linear (DARTS' training of found cells).

    BatchNorm and ReLU follow each convolution. The pooling's stride brings the image to 2 x 2 pixels: 3 from the 8 x 8
    of CIFAR-10, 2 from the 7 x 7 of ImageNet.

    Args:
        num_classes: Number of classes.
        stride: Of the 5x5 pooling. Defaults to 3.
    """

    def __init__(self, num_classes: int, stride: int = 3, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)
        self.num_classes = num_classes
        self.stride = stride

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates all weights for images (batch, height, width, channels).

        Raises:
            ConfigurationError: When the pooling would leave less than 2 x 2 pixels.
        """
        least = 5 + self.stride
        if min(side or least for side in input_shape[1:3]) < least:
            raise ConfigurationError(
                f"the auxiliary head needs states of {least} x {least} pixels after the second reduction, but gets "
                f"{input_shape[1]} x {input_shape[2]}. Enlarge the images with --image_size, or train without it: "
                "--auxiliary_weight=0."
            )
        policy = {"dtype": self.dtype_policy}
        self.narrow = ConvolutionBlock(128, activate=False, affine=True, name="narrow", **policy)
        self.narrow.build((None, None, None, input_shape[-1]))
        self.kernel = self.add_weight(name="kernel", shape=(2, 2, 128, 768), initializer=FanInUniform(2 * 2 * 128))
        self.normalization = BatchNormalization(affine=True, name="normalization", **policy)
        self.normalization.build([(None, None, None, 768)])
        dtype = "float64" if self.variable_dtype == "float64" else "float32"
        self.classifier = keras.layers.Dense(
            self.num_classes,
            kernel_initializer=FanInUniform(768),
            bias_initializer=FanInUniform(768),
            name="classifier",
            dtype=dtype,
        )
        self.classifier.build((None, 768))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns logits, (batch, num_classes)."""
        x = tf.nn.avg_pool2d(tf.nn.relu(inputs), 5, self.stride, "VALID")
        x = tf.nn.relu(self.narrow(x, training=training))
        x = tf.nn.conv2d(x, tf.cast(tf.convert_to_tensor(self.kernel), x.dtype), 1, "VALID")
        x = tf.nn.relu(self.normalization([x], training=training)[0])
        # On 2 x 2 pixels one position is left; on larger images their mean stands for it.
        return self.classifier(tf.cast(tf.reduce_mean(x, axis=[1, 2]), self.classifier.compute_dtype))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the logits."""
        return (input_shape[0], self.num_classes)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"num_classes": self.num_classes, "stride": self.stride}
