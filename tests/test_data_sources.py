"""Named sources: digits, tensorflow-datasets, and how unknown or absent ones are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairdarts_tf.data import LabelledImages, load_dataset
from fairdarts_tf.data.images import allocate_images
from fairdarts_tf.errors import DataError


def test_digits_are_split_once_and_for_all_by_class():
    train, test = load_dataset("digits"), load_dataset("digits", "test")
    assert train.images.shape == (1500, 8, 8, 1)
    assert test.images.shape == (297, 8, 8, 1)
    assert train.images.dtype == np.uint8
    assert (train.images.min(), train.images.max()) == (0, 255)
    assert train.labels.dtype == np.int32
    share = np.bincount(test.labels) / np.bincount(np.concatenate([train.labels, test.labels]))
    assert np.all(np.abs(share - 297 / 1797) < 0.006)
    assert train.class_names == tuple("0123456789")
    assert np.array_equal(train.images, load_dataset("digits").images)


def test_digits_hold_every_original_image_once():
    from sklearn.datasets import load_digits

    original = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    loaded = np.concatenate([load_dataset("digits").images, load_dataset("digits", "test").images])[..., 0]
    assert sorted(image.tobytes() for image in loaded) == sorted(image.tobytes() for image in original)


def test_digits_are_resized():
    data = load_dataset("digits", image_size=16)
    assert data.image_shape == (16, 16, 1)
    assert abs(data.images.mean() - load_dataset("digits").images.mean()) < 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "digits", "split": "tset"}, ["unknown split of digits 'tset'", "Did you mean 'test'?"]),
        ({"name": "digits", "image_size": 0}, ["--image_size is 0"]),
        ({"name": "ciphar10"}, ["unknown dataset 'ciphar10'", "Did you mean 'cifar10'?"]),
        ({"name": "digit"}, ["Did you mean 'digits'?"]),
        ({"name": ""}, ["unknown dataset ''"]),
        ({"name": "../cifar10"}, ["unknown dataset"]),
        ({"name": "huggingface:mnist"}, ["unknown dataset"]),
        ({"name": "cifar10/nothing"}, ["cannot open dataset 'cifar10/nothing'"]),
        ({"name": "fashion_mnist"}, ["not prepared in", "--download", "--data_dir"]),
        ({"name": "imdb_reviews"}, ["label (ClassLabel), text (Text)", "image classification set"]),
    ],
)
def test_bad_input_is_refused_in_one_line(tmp_path: Path, arguments: dict, words: list[str]):
    with pytest.raises(DataError) as caught:
        load_dataset(**{"data_dir": str(tmp_path), **arguments})
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_importing_the_data_room_loads_no_heavy_library():
    code = "import sys, fairdarts_tf.data as d; d.load_dataset('digits'); sys.exit('tensorflow' in sys.modules)"
    root = Path(__file__).resolve().parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_images_beyond_the_memory_are_refused_before_they_are_read():
    with pytest.raises(DataError, match="smaller --image_size"):
        allocate_images(10**9, (1000, 1000, 3))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int32)),
        (np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, np.int32)),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int32)),
        (np.zeros((0, 4, 4, 1), np.uint8), np.zeros(0, np.int32)),
        (np.zeros((2, 4, 4, 1), np.uint8), np.array([0, -1], np.int32)),
        (np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 2], np.int32)),
    ],
)
def test_the_container_refuses_what_does_not_fit(images: np.ndarray, labels: np.ndarray):
    with pytest.raises(DataError):
        LabelledImages(images, labels, ("a", "b"))
