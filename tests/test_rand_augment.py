"""RandAugment: each image by a seed of its own, the same for the same seed, stronger for a greater strength."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.data.rand_augment import RandAugment

COUNT = 60


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    rows, columns = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    image = np.stack([rows * 12, columns * 12, (rows + columns) * 6 + 40], axis=-1).astype(np.uint8)
    return image[np.newaxis].repeat(COUNT, axis=0)


@pytest.fixture(scope="module")
def vary(images):
    varied = {}

    def run(strength: float, seed: int) -> np.ndarray:
        if strength not in varied:
            augment = RandAugment(2, strength)
            varied[strength] = tf.function(lambda seed: augment(tf.constant(images), seed))
        return varied[strength](tf.constant([seed, 0], tf.int64)).numpy()

    return run


def test_the_seed_decides(vary, images):
    first = vary(0.5, 1)
    assert first.shape == images.shape and first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 255
    np.testing.assert_array_equal(first, vary(0.5, 1))
    assert not np.array_equal(first, vary(0.5, 2))


def test_each_image_draws_for_itself(vary):
    different = {image.tobytes() for image in vary(0.5, 1)}
    assert len(different) > COUNT / 2


def test_strength_0_leaves_most_images_alone(vary, images):
    """Only automatic contrast and equalisation, two of ten operations, know no strength."""
    weak, strong = (np.abs(vary(strength, 1) - images).max(axis=(1, 2, 3)) for strength in (0.0, 1.0))
    assert np.mean(weak < 1) > 0.4, "about 0.8 * 0.8"
    assert np.mean(strong < 1) < 0.1
    assert np.mean(strong) > 2 * np.mean(weak)


def test_grey_images(images):
    grey = RandAugment(1, 0.5, channels=1)(tf.constant(images[:4, :, :, :1]), tf.constant([1, 2], tf.int64))
    assert grey.shape == (4, 16, 16, 1)
