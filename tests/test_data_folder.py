"""Folders of images: every kind of file, and every layout that is refused."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairdarts_tf.data import load_dataset
from fairdarts_tf.errors import DataError

RANDOM = np.random.default_rng(0)


def _load(root: Path, split: str = "train", **settings: int):
    return load_dataset(f"folder:{root}", split, **settings)


def _save(path: Path, image: Image.Image | None = None, **settings: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or _noise()).save(path, **settings)
    return path


def _noise(height: int = 10, width: int = 10) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("train/cat/a.png", "train/cat/b.PNG", "train/ant/c.png"):
        _save(tmp_path / name)
    return tmp_path


def _only(root: Path, image: Image.Image, name: str = "x.png", **settings: object) -> np.ndarray:
    """Returns what an image in a class of its own is loaded as."""
    _save(root / "train" / "only" / name, image, **settings)
    return _load(root).images[-1]


def test_classes_are_sorted_and_images_kept(root: Path):
    data = _load(root)
    assert data.class_names == ("ant", "cat")
    assert data.labels.tolist() == [0, 1, 1]
    files = ("train/ant/c.png", "train/cat/a.png", "train/cat/b.PNG")
    for image, name in zip(data.images, files, strict=True):
        assert np.array_equal(image, np.asarray(Image.open(root / name)))


def test_test_images_get_the_labels_of_train_even_where_a_class_is_absent(root: Path):
    _save(root / "test" / "cat" / "t.png")
    data = _load(root, "test")
    assert data.labels.tolist() == [1]
    assert data.class_names == ("ant", "cat")


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "jpeg"])
def test_jpeg(root: Path, suffix: str):
    image = Image.new("RGB", (10, 10), (200, 100, 50))
    assert np.abs(_only(root, image, f"x.{suffix}").astype(int) - [200, 100, 50]).max() <= 3


def test_the_orientation_of_a_photograph_is_applied(root: Path):
    image = _noise()
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by a quarter.
    loaded = _only(root, image, "x.png", exif=exif)
    assert np.array_equal(loaded, np.rot90(np.asarray(image), -1))


def test_grey_levels_of_16_bits_are_scaled(root: Path):
    values = np.arange(100, dtype=np.uint16).reshape(10, 10) * 655
    loaded = _only(root, Image.fromarray(values))
    assert np.array_equal(loaded, np.repeat((values >> 8)[..., None], 3, axis=-1))


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_other_modes_become_rgb(root: Path, mode: str):
    image = _noise().convert(mode)
    assert np.array_equal(_only(root, image), np.asarray(image.convert("RGB")))


def test_cmyk_becomes_rgb(root: Path):
    image = Image.new("RGB", (10, 10), (250, 120, 10)).convert("CMYK")
    assert np.abs(_only(root, image, "x.jpg").astype(int) - [250, 120, 10]).max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_moving_image_counts_by_its_first_frame(root: Path, kind: str):
    first, second = Image.new("RGB", (10, 10), (255, 0, 0)), Image.new("RGB", (10, 10), (0, 0, 255))
    loaded = _only(root, first, format=kind, save_all=True, append_images=[second])
    assert np.array_equal(loaded[0, 0], [255, 0, 0])


@pytest.mark.parametrize("kind", ["WEBP", "BMP", "MPO"])
def test_a_file_of_another_kind_than_its_suffix_says_is_decoded(root: Path, kind: str):
    settings = {"save_all": True, "append_images": [_noise()]} if kind == "MPO" else {}
    loaded = _only(root, Image.new("RGB", (10, 10), (255, 0, 0)), "x.jpg", format=kind, **settings)
    assert np.abs(loaded.astype(int) - [255, 0, 0]).max() <= 3


def test_the_short_side_is_resized_and_the_long_one_cropped_at_the_centre(root: Path):
    wide = _noise(20, 60)
    _save(root / "train" / "only" / "x.png", wide)
    loaded = _load(root, image_size=5).images[-1]
    expected = wide.resize((15, 5), Image.Resampling.BILINEAR).crop((5, 0, 10, 5))
    assert np.abs(loaded.astype(int) - np.asarray(expected)).max() <= 1


def test_a_large_photograph_is_resized_right(root: Path):
    ramp = np.linspace(0, 255, 800).astype(np.uint8)
    image = Image.fromarray(np.repeat(np.tile(ramp, (800, 1))[..., None], 3, axis=-1))
    _save(root / "train" / "only" / "x.jpg", image, quality=95)
    loaded = _load(root, image_size=16).images[-1]
    exact = np.asarray(image.resize((16, 16), Image.Resampling.BOX))
    assert np.abs(loaded.astype(int) - exact).max() <= 8


def test_equal_images_that_are_no_squares_keep_their_size(tmp_path: Path):
    for name in ("a", "b"):
        _save(tmp_path / "train" / name / "x.png", _noise(6, 9))
    assert _load(tmp_path).image_shape == (6, 9, 3)


def test_hidden_other_and_nested_files_are_passed_over(root: Path):
    _save(root / "train" / ".hidden" / "x.png")
    _save(root / "train" / "cat" / ".x.png")
    _save(root / "train" / "cat" / "deeper" / "x.png")
    (root / "train" / "cat" / "notes.txt").write_text("x")
    (root / "train" / "cat" / "folder.png").mkdir()
    (root / "train" / "readme.png").write_text("x")
    assert len(_load(root)) == 3


def test_linked_classes_are_followed_and_circles_end(root: Path):
    _save(root / "elsewhere" / "x.png")
    (root / "train" / "linked").symlink_to(root / "elsewhere")
    (root / "train" / "cat" / "back").symlink_to(root / "train")
    (root / "train" / "self").symlink_to(root / "train" / "self")
    assert _load(root).class_names == ("ant", "cat", "linked")
    (root / "train" / "circle").symlink_to(root / "train")
    with pytest.raises(DataError, match="circle holds no images"):
        _load(root)


def _refused(root: Path | str, *words: str, split: str = "train", **settings: int) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(f"folder:{root}", split, **settings)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_wrong_layouts_are_refused(tmp_path: Path):
    layout = "PATH/train/CLASS/*.png"
    _refused("", "no image folder ''", layout)
    _refused(tmp_path / "absent", "absent", layout)
    _refused(tmp_path, "no folder", "train", layout)
    _save(tmp_path / "train" / "x.png")
    _refused(tmp_path, "no class folders", layout)
    _save(tmp_path / "train" / "cat" / "x.png")
    _refused(tmp_path, "only the class 'cat'", layout)
    (tmp_path / "train" / "ant").mkdir()
    _refused(tmp_path, "ant holds no images", layout)
    _save(tmp_path / "train" / "ant" / "x.png")
    assert len(_load(tmp_path)) == 2
    _refused(tmp_path, "no folder", "test", split="test")
    (tmp_path / "test").mkdir()
    _refused(tmp_path, "holds no images", split="test")
    _save(tmp_path / "test" / "dog" / "x.png")
    _refused(tmp_path, "class 'dog' that train lacks", split="test")


def test_sizes_that_differ_need_one_size(root: Path):
    _save(root / "train" / "cat" / "large.png", _noise(12, 14))
    _refused(root, "large.png is 14 x 12", "--image_size")
    assert _load(root, image_size=8).images.shape == (4, 8, 8, 3)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "dangling", "unreadable_chunk"])
@pytest.mark.parametrize("settings", [{}, {"image_size": 8}])
def test_a_broken_image_is_named(root: Path, damage: str, settings: dict[str, int]):
    file = _save(root / "train" / "cat" / "broken.png", _noise(40, 40))
    content = file.read_bytes()
    if damage == "dangling":
        file.unlink()
        file.symlink_to(root / "nowhere.png")
    else:
        file.write_bytes(
            {
                "empty": b"",
                "text": b"no image",
                "cut": content[: len(content) // 2],
                "unreadable_chunk": content[:60] + bytes(40) + content[100:],
            }[damage]
        )
    _refused(root, "cannot decode image", "broken.png", **settings)


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_a_small_file_that_claims_a_vast_image_is_refused(root: Path, side: int, recwarn: pytest.WarningsRecorder):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (root / "train" / "cat" / "bomb.png").write_bytes(bomb)
    _refused(root, "bomb.png", "pixels", image_size=8)
    assert not recwarn.list


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_an_image_without_the_right_to_read_it_is_named(root: Path):
    (root / "train" / "cat" / "a.png").chmod(0)
    _refused(root, "a.png", "Permission denied")
