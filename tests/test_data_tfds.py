"""Data sets of tensorflow-datasets: small ones made here, and CIFAR-10 where it is prepared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fairdarts_tf.data import load_dataset
from fairdarts_tf.errors import DataError

tfds = pytest.importorskip("tensorflow_datasets")

SIZES = ((20, 30), (40, 16), (16, 16), (9, 50))


def _pictures(sizes: tuple[tuple[int, int], ...]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


class _Pictures(tfds.core.GeneratorBasedBuilder):
    """Base of the small data sets; each class below registers itself by its name."""

    VERSION = tfds.core.Version("1.0.0")
    SKIP_REGISTERING = True
    sizes = ((12, 12),) * 7
    shape = (12, 12, 3)
    labels = (0, 1, 2)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=self.shape),
            "label": tfds.features.ClassLabel(names=["ant", "bee", "cat"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator:
        for number, image in enumerate(_pictures(self.sizes)):
            yield number, {"image": image, "label": self.labels[number % 3]}


class SmallEqualPictures(_Pictures):
    pass


class SmallUnequalPictures(_Pictures):
    sizes = SIZES
    shape = (None, None, 3)


class SmallUnlabelledPictures(_Pictures):
    labels = (-1, -1, -1)


class SmallUnreachablePictures(_Pictures):
    def _split_generators(self, dl_manager: object) -> dict[str, Iterator]:
        raise ConnectionError("the line is down\nand more")


class SmallDeepPictures(_Pictures):
    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(12, 12, 1), dtype=np.uint16),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))


def test_data_are_prepared_only_when_asked_and_then_used_as_they_are(tmp_path: Path):
    with pytest.raises(DataError, match="--download"):
        load_dataset("small_equal_pictures", data_dir=str(tmp_path))
    load_dataset("small_equal_pictures", data_dir=str(tmp_path), download=True)
    data = load_dataset("small_equal_pictures", data_dir=str(tmp_path))
    assert data.class_names == ("ant", "bee", "cat")
    stored = {image.tobytes(): label for image, label in zip(data.images, data.labels, strict=True)}
    assert stored == {image.tobytes(): number % 3 for number, image in enumerate(_pictures(_Pictures.sizes))}


def test_prefix_version_and_part_of_a_split_are_understood(tmp_path: Path):
    load_dataset("tfds:small_equal_pictures", data_dir=str(tmp_path), download=True)
    assert len(load_dataset("small_equal_pictures:1.0.0", "train[:3]", data_dir=str(tmp_path))) == 3


def test_images_of_one_size_are_resized(tmp_path: Path):
    data = load_dataset("small_equal_pictures", data_dir=str(tmp_path), download=True, image_size=6)
    assert data.images.shape == (7, 6, 6, 3)
    assert abs(data.images.mean() - np.mean(_pictures(_Pictures.sizes))) < 3


def test_images_of_several_sizes_need_one(tmp_path: Path):
    with pytest.raises(DataError, match="--image_size"):
        load_dataset("small_unequal_pictures", data_dir=str(tmp_path), download=True)
    data = load_dataset("small_unequal_pictures", data_dir=str(tmp_path), download=True, image_size=16)
    assert data.images.shape == (4, 16, 16, 3)
    square = _pictures(SIZES)[2]
    assert any(np.array_equal(image, square) for image in data.images)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("small_unlabelled_pictures", "7 of the 7 images .* no label .*every image is labelled"),
        ("small_unreachable_pictures", "the line is down"),
        ("small_deep_pictures", "uint16 with 1 channels"),
    ],
)
def test_unfit_data_are_refused(tmp_path: Path, name: str, words: str):
    with pytest.raises(DataError, match=words) as caught:
        load_dataset(name, data_dir=str(tmp_path), download=True)
    assert "\n" not in str(caught.value)


def test_an_unknown_split_is_refused(tmp_path: Path):
    load_dataset("small_equal_pictures", data_dir=str(tmp_path), download=True)
    for split in ("test", "train[", "train[:x]"):
        with pytest.raises(DataError, match="unknown split of small_equal_pictures"):
            load_dataset("small_equal_pictures", split, data_dir=str(tmp_path))


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "metadata"])
def test_damaged_data_are_refused(tmp_path: Path, damage: str):
    load_dataset("small_equal_pictures", data_dir=str(tmp_path), download=True)
    records = next(tmp_path.rglob("*.tfrecord*"))
    content = records.read_bytes()
    if damage == "cut":
        records.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 2
        records.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    elif damage == "missing":
        records.unlink()
    else:
        next(tmp_path.rglob("dataset_info.json")).write_text("{")
    with pytest.raises(DataError, match="small_equal_pictures") as caught:
        load_dataset("small_equal_pictures", data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_cifar10_as_prepared(shared: Path):
    if not (shared / "tfds" / "cifar10").is_dir():
        pytest.skip("needs CIFAR-10, prepared for tensorflow-datasets, in ../shared/tfds")
    data = load_dataset("cifar10", "test", data_dir=str(shared / "tfds"))
    assert data.images.shape == (10000, 32, 32, 3)
    assert np.array_equal(np.bincount(data.labels), [1000] * 10)
    # The copy's statistics differ a little from the original's, for it went through JPEG.
    assert np.abs(data.images.mean(axis=(0, 1, 2)) / 255 - [0.494, 0.485, 0.450]).max() < 0.02
