"""Temporary names beside the files that they become, and what killed processes left under such names.

Who writes under one holds the kernel's lock (`flock`) on it until it has its final name. The kernel frees the lock of a
process that dies, however it dies: what nobody holds was left behind. Where a file system has no locks, it is what
nobody has touched for an hour.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

NEW, OLD = "new", "old"
"""Within a temporary directory: what it will become, and what that has replaced so far."""

IDLE_SECONDS = 3600

_NAME = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp")
_SUFFIX = ".tmp"


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Yields a new file beside ``path``, open for writing, and its name, under which nothing is left at the end.

    What killed processes left of the same file is removed first.

    Raises:
        OSError: When it cannot be made.
    """
    remove_leftovers(path.parent, path.name)
    descriptor, temporary = _held_file(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file, temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_directory(path: Path, place: Path) -> Iterator[Path]:
    """Yields a new directory in ``place``, named after ``path``; what is left of it at the end is removed.

    Raises:
        OSError: When it cannot be made.
    """
    remove_leftovers(place, path.name)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=place))
    try:
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            _hold(descriptor)
            yield temporary
        finally:
            os.close(descriptor)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(directory: Path, name: str | None = None) -> None:
    """Removes what killed processes left, but for directories whose content was taking its place.

    Args:
        directory: Where; may be absent.
        name: Of the file that they were to become. Defaults to None: any.
    """
    for left in left_behind(directory, name):
        with contextlib.suppress(OSError):
            if not left.is_dir():
                left.unlink()
            elif not (left / OLD).exists():
                shutil.rmtree(left)


def left_behind(directory: Path, name: str | None = None) -> Iterator[Path]:
    """Yields the temporary files and directories that nobody writes any more, each held meanwhile.

    Args:
        directory: Where; may be absent.
        name: Of the file that they were to become. Defaults to None: any.
    """
    try:
        paths = [entry for entry in directory.iterdir() if entry.name.endswith(_SUFFIX)]
    except OSError:
        return
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if not match or name not in (None, match[1]):
            continue
        with contextlib.suppress(OSError), _opened(path) as descriptor:
            if _is_left_behind(descriptor):
                yield path


def _held_file(path: Path) -> tuple[int, Path]:
    while True:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent)
        _hold(descriptor)
        # Otherwise it was taken for one that was left, between its making and its holding.
        if os.path.lexists(name):
            return descriptor, Path(name)
        os.close(descriptor)


def _hold(descriptor: int) -> None:
    # Some file systems have no locks, and some, as NFS, none on directories.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR
    descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_left_behind(descriptor: int) -> bool:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - status.st_mtime > IDLE_SECONDS
    return True
