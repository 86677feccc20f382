"""Images that are decoded once for all runs: made whole or not at all, found again, made anew where they changed."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairdarts_tf.data import EncodedImages, cache, load_dataset
from fairdarts_tf.errors import DataError

COUNT = 6


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(COUNT):
        path = tmp_path / "images" / "train" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "images"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "new" / "cache"


def _load(root: Path, place: Path, size: int = 8) -> np.ndarray:
    return load_dataset(f"folder:{root}", image_size=size, storage="disk", cache_dir=str(place)).images


def _files(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.suffix != ".lock")


def test_a_second_run_decodes_nothing(root: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    first = _load(root, place)
    assert "decoding 6 images into" in capsys.readouterr().err
    assert np.array_equal(first, load_dataset(f"folder:{root}", image_size=8).images)

    def refuse(images: EncodedImages) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(EncodedImages, "squares", refuse)
    assert np.array_equal(_load(root, place), first)
    assert len(_files(place)) == 1 and not capsys.readouterr().err
    assert np.array_equal(np.load(place / _files(place)[0]), first)


def test_what_changed_is_decoded_anew(root: Path, place: Path):
    before = np.array(_load(root, place))
    file = root / "train" / "a" / "0.png"
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(file)
    assert not _load(root, place)[0].any()
    (root / "train" / "b" / "5.png").unlink()
    assert len(_load(root, place)) == COUNT - 1
    assert _load(root, place, size=9).shape == (COUNT - 1, 9, 9, 3)
    assert len(_files(place)) == 4
    assert np.array_equal(_load(root, place)[1:], before[1:-1])


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_file_is_made_anew(root: Path, place: Path, damage: str):
    before = np.array(_load(root, place))
    path = place / _files(place)[0]
    if damage == "other":
        np.save(path, np.zeros((2, 2), np.uint8))
    else:
        os.truncate(path, 0 if damage == "empty" else path.stat().st_size - 100)
    assert np.array_equal(_load(root, place), before)
    assert len(_files(place)) == 1


def test_a_broken_image_leaves_nothing(root: Path, place: Path):
    (root / "train" / "b" / "3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot decode image .*3\.png"):
        _load(root, place)
    assert not _files(place)


def test_what_a_killed_process_left_is_removed(root: Path, place: Path):
    _load(root, place)
    path = place / _files(place)[0]
    shutil.copy(path, place / f".{path.name}.abcd1234.tmp")
    _load(root, place)
    assert _files(place) == [path.name]


def test_several_processes_decode_once(root: Path, place: Path, monkeypatch: pytest.MonkeyPatch):
    """As several workers of one machine; here threads, with the lock that holds between them too."""
    decoded, squares = [], EncodedImages.squares
    monkeypatch.setattr(EncodedImages, "squares", lambda images: decoded.append(1) or squares(images))
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(_load(root, place))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(decoded) == 1
    assert all(np.array_equal(images, found[0]) for images in found)


def test_no_room_and_no_directory(root: Path, place: Path, monkeypatch: pytest.MonkeyPatch):
    place.parent.mkdir()
    place.write_text("a file")
    with pytest.raises(DataError, match="--cache_dir=.*cache.*Name a directory"):
        _load(root, place)
    place.unlink()
    usage = shutil.disk_usage(root)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage._replace(free=100))
    with pytest.raises(DataError, match="GiB free. Name another --cache_dir"):
        _load(root, place)
    assert not _files(place)
