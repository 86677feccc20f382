"""Writing files so that a reader finds the old content or the new one, never a half of either."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from fairdarts_tf.errors import RunError
from fairdarts_tf.temporaries import NEW, OLD, left_behind, temporary_directory, temporary_file

_SURROGATES = re.compile("[\ud800-\udfff]")


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file for reading, and nothing that would keep a reader waiting, as a named pipe may for ever.

    Raises:
        OSError: When it cannot be opened, or is a directory, a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    raise OSError(errno.EINVAL, "a pipe or a device, no file", os.fspath(path))


def readable(text: str | os.PathLike[str]) -> str:
    """Returns a path, or a text with paths in it, with U+FFFD for whatever is no UTF-8, so that it can be encoded."""
    return _SURROGATES.sub("\ufffd", os.fspath(text))


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Writes a file under a temporary name, syncs it to disk and renames it over ``path``.

    Args:
        path: The file's final name. Its directory must exist.
        write: Called with the open binary file.

    Raises:
        OSError: When the file cannot be written. Whatever ``path`` held before is untouched, and nothing is left
            beside it.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    with _errors_of(path), temporary_file(path) as (file, temporary):
        write(file)
        file.flush()
        os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    _sync_directory(path.parent)


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text as `write_atomically` does, with a question mark for what UTF-8 cannot encode."""
    write_atomically(path, lambda file: file.write(text.encode("utf-8", errors="replace")))


def check_new_directory(path: str | os.PathLike[str]) -> None:
    """Checks that `write_directory_atomically` would overwrite nothing.

    Raises:
        RunError: When the path exists and is no empty directory.
    """
    path = Path(path)
    if path.is_dir() and not any(path.iterdir()):
        return
    if os.path.lexists(path):
        raise RunError(f"{path} exists and is no empty directory, so nothing was written. Name a new one.")


def write_directory_atomically(path: str | os.PathLike[str], write: Callable[[Path], object]) -> None:
    """Fills a directory under a temporary name and renames it to ``path``.

    Args:
        path: The directory's final name, absent or an empty directory; those above it are made if absent.
        write: Called with the directory to be filled.

    Raises:
        RunError: When ``path`` exists and is no empty directory.
        OSError: When it cannot be written; nothing is left beside it then.
    """
    check_new_directory(path)
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _content_of(path, path.parent) as content:
        write(content)
        _sync_tree(content)
        content.replace(path)
    _sync_directory(path.parent)


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
    with _content_of(target, place) as content:
        yield content
        _sync_tree(content)
        if target.is_dir():
            _replace_entries(content, target, content.with_name(OLD))
        else:
            content.rename(target)
    _sync_directory(place)


def settle(target: Path) -> None:
    """Ends what killed processes began by `staged`: content that was taking its place takes it, other is removed.

    Args:
        target: As of `staged`.

    Raises:
        OSError: When it cannot be moved.
    """
    for place in (target, target.parent):
        for left in left_behind(place, target.name):
            if (left / OLD).is_dir() and target.is_dir():
                _replace_entries(left / NEW, target, left / OLD)
                _sync_directory(target)
            shutil.rmtree(left)


@contextlib.contextmanager
def _content_of(path: Path, place: Path) -> Iterator[Path]:
    """Yields a new directory under a temporary name in ``place``, and removes what is left of it in the end."""
    with _errors_of(path), temporary_directory(path, place) as temporary:
        content = temporary / NEW
        content.mkdir()
        yield content


def _replace_entries(content: Path, target: Path, old: Path) -> None:
    """Moves entries into ``target``, and those that they replace into ``old``; undoes it all if one move fails."""
    old.mkdir(exist_ok=True)
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


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Lets an error name ``path``: a full disk's names none, others a temporary one that means nothing to a user."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_tree(directory: Path) -> None:
    """Writes all files in a directory to disk, which is where a full one is noticed at the latest."""
    for path in [*directory.rglob("*"), directory]:
        if path.is_dir():
            _sync_directory(path)
        elif path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    """Makes a rename durable, where the file system lets a directory be synced."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
