"""Random crop, flip and cutout of whole batches, as functions of a seed.

Chance and geometry are apart: `draw` turns a seed into offsets, `crop_and_flip` and `cut_out` do as they are told.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from fairdarts_tf.data.generator import GENERATOR
from fairdarts_tf.data.rows import Rows


class Draw(NamedTuple):
    """What chance decided for each of B images.

    Attributes:
        offsets: ``(B, 2)``, int32: row and column of the crop in the padded image, 0 to twice the padding.
        mirrored: ``(B,)``, bool.
        centres: ``(B, 2)``, int32: row and column of the centre of the cutout.
    """

    offsets: tf.Tensor
    mirrored: tf.Tensor
    centres: tf.Tensor


def augment(
    images: tf.Tensor,
    seed: tf.Tensor,
    *,
    padding: int = 4,
    flip: bool = True,
    cutout: int = 0,
    mean: np.ndarray | None = None,
    std: np.ndarray | None = None,
    rows: Rows | None = None,
) -> tf.Tensor:
    """Crops, mirrors, normalises and cuts out, in DARTS' order.

    Args:
        images: ``(B, H, W, C)``, uint8 or float.
        seed: ``(2,)``, integers. The same seed gives the same images, on every device.
        padding: Pixels of zeros on every side before the random crop.
        flip: Whether each image is mirrored left to right with probability 1/2.
        cutout: Side of the square set to 0, in pixels; 0 for none.
        mean: ``(C,)``, in units of 0 to 1; None: no normalisation. The cutout comes after it, as mean colour.
        std: ``(C,)``, in units of 0 to 1; given with ``mean``.
        rows: Which rows of their batch the images are. Defaults to None: all.

    Returns:
        Images of the same shape and type; float32 where normalised.
    """
    height, width = images.shape[1:3]
    rows = rows or Rows.all_of(tf.shape(images)[0])
    chance = Draw(*map(rows.take, draw(seed, rows.of, height, width, padding)))
    if padding or flip:
        mirrored = chance.mirrored if flip else tf.zeros_like(chance.mirrored)
        images = crop_and_flip(images, chance.offsets, mirrored, padding)
    if mean is not None and std is not None:
        images = normalize(images, mean, std)
    return cut_out(images, chance.centres, cutout) if cutout else images


def draw(seed: tf.Tensor, count: tf.Tensor | int, height: int, width: int, padding: int) -> Draw:
    """Draws for ``count`` images. What one of the three comes to does not depend on the others being used."""
    crop_seed, flip_seed, cutout_seed = tf.unstack(tf.random.split(seed, 3, alg=GENERATOR))
    return Draw(
        offsets=_integers((count, 2), crop_seed, 2 * padding + 1),
        mirrored=_integers((count,), flip_seed, 2) == 1,
        centres=_integers((count, 2), cutout_seed, tf.constant([height, width])),
    )


def _integers(shape: tuple[tf.Tensor | int, ...], seed: tf.Tensor, end: tf.Tensor | int) -> tf.Tensor:
    """Draws integers from 0 to ``end - 1``; ``end`` may differ by column."""
    uniform = tf.random.stateless_uniform(shape, seed, dtype=tf.float32, alg=GENERATOR)
    return tf.cast(uniform * tf.cast(end, tf.float32), tf.int32)


def crop_and_flip(images: tf.Tensor, offsets: tf.Tensor, mirrored: tf.Tensor, padding: int) -> tf.Tensor:
    """Pads with zeros, takes each image's crop of the original size, and mirrors the crop where told to.

    All pixels are fetched by one gather, which is many times faster than an image at a time.

    Args:
        images: ``(B, H, W, C)``.
        offsets: ``(B, 2)``, int32, row and column of the crop in the padded image.
        mirrored: ``(B,)``, bool.
        padding: Pixels on every side.
    """
    count = tf.shape(images)[0]
    height, width, channels = images.shape[1:]
    padded_height, padded_width = height + 2 * padding, width + 2 * padding
    padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    columns = tf.range(width)
    columns = tf.where(mirrored[:, tf.newaxis], tf.reverse(columns, [0]), columns) + offsets[:, 1:]
    rows = tf.range(height) + offsets[:, :1] + tf.range(count)[:, tf.newaxis] * padded_height
    pixels = rows[:, :, tf.newaxis] * padded_width + columns[:, tf.newaxis, :]
    return tf.gather(tf.reshape(padded, (-1, channels)), pixels)


def normalize(images: tf.Tensor, mean: np.ndarray, std: np.ndarray) -> tf.Tensor:
    """Returns ``(images / 255 - mean) / std`` as float32.

    Args:
        images: ``(B, H, W, C)``, 0 to 255.
        mean: ``(C,)``, in units of 0 to 1.
        std: ``(C,)``, in units of 0 to 1.
    """
    height, width, channels = images.shape[1:]
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    # A constant for every pixel: broadcasting over a last axis of 3 takes three times as long.
    scale = np.tile(1 / (255 * std), height * width).astype(np.float32)
    shift = np.tile(mean / std, height * width).astype(np.float32)
    flat = tf.cast(tf.reshape(images, (-1, height * width * channels)), tf.float32)
    return tf.reshape(flat * scale - shift, (-1, height, width, channels))


def cut_out(images: tf.Tensor, centres: tf.Tensor, side: int) -> tf.Tensor:
    """Sets a square to 0, clipped at the image's edge (DeVries and Taylor, arXiv 1708.04552).

    Args:
        images: ``(B, H, W, C)``.
        centres: ``(B, 2)``, int32, row and column. The square begins ``side // 2`` pixels before.
        side: In pixels.
    """
    height, width = images.shape[1:3]
    rows = _within(tf.range(height) - centres[:, :1], side)
    columns = _within(tf.range(width) - centres[:, 1:], side)
    hidden = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
    return images * tf.cast(~hidden, images.dtype)[..., tf.newaxis]


def _within(distance: tf.Tensor, side: int) -> tf.Tensor:
    start = -(side // 2)
    return (distance >= start) & (distance < start + side)
