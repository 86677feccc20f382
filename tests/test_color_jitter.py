"""The jitter of colours against Pillow's and Python's own arithmetic, and the spread of its draws."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from fairdarts_tf.data.color_jitter import (
    ColorJitter,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)
from fairdarts_tf.data.rows import Rows

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
SEED = tf.constant([5, 6])


def _pillow(kind: type, factor: float) -> np.ndarray:
    return np.asarray(kind(Image.fromarray(PIXELS)).enhance(factor), np.float64)


def _turned(pixels: np.ndarray, turn: float) -> np.ndarray:
    """Returns pixels, 0 to 255, whose hues are turned, by Python's own conversion, one by one."""
    flat = [colorsys.rgb_to_hsv(*pixel) for pixel in pixels.reshape(-1, 3) / 255]
    turned = [colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value) for hue, saturation, value in flat]
    return np.array(turned).reshape(pixels.shape) * 255


def _blended(pixels: np.ndarray, other: np.ndarray, factor: float) -> np.ndarray:
    return np.clip(factor * pixels + (1 - factor) * other, 0, 255)


def _grey(pixels: np.ndarray) -> np.ndarray:
    return (pixels @ [0.299, 0.587, 0.114])[..., np.newaxis]


PLAIN = (
    lambda pixels, factor: np.clip(factor * pixels, 0, 255),
    lambda pixels, factor: _blended(pixels, _grey(pixels).mean(), factor),
    lambda pixels, factor: _blended(pixels, _grey(pixels), factor),
    _turned,
)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4])
@pytest.mark.parametrize(
    ("adjust", "kind"),
    [
        (adjust_brightness, ImageEnhance.Brightness),
        (adjust_contrast, ImageEnhance.Contrast),
        (adjust_saturation, ImageEnhance.Color),
    ],
)
def test_each_is_pillows(adjust: object, kind: type, factor: float):
    found = adjust(tf.constant(PIXELS, tf.float32), tf.constant(factor))
    assert np.abs(found - _pillow(kind, factor)).max() < 1.5, "Pillow rounds grey levels and results"


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.07, 0.2])
def test_the_hue_is_turned_as_python_does(turn: float):
    found = adjust_hue(tf.constant(PIXELS, tf.float32), tf.constant(turn))
    np.testing.assert_allclose(found, _turned(PIXELS, turn), atol=0.01)


def test_the_whole_is_one_after_another_in_the_order_drawn():
    jitter, images = ColorJitter(0.4), np.stack([PIXELS] * 6)
    order, changes = (array.numpy() for array in jitter.draw(SEED, Rows.all_of(6)))
    found = jitter(images, SEED).numpy()
    assert found.dtype == np.float32 and len({tuple(row) for row in order}) > 1
    for image, turns, strengths in zip(found, order, changes, strict=True):
        expected = PIXELS.astype(np.float64)
        for operation in turns:
            expected = PLAIN[operation](expected, float(strengths[operation]))
        np.testing.assert_allclose(image, expected, atol=0.05)


def test_draws_are_those_of_dartss_recipe():
    """Factors from 0.6 to 1.4, the hue by up to 0.2 turns, all 24 orders alike often."""
    count = 24_000
    order, changes = (array.numpy() for array in ColorJitter(0.4).draw(SEED, Rows.all_of(count)))
    least, most = changes.min(axis=0), changes.max(axis=0)
    np.testing.assert_allclose(least, [0.6, 0.6, 0.6, -0.2], atol=0.001)
    np.testing.assert_allclose(most, [1.4, 1.4, 1.4, 0.2], atol=0.001)
    quarters = [np.quantile(changes, share, axis=0) for share in (0.25, 0.5, 0.75)]
    np.testing.assert_allclose(quarters, [[0.8] * 3 + [-0.1], [1.0] * 3 + [0.0], [1.2] * 3 + [0.1]], atol=0.01)
    orders, times = np.unique(order, axis=0, return_counts=True)
    assert len(orders) == 24 and np.abs(times / count - 1 / 24).max() < 0.006
    together = np.corrcoef(np.column_stack([changes, order]).T)
    assert np.abs(together[:4, 4:]).max() < 0.02 and np.abs(together[:4, :4] - np.eye(4)).max() < 0.02


def test_parts_of_a_batch_are_those_of_the_whole():
    jitter, images = ColorJitter(0.4), np.random.default_rng(1).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)
    parts = [jitter(images[a:b], SEED, Rows(a, b - a, 9)) for a, b in ((0, 4), (4, 9))]
    assert np.array_equal(jitter(images, SEED), np.concatenate(parts))
    assert not np.array_equal(jitter(images, SEED), jitter(images, tf.constant([5, 7])))


def test_grey_images_have_brightness_and_contrast():
    images = PIXELS[np.newaxis, :, :, :1]
    assert ColorJitter(0.4, channels=1).draw(SEED, Rows.all_of(3))[0].shape == (3, 2)
    assert not np.array_equal(ColorJitter(0.4, channels=1)(images, SEED), images)
    assert np.array_equal(ColorJitter(0.0, channels=1)(images, SEED), images)
