"""Writing files so that a reader finds the old content or the new one, never a half of either."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from fairdarts_tf.errors import RunError

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
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
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
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        write(temporary)
        os.chmod(temporary, 0o777 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_directory(path.parent)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
