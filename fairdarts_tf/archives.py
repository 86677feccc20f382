"""Reading NumPy's ``.npz`` archives, which may be broken or made to harm.

Nothing is unpickled, and no more memory is taken than the archive's own table of contents announces and the caller
allows. Whatever the bytes are, the error is an `ArchiveError` or an `OSError`.
"""

from __future__ import annotations

import io
import math
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

import numpy as np

from fairdarts_tf.files import open_file

MAX_REASON = 200
"""Characters of a library's message, which may quote what a broken file holds."""

# Other packings can grow without a bound that the reader could set.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SUFFIX = ".npy"


class ArchiveError(ValueError):
    """What is wrong with an archive: half a sentence, without its path."""


def read_arrays(
    path: str | os.PathLike[str],
    most_bytes: int | None = None,
    names: Iterable[str] | Callable[[Sequence[str]], Iterable[str]] | None = None,
) -> dict[str, np.ndarray]:
    """Reads arrays of an archive by name, checking every byte of them.

    Args:
        path: The file.
        most_bytes: How large it may be, packed and unpacked. Defaults to None: unpacked no larger than it is, as
            `numpy.savez` writes it.
        names: Which arrays, or a function that chooses of the names that there are. Defaults to None: all.

    Raises:
        OSError: When the file cannot be opened, or is a directory, a pipe or a device.
        ArchiveError: When it is too large, broken, or lacks one of the arrays.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most_bytes is not None and size > most_bytes:
            raise ArchiveError(f"larger than {most_bytes:,} bytes")
        try:
            with zipfile.ZipFile(file) as archive:
                _check_contents(archive, size if most_bytes is None else most_bytes)
                found = [member.filename.removesuffix(_SUFFIX) for member in archive.infolist()]
                names = found if names is None else names(found) if callable(names) else names
                return {name: _read_array(archive, f"{name}{_SUFFIX}") for name in names}
        except ArchiveError:
            raise
        except KeyError as error:
            raise ArchiveError(str(error.args[0])) from None
        except Exception as error:  # Foreign bytes make zipfile, zlib and NumPy fail in more ways than could be listed.
            reason = " ".join(str(error).split())[:MAX_REASON]
            raise ArchiveError(f"broken or no .npz archive ({reason})") from None


def read_numbers(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads all arrays of what `numpy.savez` wrote, which must be numbers.

    Raises:
        OSError: As `read_arrays` does.
        ArchiveError: As `read_arrays` does, and when an array is of something else than numbers.
    """
    arrays = read_arrays(path)
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise ArchiveError(f"{name!r:.{MAX_REASON}} holds {array.dtype}, no numbers")
    return arrays


def _check_contents(archive: zipfile.ZipFile, most_bytes: int) -> None:
    members = archive.infolist()
    if sum(member.file_size for member in members) > most_bytes:
        raise ArchiveError(f"unpacks to more than {most_bytes:,} bytes")
    if len({member.filename for member in members}) < len(members):
        raise ArchiveError("holds two arrays of one name")
    if any(member.compress_type not in _PACKINGS for member in members):
        raise ArchiveError("packed in a way that NumPy does not use")


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    member = archive.getinfo(name)
    with archive.open(member) as packed:
        # A bound on the bytes asked for is also one on the memory that a false header can take.
        content = packed.read(member.file_size)
    file = io.BytesIO(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape, dtype = _read_header(file)
        if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
            raise ValueError(f"{name} does not hold what its header says")
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"unknown version {version} of NumPy's format")
    return shape, dtype
