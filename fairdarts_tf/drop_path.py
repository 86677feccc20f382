"""Drop path: leaving out a branch for some images of a batch (Larsson et al., FractalNet, ICLR 2017)."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("fairdarts_tf")
class DropPath(keras.layers.Layer):
    """Sets the whole tensor of an image to 0 with probability `rate`, and scales the others up by 1 / (1 - rate).

    The rate is a variable, so that training can raise it from epoch to epoch without tracing its step anew. In
    inference nothing is dropped.

    Args:
        seed: Of the generator, whose state is a variable too. Defaults to None: drawn from the global seed.

    Attributes:
        rate: The probability, a scalar variable that starts at 0; there once the layer is built.
    """

    def __init__(self, seed: int | None = None, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the rate and the generator's state, here, so that their names begin with the layer's."""
        self.seed_generator = keras.random.SeedGenerator(self.seed, name="seed_generator")
        self.rate = self.add_weight(
            name="rate", shape=(), initializer="zeros", trainable=False, dtype="float32", autocast=False
        )

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns (batch, height, width, channels) like the input."""
        if not training:
            return inputs
        keep = 1.0 - tf.convert_to_tensor(self.rate)
        shape = (tf.shape(inputs)[0], 1, 1, 1)
        kept = keras.random.uniform(shape, seed=self.seed_generator, dtype="float32") < keep
        return inputs * tf.cast(tf.cast(kept, tf.float32) / keep, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"seed": self.seed}
