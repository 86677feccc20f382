"""Image folders that a stranger packed: loaded, or refused with one line that names the file, and never a wait."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import socket
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fuzzing import FAST_AND_SLOW, fuzz, little_is_taken, nothing_runs
from hypothesis import strategies as st
from PIL import Image

from fairdarts_tf.data import load_dataset
from fairdarts_tf.data.decoding import check_image
from fairdarts_tf.errors import DataError

KINDS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
MODES = ("RGB", "L", "1", "P", "LA", "RGBA", "CMYK", "I;16", "HSV", "F")


def picture(mode: str = "RGB", size: tuple[int, int] = (10, 10)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return Image.fromarray(pixels).convert(mode)


@functools.cache
def encoded(kind: str, mode: str = "RGB", frames: int = 1) -> bytes | None:
    """Returns a picture as a file, None where the kind has no such pictures."""
    file = io.BytesIO()
    first, *others = (picture(mode) for _ in range(frames))
    options = {"save_all": True, "append_images": others} if others and kind != "BMP" else {}
    try:
        first.save(file, kind, **options)
    except (OSError, KeyError, ValueError):
        return None
    return file.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of two classes, each with one image."""
    for name in ("ant", "cat"):
        (tmp_path / "train" / name).mkdir(parents=True)
        picture().save(tmp_path / "train" / name / "a.png")
    return tmp_path


def loads_or_refuses(root: Path, **settings: int) -> np.ndarray | None:
    """Returns the images, or None where they were refused as they should be; whatever else is raised fails the test."""
    with nothing_runs(), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = load_dataset(f"folder:{root}", **settings).images
        except DataError as error:
            message = str(error)
            found = None
    if found is None:
        assert "\n" not in message and len(message) < 1_000 + len(str(root)) and "_io.Buffered" not in message
        return None
    assert found.dtype == np.uint8 and found.ndim == 4 and 0 not in found.shape
    return found


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory):
    """What is imported with a first image, is imported before nothing may be."""
    root = tmp_path_factory.mktemp("warm")
    for name, kind in zip("ab", ("PNG", "JPEG"), strict=True):
        (root / "train" / name).mkdir(parents=True)
        (root / "train" / name / "a.png").write_bytes(encoded(kind))
    for kind in KINDS:
        for content in (encoded(kind), encoded(kind)[:60], b""):
            (root / "train" / "a" / "b.png").write_bytes(content)
            for settings in ({}, {"image_size": 5}):
                with contextlib.suppress(DataError):
                    load_dataset(f"folder:{root}", **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_of_any_mode(root: Path, kind: str):
    """Each mode that the kind can hold, still and moving, in its own size and resized."""
    file = root / "train" / "cat" / "b.jpg"
    contents = [encoded(kind, mode, frames) for mode in MODES for frames in (1, 3)]
    assert sum(content is not None for content in contents) >= 4
    for content in filter(None, contents):
        file.write_bytes(content)
        for settings in ({}, {"image_size": 8}):
            assert len(loads_or_refuses(root, **settings)) == 3


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "circle", "nowhere"])
def test_what_is_no_file_keeps_nobody_waiting(root: Path, kind: str, monkeypatch: pytest.MonkeyPatch):
    path = root / "train" / "cat" / "b.png"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            monkeypatch.chdir(path.parent)  # A socket's path must be short.
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path.name)
        case "device":
            path.symlink_to("/dev/zero")
        case "circle":
            path.symlink_to(path)
        case "nowhere":
            path.symlink_to(root / "nowhere")
    assert loads_or_refuses(root) is None
    with pytest.raises(DataError):
        check_image(path)


def test_classes_that_are_no_folders(root: Path):
    os.mkfifo(root / "train" / "pipe")
    (root / "train" / "zero").symlink_to("/dev/zero")
    (root / "train" / "circle").symlink_to(root / "train" / "circle")
    assert len(loads_or_refuses(root)) == 2
    os.mkfifo(root / "test")
    with pytest.raises(DataError, match="no folder"):
        load_dataset(f"folder:{root}", "test")


UNICODE = [
    "\u00e9",
    "e\u0301",
    "\u732b",
    "\U0001f600",
    "\u05d0\u05d1",
    "a b",
    " ",
    "\u200b",
    "-",
    "%s{0}",
    "\u2028",
    "'\"",
    "a\nb",
]


def test_names_in_any_script(root: Path):
    for name in UNICODE:
        (root / "train" / name).mkdir()
        picture().save(root / "train" / name / f"{name}.png")
    names = load_dataset(f"folder:{root}").class_names
    assert names == tuple(sorted(["ant", "cat", *UNICODE]))


def test_names_that_are_no_text(root: Path):
    """A file's name is a matter of the disk; a class' name is written into texts."""
    odd = os.fsdecode(b"\xff\xfe")
    picture().save(root / "train" / "cat" / f"{odd}.png")
    assert len(loads_or_refuses(root)) == 3
    (root / "train" / odd).mkdir()
    picture().save(root / "train" / odd / "a.png")
    with pytest.raises(DataError, match="no UTF-8") as caught:
        load_dataset(f"folder:{root}")
    str(caught.value).encode()


@pytest.mark.parametrize("path", ["", "\0", "~nobody-of-this-name/images", "x" * 5000, "/dev/null", "/proc/self/mem"])
def test_paths_that_lead_nowhere(path: str):
    with pytest.raises(DataError) as caught:
        load_dataset(f"folder:{path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["train", "cat"])
def test_a_folder_that_cannot_be_read_is_named(root: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    """As permissions would have it, by which the user of a test may not be bound."""
    listed = os.scandir

    def refuse(folder: Path) -> Iterator[os.DirEntry[str]]:
        if folder.name == name:
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=f"{name} cannot be read: Permission denied"):
        load_dataset(f"folder:{root}")


def test_small_images_of_any_proportion(root: Path):
    for name, size in (("point", (1, 1)), ("wide", (20_000, 1)), ("high", (1, 20_000))):
        picture(size=size).save(root / "train" / "cat" / f"{name}.png")
    with little_is_taken():
        assert loads_or_refuses(root, image_size=16).shape == (5, 16, 16, 3)
    assert loads_or_refuses(root) is None


def _sized(kind: str, side: int) -> bytes:
    """Returns a small file that claims an image of so many pixels a side."""
    content = encoded(kind)
    match kind:
        case "JPEG":
            start = content.index(b"\xff\xc0") + 5
            return content[:start] + struct.pack(">HH", side, side) + content[start + 4 :]
        case "GIF":
            content = content[:6] + struct.pack("<HH", side, side) + content[10:]
            start = content.index(b",\0\0\0\0") + 5
            return content[:start] + struct.pack("<HH", side, side) + content[start + 4 :]
        case "BMP":
            return content[:18] + struct.pack("<ii", side, side) + content[26:]
        case "WEBP":
            start = content.index(b"\x9d\x01\x2a") + 3
            return content[:start] + struct.pack("<HH", side, side) + content[start + 4 :]
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


@pytest.mark.parametrize("kind", KINDS)
def test_small_files_that_claim_vast_images(root: Path, kind: str):
    for side in (8_001, 16_383):
        (root / "train" / "cat" / "b.png").write_bytes(_sized(kind, side))
        with little_is_taken():
            assert loads_or_refuses(root, image_size=8) is None


@FAST_AND_SLOW
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_images(root: Path, examples: int, kind: str):
    """Bytes changed, cut out or put in anywhere, and the end cut off."""
    path = root / "train" / "cat" / "b.png"
    # Moving images have more parts that can be wrong.
    whole = encoded(kind, "RGB", 1 if kind in ("JPEG", "BMP") else 2)
    changes = st.tuples(st.integers(0, len(whole)), st.integers(0, 3), st.binary(max_size=4))
    damages = st.tuples(st.lists(changes, max_size=3), st.none() | st.integers(0, len(whole)), st.sampled_from([0, 8]))

    def check(damage: tuple[list[tuple[int, int, bytes]], int | None, int]) -> None:
        edits, length, size = damage
        content = whole
        for position, removed, put in edits:
            content = content[:position] + put + content[position + removed :]
        path.write_bytes(content[:length])
        loads_or_refuses(root, **({"image_size": size} if size else {}))

    fuzz(check, damages, examples)
