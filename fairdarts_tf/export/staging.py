"""A directory that is written elsewhere first, and put in place when it is known to be good."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yields an empty directory whose entries move into ``target`` when the block ends without an error.

    Entries of the same names are replaced, others stay. After an error, also one of the move itself, ``target`` is what
    it was before.

    Args:
        target: A directory, or a path where there is none yet.

    Raises:
        OSError: When nothing can be written there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Within a target that exists: it may be a disk of its own, and only a rename on one disk is atomic.
    place = target if target.is_dir() else target.parent
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=place))
    try:
        content = temporary / "new"
        content.mkdir()
        yield content
        _sync(content)
        if target.is_dir():
            _replace_entries(content, target, temporary / "old")
        else:
            content.rename(target)
    except OSError as error:
        # The temporary name means nothing to a user.
        raise OSError(error.errno, error.strerror or str(error), str(target)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_entries(content: Path, target: Path, old: Path) -> None:
    """Moves entries into ``target``, and those that they replace into ``old``; undoes it all if one move fails."""
    old.mkdir()
    names = sorted(entry.name for entry in content.iterdir())
    try:
        for name in names:
            if os.path.lexists(target / name):
                (target / name).rename(old / name)
            (content / name).rename(target / name)
    except BaseException:
        # What was moved is read from the disk: an interrupt may come between a move and a note of it.
        for name in names:
            if not os.path.lexists(content / name):
                (target / name).rename(content / name)
            if os.path.lexists(old / name):
                (old / name).rename(target / name)
        raise


def _sync(directory: Path) -> None:
    """Writes all files to disk, which is where a full one is noticed at the latest."""
    for path in directory.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
