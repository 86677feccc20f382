"""Data sets of tensorflow-datasets: small ones made here, and CIFAR-10 where it is prepared."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairdarts_tf.data import load_dataset, tfrecords
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


class SmallPhotographs(_Pictures):
    """As ``imagenet2012``: JPEGs of several sizes, and their names."""

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=["ant", "bee", "cat"]),
            "file_name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _generate_examples(self) -> Iterator:
        for number, content in enumerate(_jpegs()):
            yield number, {"image": io.BytesIO(content), "label": number % 3, "file_name": f"{number}.JPEG"}


def _jpegs() -> list[bytes]:
    """Returns 40 JPEGs with less noise than pictures, and of sizes that differ."""
    found = []
    for number in range(40):
        file = io.BytesIO()
        ramp = np.add.outer(np.arange(30 + number), np.arange(50 - number)) % 256
        colours = np.stack([ramp, np.full_like(ramp, 6 * number), ramp.T.reshape(ramp.shape)], axis=-1)
        Image.fromarray(colours.astype(np.uint8)).save(file, "JPEG", quality=90)
        found.append(file.getvalue())
    return found


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where that set is prepared, in 3 files."""
    place = tmp_path_factory.mktemp("tfds")
    builder = tfds.builder("small_photographs", data_dir=str(place))
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    assert len(list(place.rglob("*.tfrecord*"))) == 3
    return place


def _photographs(place: Path, cache_dir: Path, split: str = "train", **options: object) -> object:
    options = {"data_dir": str(place), "cache_dir": str(cache_dir), "image_size": 12, "resize_size": 14} | options
    return load_dataset("small_photographs", split, **{"storage": "encoded"} | options)


def test_encoded_images_are_the_bytes_that_lie_in_the_records(photographs: Path, tmp_path: Path):
    images = _photographs(photographs, tmp_path)
    stored = {content: number % 3 for number, content in enumerate(_jpegs())}
    assert len(images) == len(stored) == 40 and images.class_names == ("ant", "bee", "cat")
    assert {images.spans.read(index): label for index, label in enumerate(images.labels.tolist())} == stored
    assert len(images.spans.files) == 3 and (images.spans.offsets > 0).all()


def test_all_forms_have_the_same_images_in_the_order_of_the_library(photographs: Path, tmp_path: Path):
    images = _photographs(photographs, tmp_path)
    for storage in ("memory", "disk"):
        other = _photographs(photographs, tmp_path, storage=storage)
        assert other.images.shape == (40, 14, 14, 3)
        assert np.array_equal(other.labels, images.labels)
        assert np.array_equal(other.central(), images.central())
    builder = tfds.builder("small_photographs", data_dir=str(photographs))
    config = tfds.ReadConfig(interleave_cycle_length=1)
    decoders = {"image": tfds.decode.SkipDecoding()}
    in_order = builder.as_dataset(split="train", read_config=config, decoders=decoders)
    expected = [example["image"] for example in tfds.as_numpy(in_order)]
    assert [images.spans.read(index) for index in range(40)] == expected


def test_a_second_run_reads_no_records(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = _photographs(photographs, tmp_path)

    def refuse(shards: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(tfrecords, "_read_all", refuse)
    second = _photographs(photographs, tmp_path)
    assert np.array_equal(first.spans.offsets, second.spans.offsets)
    assert np.array_equal(first.labels, second.labels) and second.labels.dtype == np.int32
    monkeypatch.undo()
    next(tmp_path.glob("small_photographs-train-records-*.npz")).write_bytes(b"broken")
    assert np.array_equal(_photographs(photographs, tmp_path).labels, first.labels)


def test_a_part_of_a_split_is_read_alone(photographs: Path, tmp_path: Path):
    whole = _photographs(photographs, tmp_path)
    for split, part in (("train[5:33]", slice(5, 33)), ("train[:2]", slice(2)), ("train[90%:]", slice(36, 40))):
        found = _photographs(photographs, tmp_path, split)
        assert np.array_equal(found.central(), whole.central(np.arange(40)[part]))
        assert np.array_equal(found.labels, whole.labels[part])


def test_a_directory_that_cannot_be_written_costs_time_only(photographs: Path, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    assert len(_photographs(photographs, tmp_path / "file" / "cache")) == 40


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_damaged_records_are_refused(photographs: Path, tmp_path: Path, damage: str):
    place = tmp_path / "copy"
    shutil.copytree(photographs, place)
    records = sorted(place.rglob("*.tfrecord*"))[1]
    content = records.read_bytes()
    match damage:
        case "cut":
            records.write_bytes(content[: len(content) // 2])
        case "flipped":
            middle = len(content) // 2
            records.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
        case "missing":
            records.unlink()
    with pytest.raises(DataError, match="small_photographs.*--download to prepare them again") as caught:
        _photographs(place, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_a_file_that_was_cut_since_is_named(photographs: Path, tmp_path: Path):
    place = tmp_path / "copy"
    shutil.copytree(photographs, place)
    images = _photographs(place, tmp_path / "cache")
    os.truncate(images.spans.files[0], int(images.spans.offsets[0]) + 10)
    with pytest.raises(DataError, match=r"tfrecord-00000-of-00003 ends before its image"):
        images.central(np.array([0]))


def test_other_file_formats_are_told_of(tmp_path: Path):
    builder = tfds.builder("small_photographs", data_dir=str(tmp_path), file_format="array_record")
    builder.download_and_prepare()
    for storage in ("encoded", "memory"):
        with pytest.raises(DataError, match="prepared as array_record files, but tfrecord files are needed"):
            _photographs(tmp_path, tmp_path, storage=storage)


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
