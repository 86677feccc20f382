"""RandAugment: a few operations drawn at random, each of a random strength (Cubuk et al., 2020, arXiv 1909.13719).

The operations are Keras' preprocessing layers. Keras' own RandAugment draws once for a whole batch, runs every
operation to keep one, and from a generator that a resumed run could not set back; here each image draws for itself, by
a seed of its own.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from fairdarts_tf.data.generator import GENERATOR
from fairdarts_tf.data.rows import Rows

SHEAR = 0.3
TRANSLATION = 0.3
"""As a share of the image's side."""
ROTATION = 30 / 360
"""In full turns."""
BRIGHTNESS = 0.5
"""Added, as a share of the range of pixels."""
LOST_BITS = 4


class RandAugment:
    """Varies images by operations drawn at random.

    Args:
        operations: How many are applied to an image, one after another.
        strength: The greatest strength, from 0 (no change) to 1.
        channels: Of the images. Defaults to 3.
    """

    def __init__(self, operations: int, strength: float, channels: int = 3) -> None:
        self._count = operations
        self._layers = _layers(strength, channels)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor, rows: Rows | None = None) -> tf.Tensor:
        """Returns varied images.

        Args:
            images: (B, H, W, C), 0 to 255.
            seed: (2,), integers. The same seed gives the same images.
            rows: Which rows of their batch the images are. Defaults to None: all.

        Returns:
            Images of the same shape, float32, 0 to 255.
        """
        rows = rows or Rows.all_of(tf.shape(images)[0])
        seeds = rows.take(tf.random.split(seed, rows.of, alg=GENERATOR))
        vary = tf.autograph.experimental.do_not_convert(lambda pair: self._vary(*pair))
        images = tf.cast(images, tf.float32)
        return tf.map_fn(vary, (images, seeds), fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32))

    def _vary(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for turn in range(self._count):
            draws = _Seeds(tf.random.fold_in(seed, turn, alg=GENERATOR))
            choice = tf.random.stateless_uniform((), draws.next(), 0, len(self._layers), tf.int32, alg=GENERATOR)
            branches = [_branch(layer, image, draws) for layer in self._layers]
            image = tf.ensure_shape(tf.switch_case(choice, branches), image.shape)
        return tf.clip_by_value(image, 0.0, 255.0)


class _Seeds(keras.random.SeedGenerator):
    """A generator without a variable: its seeds follow from the first."""

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed = seed
        self._drawn = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        self._drawn += 1
        return tf.random.fold_in(self._seed, self._drawn, alg=GENERATOR)


def _branch(layer: keras.layers.Layer, image: tf.Tensor, draws: _Seeds) -> object:
    def apply() -> tf.Tensor:
        # Keras' layers take batches.
        batch = image[tf.newaxis]
        chance = layer.get_random_transformation(batch, training=True, seed=draws)
        return tf.cast(layer.transform_images(batch, chance, training=True)[0], tf.float32)

    return apply


def _layers(strength: float, channels: int) -> list[keras.layers.Layer]:
    """Returns one layer for each operation; all but the last two do nothing at strength 0.

    Keras' Solarization is left out: it draws its threshold from a wrong range.
    """
    light = {"value_range": (0, 255)}
    layers = [
        keras.layers.RandomShear(x_factor=SHEAR * strength, y_factor=SHEAR * strength),
        keras.layers.RandomTranslation(height_factor=TRANSLATION * strength, width_factor=TRANSLATION * strength),
        keras.layers.RandomRotation(factor=ROTATION * strength),
        keras.layers.RandomBrightness(factor=BRIGHTNESS * strength, **light),
        keras.layers.RandomContrast(factor=strength, **light),
        # One half is the image itself, to Keras: below it is smoothed, above it is sharpened.
        keras.layers.RandomSharpness(factor=(0.5 - strength / 2, 0.5 + strength / 2), **light),
        keras.layers.RandomPosterization(factor=8 - round(LOST_BITS * strength), **light),
        keras.layers.AutoContrast(**light),
        keras.layers.Equalization(**light),
    ]
    if channels == 3:
        layers.insert(0, keras.layers.RandomColorDegeneration(factor=strength, **light))
    return layers
