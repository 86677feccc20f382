"""Random-resized crop: a part of an image, of random area and proportions, scaled to the network's size.

As ImageNet recipes have it (Szegedy et al., 2015, arXiv 1409.4842; torchvision's RandomResizedCrop). Chance and
geometry are apart: `draw_boxes` decides which parts, `scale` does the scaling.
"""

from __future__ import annotations

import math

import tensorflow as tf

from fairdarts_tf.data.generator import GENERATOR
from fairdarts_tf.data.rows import Rows

AREAS = (0.08, 1.0)
"""Of the image's area, drawn evenly."""
RATIOS = (3 / 4, 4 / 3)
"""Of width to height, drawn evenly on a logarithmic scale."""
TRIES = 10
"""Parts that are drawn until one lies within the image; if none does, it is the largest central one of a fit ratio."""


def draw_boxes(seed: tf.Tensor, sizes: tf.Tensor, rows: Rows | None = None) -> tf.Tensor:
    """Draws a part of each image.

    Args:
        seed: ``(2,)``, integers. The same seed gives the same parts.
        sizes: ``(N, 2)``, int32: heights and widths of the images, in pixels.
        rows: Which rows of their batch the images are. Defaults to None: all.

    Returns:
        ``(N, 4)``, int32: row and column of the upper left corner, height and width, in pixels.
    """
    rows = rows or Rows.all_of(tf.shape(sizes)[0])
    area_seed, ratio_seed, place_seed = tf.unstack(tf.random.split(seed, 3, alg=GENERATOR))
    areas = rows.take(_uniform((rows.of, TRIES), area_seed, *AREAS))
    ratios = tf.exp(rows.take(_uniform((rows.of, TRIES), ratio_seed, *map(math.log, RATIOS))))
    places = rows.take(_uniform((rows.of, 2), place_seed, 0.0, 1.0))
    areas *= tf.cast(tf.reduce_prod(sizes, axis=1, keepdims=True), tf.float32)
    tries = tf.cast(tf.round(tf.stack([tf.sqrt(areas / ratios), tf.sqrt(areas * ratios)], axis=-1)), tf.int32)
    fits = tf.reduce_all((tries > 0) & (tries <= sizes[:, tf.newaxis]), axis=-1)
    first = tf.gather(tries, tf.argmax(tf.cast(fits, tf.int32), axis=1), batch_dims=1)
    found = tf.reduce_any(fits, axis=1, keepdims=True)
    extents = tf.where(found, first, _central_extents(sizes))
    free = sizes - extents
    corners = tf.where(found, tf.cast(places * tf.cast(free + 1, tf.float32), tf.int32), free // 2)
    # A place just below 1 may be rounded up to 1.
    return tf.concat([tf.minimum(corners, free), extents], axis=1)


def scale(pixels: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns an image scaled by bilinear interpolation, antialiased, as Pillow does it.

    Args:
        pixels: ``(h, w, C)``, uint8 or float.
        height: In pixels.
        width: In pixels.

    Returns:
        ``(height, width, C)``, float32.
    """
    scaled = tf.image.resize(pixels, (height, width), method="bilinear", antialias=True)
    return tf.ensure_shape(tf.cast(scaled, tf.float32), (height, width, pixels.shape[-1]))


def _central_extents(sizes: tf.Tensor) -> tf.Tensor:
    """Returns heights and widths of the largest parts whose ratio is not beyond the bounds, ``(N, 2)``."""
    narrowest, widest = RATIOS
    heights, widths = tf.unstack(tf.cast(sizes, tf.float32), axis=1)
    heights, widths = tf.minimum(heights, widths / narrowest), tf.minimum(widths, heights * widest)
    return tf.cast(tf.round(tf.stack([heights, widths], axis=1)), tf.int32)


def _uniform(shape: tuple[int | tf.Tensor, ...], seed: tf.Tensor, least: float, most: float) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, least, most, alg=GENERATOR)
