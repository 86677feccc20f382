"""Files that spare a second start the work of a first: decoded images, and where a data set's images lie.

Each is keyed by what it was made from, written under a temporary name and renamed, and made by one process at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import decoded_bytes
from fairdarts_tf.errors import DataError
from fairdarts_tf.files import write_atomically
from fairdarts_tf.temporaries import remove_leftovers

FORMAT = "1"
"""Of all files here; it is a part of their names."""

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_KEY_LENGTH = 16
_LONGEST_NAME = 80


def default_directory() -> Path:
    """Returns where small files go if no other place is named: ``fairdarts_tf`` in the user's directory of caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairdarts_tf"


def key_of(parts: Iterable[str | bytes | np.ndarray]) -> str:
    """Returns a text that differs where any of the parts, or their order, does."""
    digest = hashlib.sha256(FORMAT.encode())
    for part in parts:
        content = part.encode(errors="surrogateescape") if isinstance(part, str) else bytes(part)
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:_KEY_LENGTH]


def states_of(files: Iterable[str]) -> Iterator[str]:
    """Yields name, size and time of the last change of each file.

    Raises:
        OSError: When one is gone.
    """
    for file in files:
        state = os.stat(file)
        yield f"{os.path.abspath(file)} {state.st_size} {state.st_mtime_ns}"


def decoded_on_disk(images: EncodedImages, directory: str | os.PathLike[str], name: str) -> np.ndarray:
    """Returns all images with their margin, ``(N, S, S, C)``, uint8, mapped into memory from a file of the cache.

    The first time they are decoded into it; pages of the file are read when they are used.

    Args:
        images: With an ``image_size``.
        directory: Of the cache; made if absent.
        name: The data set's, a part of the file's name.

    Raises:
        DataError: When an image cannot be decoded, or there is no space.
    """
    shape = (len(images), images.stored_size, images.stored_size, images.channels)
    path = Path(directory, f"{file_name_of(name)}-{shape[1]}-{_key_of_decoded(images, shape)}.npy")
    with _errors_of(directory), _made_by_one(path):
        found = _mapped(path, shape)
        if found is None:
            _check_space(path, decoded_bytes(shape[0], shape[1:]))
            print(f"decoding {len(images)} images into {path}", file=sys.stderr)
            write_atomically(path, lambda file: _write_decoded(file, images, shape))
            found = _mapped(path, shape)
    if found is None:
        raise DataError(f"{path} cannot be read back. Name another --cache_dir.")
    return found


def _key_of_decoded(images: EncodedImages, shape: tuple[int, ...]) -> str:
    spans = images.spans
    used = [spans.files[number] for number in np.unique(spans.file_of)]
    try:
        return key_of([*states_of(used), spans.file_of, spans.offsets, spans.lengths, str(shape)])
    except OSError as error:
        raise DataError(
            f"cannot decode image {error.filename}: {error.strerror}. Replace or remove the file."
        ) from error


@contextlib.contextmanager
def _made_by_one(path: Path) -> Iterator[None]:
    """Lets others who want the same file wait for this context to end, by when it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "wb") as lock:
        # Where a file system has no locks each makes its own, and the last one counts.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        remove_leftovers(path.parent, path.name)
        yield


def _write_decoded(file: BinaryIO, images: EncodedImages, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    # Shows itself on a terminal only.
    for square in tqdm(images.squares(), total=len(images), unit="image", leave=False, disable=None):
        file.write(square.tobytes())


def _mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Returns the array of a file, or None where there is none, or not a whole one."""
    try:
        # Copied where it is written to, which nobody does: TensorFlow shares only what could be written.
        found = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.uint8 else None


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DataError(
            f"the decoded images take {needed / 2**30:.1f} GiB, but {path.parent} has {free / 2**30:.1f} GiB free. "
            "Name another --cache_dir, or pass a smaller --image_size or --resize_size, or --storage=encoded."
        )


@contextlib.contextmanager
def _errors_of(directory: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write to --cache_dir={os.fspath(directory)}: {error.strerror or error}. Name a directory that can "
            "be written, on a disk with free space."
        ) from error


def file_name_of(name: str) -> str:
    """Returns what of a data set's name can be a part of a file's."""
    return _UNFIT.sub("_", name)[-_LONGEST_NAME:].strip("._-") or "images"
