"""Checkpoints: two are kept, and no damage to one is ever taken for a state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairdarts_tf.checkpoints import list_checkpoints, load_checkpoint, load_latest, save_checkpoint
from fairdarts_tf.errors import RunError

ARRAYS = {"state/alphas": np.arange(6, dtype=np.float32).reshape(2, 3), "seconds_in_epoch": np.float64(1.5)}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "checkpoints", 12, ARRAYS)


def assert_whole(arrays: dict[str, np.ndarray]) -> None:
    assert sorted(arrays) == ["seconds_in_epoch", "state/alphas", "step"]
    for name, value in ARRAYS.items():
        assert arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(arrays[name], value)


def test_reads_what_was_saved(saved: Path):
    arrays = load_checkpoint(saved)
    assert_whole(arrays)
    assert arrays["step"] == 12


def test_keeps_the_last_two_and_leaves_other_files_alone(saved: Path):
    stray = saved.parent / "notes.txt"
    stray.write_text("kept")
    for step in (100, 20):
        save_checkpoint(saved.parent, step, ARRAYS)
    assert [path.name for path in list_checkpoints(saved.parent)] == [
        "checkpoint-000000020.npz",
        "checkpoint-000000100.npz",
    ]
    assert sorted(path.name for path in saved.parent.iterdir() if path.suffix != ".npz") == ["notes.txt"]


def test_passes_over_newer_ones_that_are_broken(saved: Path):
    newer = saved.parent / "checkpoint-000000013.npz"
    newer.write_bytes(saved.read_bytes()[:-1])
    arrays, errors = load_latest(saved.parent)
    assert_whole(arrays)
    assert [str(newer) in str(error) for error in errors] == [True]


def test_no_checkpoint_at_all(tmp_path: Path):
    assert load_latest(tmp_path / "checkpoints") == (None, [])


def test_refuses_where_none_is_whole(saved: Path):
    saved.write_bytes(b"")
    with pytest.raises(RunError, match=saved.name):
        load_latest(saved.parent)


def test_every_truncation_is_found(saved: Path):
    content = saved.read_bytes()
    for length in range(0, len(content), 7):
        saved.write_bytes(content[:length])
        with pytest.raises(RunError, match="corrupt or truncated"):
            load_checkpoint(saved)


def test_no_changed_byte_gives_another_state(saved: Path):
    """A flipped bit is found, or lies where the archive keeps nothing of the state, as in a date."""
    content = saved.read_bytes()
    found = 0
    for position in range(len(content)):
        saved.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            assert_whole(load_checkpoint(saved))
        except RunError:
            found += 1
    assert found > len(content) / 2


@pytest.mark.parametrize("other", ["array", "pickle", "text"])
def test_refuses_what_is_no_archive(saved: Path, other: str):
    with open(saved, "wb") as file:
        if other == "text":
            file.write(b"no archive")
        else:
            np.save(file, np.array([{}]) if other == "pickle" else np.arange(3), allow_pickle=True)
    with pytest.raises(RunError, match="corrupt or truncated"):
        load_checkpoint(saved)


def test_refuses_another_format(saved: Path):
    with open(saved, "wb") as file:
        np.savez(file, format_version=np.int64(99), step=np.int64(12))
    with pytest.raises(RunError, match="format 99"):
        load_checkpoint(saved)


def test_a_failed_write_leaves_the_older_ones(saved: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(saved.parent, 13, ARRAYS)
    assert list(saved.parent.iterdir()) == [saved]
