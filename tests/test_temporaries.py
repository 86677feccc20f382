"""Temporary names: what a kill leaves under one is ended or removed by whoever comes next, and nothing else is."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fairdarts_tf.files import settle, staged, write_directory_atomically, write_text_atomically
from fairdarts_tf.temporaries import IDLE_SECONDS, left_behind, remove_leftovers, temporary_file


def killed(work: Callable[[], object]) -> None:
    """Does something in a process of its own, which must end without a chance to tidy up."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_only_temporary_names_are_taken_for_such(tmp_path: Path):
    ours = [".a.npz.abcd_123.tmp", ".b.npz.abcd_123.tmp"]
    others = [".a.npz.abc.tmp", ".a.npz.ABCD_123.tmp", "a.npz", ".a.npz", "a.npz.abcd_123.tmp", ".abcd_123.tmp"]
    for name in ours + others:
        (tmp_path / name).touch()
    (tmp_path / ".c.npz.abcd_123.tmp").symlink_to(tmp_path / "a.npz")
    os.mkfifo(tmp_path / ".d.npz.abcd_123.tmp")
    remove_leftovers(tmp_path, "a.npz")
    assert not (tmp_path / ours[0]).exists() and (tmp_path / ours[1]).exists()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*others, ".c.npz.abcd_123.tmp", ".d.npz.abcd_123.tmp"])
    remove_leftovers(tmp_path / "absent")


def test_what_is_being_written_is_left_alone(tmp_path: Path):
    with temporary_file(tmp_path / "a") as (file, temporary):
        remove_leftovers(tmp_path)
        write_text_atomically(tmp_path / "a", "of another writer")
        file.write(b"mine")
        assert list(left_behind(tmp_path)) == []
        assert temporary.exists()
    assert os.listdir(tmp_path) == ["a"]


def test_the_next_writer_of_a_name_removes_what_a_killed_one_left(tmp_path: Path):
    def write_half(name: str) -> Callable[[], None]:
        def write() -> None:
            with temporary_file(tmp_path / name):
                os._exit(0)

        return write

    for name in ("a", "b"):
        killed(write_half(name))
    assert len(os.listdir(tmp_path)) == 2
    write_text_atomically(tmp_path / "a", "whole")
    assert (tmp_path / "a").read_text() == "whole"
    assert [path.name.startswith(".b.") for path in left_behind(tmp_path)] == [True]


def test_a_name_that_is_taken_for_one_that_was_left_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another process looks between the making of a file and its holding."""
    lock, calls = fcntl.flock, []

    def looked_at(descriptor: int, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            remove_leftovers(tmp_path)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", looked_at)
    write_text_atomically(tmp_path / "a", "whole")
    assert len(calls) == 3
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "whole")]


def test_without_locks_only_what_was_long_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    old, fresh = tmp_path / ".a.abcd_123.tmp", tmp_path / ".b.abcd_123.tmp"
    for path in (old, fresh):
        path.touch()
    an_hour_ago = time.time() - IDLE_SECONDS - 1
    os.utime(old, (an_hour_ago, an_hour_ago))
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [fresh]
    write_text_atomically(tmp_path / "b", "whole")
    assert (tmp_path / "b").read_text() == "whole"


def test_a_directory_that_a_kill_left_half_filled_is_removed(tmp_path: Path):
    def fill(directory: Path) -> None:
        (directory / "half").touch()
        os._exit(0)

    killed(lambda: write_directory_atomically(tmp_path / "target", fill))
    (left,) = tmp_path.iterdir()
    assert (left / "new" / "half").exists()
    write_directory_atomically(tmp_path / "target", lambda directory: (directory / "whole").touch())
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["target", "target/whole"]


KEPT, BEFORE, AFTER = {"kept": "kept"}, {"a": "old", "c": "old"}, {"a": "new", "b": "new", "c": "new"}


def content(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


def write(directory: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (directory / name).write_text(text)


@pytest.mark.parametrize("moves", range(7))
def test_what_a_kill_interrupted_in_taking_its_place_takes_it(tmp_path: Path, moves: int):
    """Three entries, of which two replace others, take five moves: a kill before each of them, and after all."""
    target = tmp_path / "target"
    target.mkdir()
    write(target, KEPT | BEFORE)

    def replace() -> None:
        rename, done = Path.rename, []

        def counted(self: Path, other: Path) -> Path:
            if len(done) == moves - 1:
                os._exit(0)
            done.append(other)
            return rename(self, other)

        Path.rename = counted
        with staged(target) as directory:
            write(directory, AFTER)
            if moves == 0:
                os._exit(0)
        os._exit(0)

    killed(replace)
    remove_leftovers(target)  # As a run's start does: it must not cost what is found nowhere else.
    settle(target)
    assert content(target) == KEPT | (BEFORE if moves == 0 else AFTER)
    assert os.listdir(tmp_path) == ["target"]


def test_what_a_kill_left_beside_a_new_directory_is_removed(tmp_path: Path):
    def fill() -> None:
        with staged(tmp_path / "target") as directory:
            write(directory, AFTER)
            os._exit(0)

    killed(fill)
    assert len(os.listdir(tmp_path)) == 1
    settle(tmp_path / "target")
    assert os.listdir(tmp_path) == []
