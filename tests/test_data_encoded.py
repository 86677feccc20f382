"""Images that stay encoded: the same as decoded ones but for random crops, which see all of an image."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from photographs import ODD, TRAIN, write_folder
from PIL import Image

from fairdarts_tf.data import Augmentation, EncodedImages, load_dataset, statistics_for
from fairdarts_tf.data.decoding import as_plain_image, decode_image
from fairdarts_tf.data.encoded import Spans
from fairdarts_tf.data.fetching import broken_images_named, source_of
from fairdarts_tf.data.pipeline import evaluation_batches, train_batches
from fairdarts_tf.data.rows import Parts
from fairdarts_tf.errors import DataError

SIZES = {"image_size": 28, "resize_size": 32}
SETTINGS = {"batch_size": 4, "mean": np.full(3, 0.4, np.float32), "std": np.full(3, 0.2, np.float32)}
RECIPE = Augmentation(padding=0, flip=True, resized_crop=True, color_jitter=0.4)
BARE = Augmentation(padding=0, flip=False, resized_crop=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="module")
def encoded(root: Path) -> EncodedImages:
    return load_dataset(f"folder:{root}", storage="encoded", **SIZES)


def _take(batches: tf.data.Dataset, count: int, skip: int = 0) -> list[np.ndarray]:
    elements = itertools.islice(batches.as_numpy_iterator(), skip, skip + count)
    return [array for element in elements for array in tf.nest.flatten(element)]


def _train(images: EncodedImages, augmentation: Augmentation = BARE, **options: object) -> tf.data.Dataset:
    return train_batches(images, np.arange(len(images)), seed=1, augmentation=augmentation, **SETTINGS | options)


def test_nothing_is_decoded_before_it_is_needed(root: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> bytes:
        raise AssertionError("an image was read")

    monkeypatch.setattr(Spans, "read", refuse)
    images = load_dataset(f"folder:{root}", storage="encoded", **SIZES)
    assert len(images) == TRAIN + len(ODD) and images.image_shape == (28, 28, 3)
    assert images.class_names == ("china", "flower", "hopper")
    statistics_for("imagenet2012", images)


def test_central_squares_are_to_the_bit_what_memory_and_disk_hold(root: Path, encoded: EncodedImages, tmp_path: Path):
    memory = load_dataset(f"folder:{root}", **SIZES)
    disk = load_dataset(f"folder:{root}", storage="disk", cache_dir=str(tmp_path), **SIZES)
    assert memory.images.shape == disk.images.shape == (TRAIN + len(ODD), 32, 32, 3)
    assert isinstance(disk.images, np.memmap) and not isinstance(memory.images, np.memmap)
    assert np.array_equal(memory.images, disk.images)
    assert np.array_equal(memory.central(), encoded.central())
    assert np.array_equal(memory.labels, encoded.labels)
    order = np.array([5, 1, 26])
    assert np.array_equal(memory.central(order), encoded.central(order))
    for images in (disk, encoded):
        for first, second in zip(
            _take(evaluation_batches(memory, order, **SETTINGS), 9),
            _take(evaluation_batches(images, order, **SETTINGS), 9),
            strict=True,
        ):
            assert np.array_equal(first, second)


def test_the_margin_is_that_of_scaling_first_and_cropping_then(root: Path, encoded: EncodedImages):
    """As torchvision's Resize(32) and CenterCrop(28) have it."""
    image = Image.open(encoded.spans.name(0)).convert("RGB")
    scale = 32 / min(image.size)
    scaled = image.resize([max(32, round(length * scale)) for length in image.size], Image.Resampling.BILINEAR)
    left, top = (round((length - 28) / 2) for length in scaled.size)
    expected = np.asarray(scaled.crop((left, top, left + 28, top + 28)), np.float64)
    # The long side's scale is rounded there; with it, by half a pixel at most, the place.
    assert np.abs(encoded.central(np.array([0]))[0] - expected).mean() < 6


def test_random_parts_are_those_that_pillow_cuts_and_scales(encoded: EncodedImages):
    source, order = source_of(encoded), tf.constant([0, 7, 12, 27], tf.int64)
    opened, sizes = source.open(order)
    for index, content, size in zip(order.numpy(), opened, sizes.numpy(), strict=True):
        whole = decode_image(encoded.spans.name(index))
        assert tuple(size) == whole.shape[:2]
        top, left, height, width = box = [size[0] // 5, size[1] // 7, size[0] // 2, size[1] // 3]
        found = source.cut(content, tf.constant(box)).numpy().astype(int)
        difference = np.abs(found - whole[top : top + height, left : left + width])
        # At its edge a part has no neighbours to interpolate colours from.
        assert difference[2:-2, 2:-2].max() == 0 and difference.mean() < 0.5


def test_batches_see_all_of_an_image(encoded: EncodedImages, root: Path):
    """Of images whose pixels tell where they are, parts beyond the central square occur."""
    ramp = np.zeros((40, 120, 3), np.uint8) + np.arange(120, dtype=np.uint8)[:, np.newaxis] * 2
    stored = io.BytesIO()
    Image.fromarray(ramp).save(stored, "JPEG", quality=100)
    (root.parent / "ramp.jpg").write_bytes(stored.getvalue())
    files = Spans.of_files([str(root.parent / "ramp.jpg")] * 64)
    images = EncodedImages(files, np.zeros(64, np.int32), ("a",), 3, 16, 20)
    plain = {"mean": np.zeros(3), "std": np.ones(3), "batch_size": 64}
    pixels = _take(_train(images, **plain), 1)[0] * 255
    assert pixels.min() < 20 and pixels.max() > 220
    central = images.central(np.array([0]))
    assert central.min() > 60 and central.max() < 180


def test_odd_files_are_encoded_again_without_loss(root: Path):
    for name in ODD:
        file = root / "train" / "china" / name
        content, height, width = as_plain_image(file.read_bytes(), name, 10_000)
        expected = decode_image(file)
        assert (content == file.read_bytes()) == (name == "grey.jpg"), "a grey JPEG is as plain as any"
        assert (height, width) == expected.shape[:2]
        decode = tf.io.decode_bmp if content.startswith(b"BM") else tf.io.decode_jpeg
        options = {} if decode is tf.io.decode_bmp else {"dct_method": "INTEGER_ACCURATE"}
        assert np.array_equal(decode(content, channels=3, **options), expected)
    small, height, width = as_plain_image((root / "train" / "china" / "png.jpg").read_bytes(), "png.jpg", 50)
    assert min(height, width) == 50 and Image.open(io.BytesIO(small)).size == (width, height)


def test_a_resumed_run_sees_what_an_uninterrupted_one_would(encoded: EncodedImages):
    """From within the second epoch of 7 steps on."""
    whole, resumed = _take(_train(encoded, RECIPE), 2, skip=8), _take(_train(encoded, RECIPE, first_step=8), 2)
    assert all(map(np.array_equal, whole, resumed))


def test_both_forms_shuffle_alike_and_draw_the_same_chance(root: Path, encoded: EncodedImages):
    memory = load_dataset(f"folder:{root}", **SIZES)
    padded = Augmentation(padding=4, cutout=5)
    for first, second in zip(_take(_train(encoded, padded), 2), _take(_train(memory, padded), 2), strict=True):
        assert np.array_equal(first, second)
    assert np.array_equal(_take(_train(encoded), 1)[1], _take(_train(memory), 1)[1])


def test_parts_make_up_the_batches_and_read_nothing_else(encoded: EncodedImages, monkeypatch: pytest.MonkeyPatch):
    images = encoded.relabelled(np.arange(len(encoded), dtype=np.int32), tuple(map(str, range(len(encoded)))))
    whole = _take(_train(images, batch_size=6), 40)
    read: list[int] = []
    read_whole = Spans.read
    monkeypatch.setattr(Spans, "read", lambda spans, index: read.append(int(index)) or read_whole(spans, index))
    # Of three replicas two are on one machine, and one on another.
    second = _take(_train(images, batch_size=6, parts=Parts(2, 3, 3)), 2)
    ahead = len(read) // 2
    assert Counter(read) == Counter(np.concatenate([labels[4:] for labels in whole[1 : 2 * ahead : 2]]).tolist())
    first = _take(_train(images, batch_size=6, parts=Parts(0, 2, 3)), 4)
    for step, kind in itertools.product(range(2), range(2)):
        places = [first[4 * step + kind], first[4 * step + 2 + kind], second[2 * step + kind]]
        assert [len(place) for place in places] == [2, 2, 2]
        assert np.array_equal(np.concatenate(places), whole[2 * step + kind])


def test_uneven_parts_of_an_evaluation(encoded: EncodedImages):
    options = SETTINGS | {"batch_size": 8}
    whole = _take(evaluation_batches(encoded, np.arange(11), least=3, **options), 2)
    parts = _take(evaluation_batches(encoded, np.arange(11), least=3, parts=Parts(0, 3, 3), **options), 6)
    assert [len(labels) for labels in parts[1::2]] == [2, 3, 3, 1, 1, 1]
    assert np.array_equal(np.concatenate(parts[0::2]), np.concatenate(whole[0::2]))


def _broken(content: bytes, damage: str) -> bytes:
    match damage:
        case "cut":
            return content[: len(content) // 2]
        case "text":
            return b"no image"
        case "empty":
            return b""
        case "tables":
            start = content.index(b"\xff\xc4")  # of the Huffman tables, which Pillow reads only when it decodes
            return content[: start + 5] + b"\xff" * 16 + content[start + 21 :]


@pytest.fixture
def with_damage(root: Path, encoded: EncodedImages, tmp_path: Path) -> Iterator[tuple[Path, EncodedImages]]:
    """A copy of a file that takes the place of one of the images."""
    path = tmp_path / "broken.jpg"
    path.write_bytes(Path(encoded.spans.name(3)).read_bytes())
    files = [encoded.spans.name(index) for index in range(8)]
    files[3] = str(path)
    yield path, EncodedImages(Spans.of_files(files), encoded.labels[:8], encoded.class_names, 3, 28, 32)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "tables", "gone"])
@pytest.mark.parametrize("kind", ["train", "evaluation"])
def test_a_broken_image_is_named(with_damage: tuple[Path, EncodedImages], damage: str, kind: str):
    path, images = with_damage
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(_broken(path.read_bytes(), damage))
    batches = _train(images) if kind == "train" else evaluation_batches(images, None, **SETTINGS)
    with pytest.raises(DataError) as caught, broken_images_named(images):
        _take(batches, 8)
    assert "cannot decode image" in str(caught.value) and "broken.jpg" in str(caught.value)
    assert "\n" not in str(caught.value) and str(caught.value).endswith("Replace or remove the file.")


def test_grey_networks_see_grey_levels(root: Path):
    files = sorted((root / "train" / "china").iterdir())
    images = EncodedImages(Spans.of_files(list(map(str, files))), np.zeros(len(files), np.int32), ("a",), 1, 28, 32)
    grey = {"mean": np.zeros(1), "std": np.ones(1), "batch_size": len(files)}
    pixels, _ = _take(_train(images, **grey), 1)
    assert pixels.shape == (len(files), 28, 28, 1) and 0 <= pixels.min() < 0.3 and 0.7 < pixels.max() <= 1
    source = source_of(images)
    opened, sizes = source.open(tf.range(len(files), dtype=tf.int64))
    for file, content, (height, width) in zip(files, opened, sizes.numpy(), strict=True):
        whole = decode_image(file, channels=1)
        if whole.shape[:2] == (height, width):
            found = source.cut(content, tf.constant([0, 0, height, width])).numpy().astype(int)
            assert np.abs(found - whole).mean() < 0.5, "one decoder takes a JPEG's own grey levels, one those of RGB"


def test_a_file_that_grows_without_a_bound_is_not_read(tmp_path: Path):
    path = tmp_path / "vast.jpg"
    with open(path, "wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match="vast.jpg: it has 1099511627776 bytes"):
        Spans.of_files([str(path)]).read(0)


def test_the_size_of_squares_is_needed(root: Path):
    for storage in ("encoded", "disk"):
        with pytest.raises(DataError, match="--image_size"):
            load_dataset(f"folder:{root}", storage=storage, cache_dir="/nowhere")


def test_auto_decodes_what_fits(root: Path, monkeypatch: pytest.MonkeyPatch):
    from fairdarts_tf.data import storage

    assert not isinstance(load_dataset(f"folder:{root}", storage="auto", **SIZES), EncodedImages)
    monkeypatch.setattr(storage, "AUTO_BYTES", 28 * 32 * 32 * 3 - 1)
    assert isinstance(load_dataset(f"folder:{root}", storage="auto", **SIZES), EncodedImages)
    monkeypatch.setattr(storage, "AUTO_BYTES", 28 * 32 * 32 * 3)
    assert not isinstance(load_dataset(f"folder:{root}", storage="auto", **SIZES), EncodedImages)
