"""Jitter of colours: brightness, contrast, saturation and hue of each image changed at random, in a random order.

As DARTS' recipe for ImageNet has it (torchvision's ColorJitter of 0.4, 0.4, 0.4 and 0.2).
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from fairdarts_tf.data.generator import GENERATOR
from fairdarts_tf.data.rows import Rows

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey level (ITU-R BT.601)."""
HUE_SHARE = 0.5
"""The hue's strength as a share of that of the others: 0.2 in turns beside 0.4."""


class ColorJitter:
    """Changes colours at random.

    Args:
        strength: Brightness, contrast and saturation are multiplied by factors from ``1 - strength`` to ``1 +
            strength``; the hue is turned by at most `HUE_SHARE` of it, in full turns, either way. From 0 to 1.
        channels: Of the images; grey levels have no saturation and no hue. Defaults to 3.
    """

    def __init__(self, strength: float, channels: int = 3) -> None:
        self._strength = strength
        self._operations = [adjust_brightness, adjust_contrast]
        if channels == len(LUMA):
            self._operations += [adjust_saturation, adjust_hue]

    def __call__(self, images: tf.Tensor, seed: tf.Tensor, rows: Rows | None = None) -> tf.Tensor:
        """Returns varied images.

        Args:
            images: ``(N, H, W, C)``, 0 to 255.
            seed: ``(2,)``, integers. The same seed gives the same images.
            rows: Which rows of their batch the images are. Defaults to None: all.

        Returns:
            Images of the same shape, float32, 0 to 255.
        """
        rows = rows or Rows.all_of(tf.shape(images)[0])
        order, changes = self.draw(seed, rows)
        vary = tf.autograph.experimental.do_not_convert(lambda drawn: self._vary(*drawn))
        images = tf.cast(images, tf.float32)
        return tf.map_fn(
            vary, (images, order, changes), fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32)
        )

    def draw(self, seed: tf.Tensor, rows: Rows) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws, for each image, the order of the operations and how strong each is, by the operations' numbers.

        Returns:
            ``(N, operations)``, int32, and ``(N, operations)``, float32: factors, and of the hue a part of a turn.
        """
        order_seed, strength_seed = tf.unstack(tf.random.split(seed, 2, alg=GENERATOR))
        shape = (rows.of, len(self._operations))
        order = tf.argsort(rows.take(tf.random.stateless_uniform(shape, order_seed, alg=GENERATOR)), axis=1)
        deviations = rows.take(tf.random.stateless_uniform(shape, strength_seed, -1.0, 1.0, alg=GENERATOR))
        is_hue = tf.constant([operation is adjust_hue for operation in self._operations])
        return order, self._strength * tf.where(is_hue, HUE_SHARE * deviations, deviations) + tf.where(is_hue, 0.0, 1.0)

    def _vary(self, image: tf.Tensor, order: tf.Tensor, changes: tf.Tensor) -> tf.Tensor:
        def change(changed: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
            branches = [_branch(operation, changed, changes[number]) for operation in self._operations]
            return tf.ensure_shape(tf.switch_case(number, branches), image.shape)

        return tf.foldl(change, order, initializer=image)


def adjust_brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Returns an image, ``(H, W, C)``, 0 to 255, blended with black: factor 0 is black, 1 the image itself."""
    return tf.clip_by_value(image * factor, 0.0, 255.0)


def adjust_contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Returns an image blended with its mean grey level: factor 0 is grey, 1 the image itself."""
    return _blend(image, tf.reduce_mean(_grey(image)), factor)


def adjust_saturation(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Returns an image blended with its own grey levels: factor 0 has no colours, 1 is the image itself."""
    return _blend(image, _grey(image), factor)


def adjust_hue(image: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Returns an image whose hues are turned by a part of a full turn, from -0.5 to 0.5."""
    return tf.clip_by_value(tf.image.adjust_hue(image, turn), 0.0, 255.0)


def _blend(image: tf.Tensor, other: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(image * factor + other * (1.0 - factor), 0.0, 255.0)


def _grey(image: tf.Tensor) -> tf.Tensor:
    if image.shape[-1] != len(LUMA):
        return image
    return tf.tensordot(image, tf.constant(LUMA, image.dtype), 1)[..., tf.newaxis]


def _branch(
    operation: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], image: tf.Tensor, change: tf.Tensor
) -> Callable[[], tf.Tensor]:
    return lambda: operation(image, change)
