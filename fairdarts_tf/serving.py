"""A found network as it is served: images as they are stored in, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

import fairdarts_tf.mobile_network  # noqa: F401  (a .keras file names its class)
import fairdarts_tf.network  # noqa: F401  (a .keras file names its class)
from fairdarts_tf.found_network import FoundNetwork


@keras.saving.register_keras_serializable("fairdarts_tf")
class ServingNetwork(keras.Model):
    """A network for inference, with normalisation before it and softmax behind it.

    Args:
        network: Without auxiliary head, in float32.
        class_names: By label.
        image_shape: (height, width, channels) of its images.
        mean: One value a channel, in units of 0 to 1.
        std: One value a channel, in units of 0 to 1.

    Call arguments:
        images: (batch, height, width, channels), uint8 or float, from 0 to 255.

    Returns:
        Probabilities, (batch, classes), float32.
    """

    def __init__(
        self,
        network: keras.Model,
        class_names: Sequence[str],
        image_shape: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.network = network
        self.class_names = tuple(class_names)
        self.image_shape = tuple(image_shape)
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]

    @classmethod
    def of(cls, found: FoundNetwork) -> ServingNetwork:
        """Returns a found network, ready to be called; they share their weights."""
        serving = cls(found.network, found.class_names, found.image_shape, found.mean, found.std, name="serving")
        serving.build((None, *found.image_shape))
        return serving

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the network, unless it is built."""
        if not self.network.built:
            self.network.build(tuple(input_shape))

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of the classes."""
        return tf.nn.softmax(self.network(self.normalized(images), training=False))

    def normalized(self, images: tf.Tensor) -> tf.Tensor:
        """Returns images as the network takes them, float32."""
        # One product and one sum: an integer network then rounds as rarely as can be.
        scale = tf.constant([1 / (255 * std) for std in self.std], tf.float32)
        offset = tf.constant([-mean / std for mean, std in zip(self.mean, self.std, strict=True)], tf.float32)
        return tf.cast(images, tf.float32) * scale + offset

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the probabilities."""
        return (input_shape[0], len(self.class_names))

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this model."""
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.network),
            "class_names": list(self.class_names),
            "image_shape": list(self.image_shape),
            "mean": self.mean,
            "std": self.std,
        }

    @classmethod
    def from_config(cls, config: dict[str, object]) -> ServingNetwork:
        """Rebuilds a model from `get_config`."""
        return cls(**config | {"network": keras.saving.deserialize_keras_object(config["network"])})
