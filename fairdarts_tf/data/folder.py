"""A folder of one's own images: ``PATH/train/CLASS/*.png``, and ``PATH/test/CLASS/*.png`` where there is a test set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fairdarts_tf.data.encoded import EncodedImages, Spans
from fairdarts_tf.data.storage import Form
from fairdarts_tf.errors import DataError
from fairdarts_tf.files import readable

SUFFIXES = (".png", ".jpg", ".jpeg")
LAYOUT = "Expected: PATH/train/CLASS/*.png (or .jpg, .jpeg), with one folder for each of at least 2 classes"


def list_folder(path: str, split: str, form: Form) -> EncodedImages:
    """Lists a split of a folder of images, which count as RGB; none is opened.

    Classes are the folders in ``PATH/train``, sorted by name; another split may lack a class, but may not add one.
    Hidden files, other files and folders within a class are passed over. Of a moving image, the first frame counts.

    Args:
        path: The folder, ``~`` allowed.
        split: Name of the folder within.
        form: Sizes of the images.

    Raises:
        DataError: When the layout is another one, a folder cannot be read, a class is empty or its name no UTF-8.
    """
    try:
        root = _root(path)
        class_names = _class_names(root / "train")
        files, labels = _list_images(root / split, class_names)
    except OSError as error:
        place = readable(error.filename or path)
        raise DataError(
            f"image folder {place} cannot be read: {error.strerror}. Check the path and its permissions."
        ) from error
    labels = np.array(labels, np.int32)
    return EncodedImages(Spans.of_files(files), labels, class_names, 3, form.image_size, form.resize_size)


def _root(path: str) -> Path:
    try:
        root = Path(path).expanduser()
    except RuntimeError:  # Of a user who does not exist.
        root = Path(path)
    if not path or not root.is_dir():
        raise DataError(f"there is no image folder {path!r}. {LAYOUT}.")
    return root


def _class_names(folder: Path) -> tuple[str, ...]:
    names = _folders_in(folder)
    if len(names) < 2:
        found = f"only the class {names[0]!r}" if names else "no class folders"
        raise DataError(f"image folder {folder} has {found}. {LAYOUT}.")
    for name in names:
        if readable(name) != name:
            # It goes into files of text: beside the weights, with an exported network, in tables.
            raise DataError(f"class folder {folder / readable(name)} has a name that is no UTF-8. Rename it.")
        if not any(_images_in(folder / name)):
            raise DataError(f"class folder {folder / name} holds no images. {LAYOUT}; add images or remove the folder.")
    return names


def _list_images(folder: Path, class_names: tuple[str, ...]) -> tuple[list[str], list[int]]:
    unexpected = sorted(set(_folders_in(folder)) - set(class_names))
    if unexpected:
        raise DataError(
            f"image folder {folder} has a class {unexpected[0]!r} that train lacks. Add it there, or remove it here."
        )
    files = [(file, label) for label, name in enumerate(class_names) for file in sorted(_images_in(folder / name))]
    if not files:
        raise DataError(f"image folder {folder} holds no images. {LAYOUT}; a test set lies beside train.")
    return [file for file, _ in files], [label for _, label in files]


def _folders_in(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}. {LAYOUT}; a test set lies beside train.")
    return tuple(sorted(entry.name for entry in _entries(folder) if _is_folder(entry)))


def _images_in(folder: Path) -> Iterator[str]:
    """Looks into this folder alone, so that no symbolic link can lead in a circle."""
    if not folder.is_dir():
        return
    for entry in _entries(folder):
        if os.path.splitext(entry.name)[1].lower() in SUFFIXES and not _is_folder(entry):
            yield entry.path


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields what a folder holds but hidden entries; of a million files none is asked for what it is."""
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A symbolic link to itself.
        return False
