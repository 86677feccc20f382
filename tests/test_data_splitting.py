"""The two halves of a training set, and the statistics of its images."""

from __future__ import annotations

import numpy as np
import pytest

from fairdarts_tf.data import (
    Augmentation,
    LabelledImages,
    channel_statistics,
    default_padding,
    flips_by_default,
    load_dataset,
    statistics_for,
    stratified_halves,
)
from fairdarts_tf.errors import ConfigurationError, DataError

LABELS = np.random.default_rng(0).integers(0, 7, 1003).astype(np.int32)


@pytest.mark.parametrize("portion", [0.01, 0.29, 0.5, 0.8, 0.999])
def test_halves_are_disjoint_complete_and_stratified(portion: float):
    train, search = stratified_halves(LABELS, portion, seed=3)
    assert np.array_equal(np.sort(np.concatenate([train, search])), np.arange(1003))
    assert len(train) == round(1003 * portion)
    exact = np.bincount(LABELS) * portion
    assert np.abs(np.bincount(LABELS[train], minlength=7) - exact).max() < 1.1


def test_halves_follow_the_seed():
    first, again, other = (stratified_halves(LABELS, 0.5, seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("portion", [0.0, 1.0, -0.5, 1.5, float("nan"), 0.0001, 0.9999])
def test_an_empty_half_is_refused(portion: float):
    with pytest.raises(DataError, match="--train_portion"):
        stratified_halves(LABELS, portion, seed=0)


def test_one_image_cannot_be_halved():
    with pytest.raises(DataError):
        stratified_halves(np.zeros(1, np.int32), 0.5, seed=0)


def test_statistics_are_those_of_the_pixels():
    images = np.random.default_rng(0).integers(0, 200, (2100, 5, 4, 3), dtype=np.uint8)
    images[..., 1] //= 2
    mean, std = channel_statistics(images)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, (images / 255).std(axis=(0, 1, 2)), rtol=1e-6)


@pytest.mark.parametrize("value", [0, 1, 137, 255])
def test_a_constant_channel_can_be_divided_by_its_deviation(value: int):
    mean, std = channel_statistics(np.full((1027, 3, 3, 1), value, np.uint8))
    assert std == 1
    assert mean == np.float32(value / 255)


def test_known_statistics_hold_for_images_of_their_own_size_only():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    images, resized = (LabelledImages(array, np.zeros(5, np.int32), ("a",)) for array in (pixels, pixels[:, ::2, ::2]))
    for name in ("cifar10", "tfds:cifar10", "cifar10:3.0.2"):
        assert statistics_for(name, images)[0][0] == np.float32(0.49139968)
        assert statistics_for(name, images)[1][2] == np.float32(0.26158768)
    assert np.array_equal(statistics_for("cifar10", resized), channel_statistics(resized.images))
    digits = load_dataset("digits")
    assert np.array_equal(statistics_for("digits", digits), channel_statistics(digits.images))


def test_those_of_imagenet_hold_at_any_size():
    images = LabelledImages(np.zeros((2, 40, 40, 3), np.uint8), np.zeros(2, np.int32), ("a",))
    mean, std = statistics_for("imagenet2012", images)
    assert mean.tolist() == pytest.approx([0.485, 0.456, 0.406]) and std.tolist() == pytest.approx(
        [0.229, 0.224, 0.225]
    )


def test_characters_are_not_mirrored():
    characters = ("digits", "mnist", "emnist/letters", "tfds:kmnist", "svhn_cropped:3.0.0")
    assert not any(map(flips_by_default, characters))
    assert all(map(flips_by_default, ("cifar10", "fashion_mnist", "folder:mnist", "tf_flowers")))


def test_padding_follows_the_size():
    assert [default_padding(size) for size in (1, 8, 28, 32, 64)] == [1, 1, 3, 4, 8]
    assert Augmentation.suited_to("digits", 8) == Augmentation(padding=1, flip=False, cutout=0)
    assert Augmentation.suited_to("cifar10", 32, cutout=16) == Augmentation(padding=4, flip=True, cutout=16)


@pytest.mark.parametrize("settings", [{"padding": -1}, {"cutout": -2}])
def test_negative_settings_are_refused(settings: dict[str, int]):
    with pytest.raises(ConfigurationError, match="must be 0"):
        Augmentation(**settings)
