"""Augmentation against a plain one in numpy, and the spread of its draws."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.data.augmentation import augment, crop_and_flip, cut_out, draw, normalize
from fairdarts_tf.data.rows import Rows

MEAN, STD = np.array([0.5, 0.4, 0.3], np.float32), np.array([0.2, 0.3, 0.25], np.float32)


def _images(count: int = 40, height: int = 9, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (count, height, width, 3), dtype=np.uint8)


def _crop(image: np.ndarray, offset: np.ndarray, mirrored: bool, padding: int) -> np.ndarray:
    height, width = image.shape[:2]
    padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    crop = padded[offset[0] : offset[0] + height, offset[1] : offset[1] + width]
    return crop[:, ::-1] if mirrored else crop


def _cut_out(image: np.ndarray, centre: np.ndarray, side: int) -> np.ndarray:
    """As DARTS' own, for an even side."""
    image = image.copy()
    top, left = np.maximum(centre - side // 2, 0)
    image[top : centre[0] + side // 2, left : centre[1] + side // 2] = 0
    return image


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("padding", [0, 1, 4])
def test_crops_are_those_of_a_plain_implementation(dtype: type, padding: int):
    images, chance = _images().astype(dtype), draw(tf.constant([3, 4]), 40, 9, 7, padding)
    result = crop_and_flip(images, chance.offsets, chance.mirrored, padding).numpy()
    assert result.dtype == dtype
    drawn = zip(images, chance.offsets.numpy(), chance.mirrored.numpy(), strict=True)
    assert np.array_equal(result, [_crop(image, offset, mirrored, padding) for image, offset, mirrored in drawn])


@pytest.mark.parametrize("side", [2, 4, 20])
def test_cutout_is_that_of_a_plain_implementation(side: int):
    images, centres = _images().astype(np.float32), draw(tf.constant([3, 4]), 40, 9, 7, 1).centres
    expected = [_cut_out(image, centre, side) for image, centre in zip(images, centres.numpy(), strict=True)]
    assert np.array_equal(cut_out(images, centres, side), expected)


def test_an_odd_cutout_has_its_full_side():
    hidden = cut_out(np.ones((1, 9, 9, 1), np.float32), tf.constant([[4, 4]]), 3).numpy()[0, :, :, 0] == 0
    assert hidden.sum() == 9
    assert hidden[3:6, 3:6].all()


def test_normalisation():
    np.testing.assert_allclose(normalize(_images(), MEAN, STD), (_images() / 255 - MEAN) / STD, atol=1e-6)


def test_the_whole_is_crop_then_normalisation_then_cutout():
    seed, images = tf.constant([5, 6]), _images()
    chance = draw(seed, 40, 9, 7, 2)
    expected = cut_out(
        normalize(crop_and_flip(images, chance.offsets, chance.mirrored, 2), MEAN, STD), chance.centres, 4
    )
    result = augment(images, seed, padding=2, flip=True, cutout=4, mean=MEAN, std=STD)
    assert np.array_equal(result, expected)


def test_nothing_asked_for_changes_nothing():
    assert np.array_equal(augment(_images(), tf.constant([0, 0]), padding=0, flip=False), _images())


def test_without_flip_crops_stay_as_they_were():
    seed = tf.constant([0, 0])
    offsets = draw(seed, 40, 9, 7, 3).offsets
    expected = crop_and_flip(_images(), offsets, tf.zeros(40, tf.bool), 3)
    assert np.array_equal(augment(_images(), seed, padding=3, flip=False), expected)


def test_the_seed_decides_everything():
    first, again, other = (augment(_images(), tf.constant([1, number]), cutout=2).numpy() for number in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_draws_are_spread_evenly_and_independent():
    count = 90_000
    chance = draw(tf.constant([1, 2]), count, 32, 28, 4)
    offsets, mirrored, centres = (part.numpy() for part in chance)
    for column in offsets.T:
        assert (column.min(), column.max()) == (0, 8)
        assert np.abs(np.bincount(column) / count - 1 / 9).max() < 0.005
    assert abs(mirrored.mean() - 0.5) < 0.01
    assert (centres.min(axis=0).tolist(), centres.max(axis=0).tolist()) == ([0, 0], [31, 27])
    assert np.abs(np.bincount(centres[:, 0]) / count - 1 / 32).max() < 0.005
    together = np.corrcoef(np.column_stack([offsets, mirrored, centres]).T.astype(float))
    assert np.abs(together - np.eye(5)).max() < 0.02


def test_parts_of_a_batch_are_those_of_the_whole():
    images, seed = _images(), tf.constant([5, 6])
    options = {"padding": 2, "cutout": 4, "mean": MEAN, "std": STD}
    whole = augment(images, seed, **options)
    parts = [augment(images[a:b], seed, rows=Rows(a, b - a, 40), **options) for a, b in ((0, 11), (11, 40))]
    assert np.array_equal(whole, np.concatenate(parts))
