"""Drop path: leaving out a branch for some images of a batch (Larsson et al., FractalNet, ICLR 2017)."""

from __future__ import annotations

import keras
import tensorflow as tf

from fairdarts_tf.data.generator import GENERATOR
from fairdarts_tf.replicas import count_replicas, replica_index


@keras.saving.register_keras_serializable("fairdarts_tf")
class DropPath(keras.layers.Layer):
    """Sets the whole tensor of an image to 0 with probability `rate`, and scales the others up by 1 / (1 - rate).

    The rate is a variable, so that training can raise it from epoch to epoch without tracing its step anew. In
    inference nothing is dropped.

    What is dropped is a function of the seed, the number of the call and the image's place in the batch of all
    replicas, each of which has an equal part: it does not depend on how many there are.

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
        kept = self._draw(tf.shape(inputs)[0]) < keep
        factors = tf.cast(tf.cast(kept, tf.float32) / keep, inputs.dtype)
        return inputs * factors[:, tf.newaxis, tf.newaxis, tf.newaxis]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"seed": self.seed}

    def _draw(self, count: tf.Tensor) -> tf.Tensor:
        """Draws a number from 0 to 1 for each image of the whole batch, and returns those of this replica's part."""
        seed = tf.cast(self.seed_generator.next(), tf.int64)
        drawn = tf.random.stateless_uniform([count * count_replicas()], seed, alg=GENERATOR)
        return drawn[replica_index() * count :][:count]
