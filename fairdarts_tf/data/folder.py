"""A folder of one's own images: ``PATH/train/CLASS/*.png``, and ``PATH/test/CLASS/*.png`` where there is a test set."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fairdarts_tf.data.decoding import decode_image, quiet_pillow
from fairdarts_tf.data.images import LabelledImages, allocate_images
from fairdarts_tf.errors import DataError
from fairdarts_tf.files import readable

SUFFIXES = (".png", ".jpg", ".jpeg")
LAYOUT = "Expected: PATH/train/CLASS/*.png (or .jpg, .jpeg), with one folder for each of at least 2 classes"


def load_folder(path: str, split: str = "train", image_size: int | None = None) -> LabelledImages:
    """Loads a split of a folder of images, as RGB.

    Classes are the folders in ``PATH/train``, sorted by name; another split may lack a class, but may not add one.
    Hidden files, other files and folders within a class are passed over. Of a moving image, the first frame counts.

    Args:
        path: The folder, ``~`` allowed.
        split: Name of the folder within.
        image_size: Side that the images are resized to, in pixels. None keeps their own size, if they share one.

    Raises:
        DataError: When the layout is another one, a folder cannot be read, a class is empty or its name no UTF-8, an
            image is broken or too large, or images differ in size and no ``image_size`` is given.
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
    return LabelledImages(_decode_all(files, image_size), np.array(labels, np.int32), class_names)


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
        if not _images_in(folder / name):
            raise DataError(f"class folder {folder / name} holds no images. {LAYOUT}; add images or remove the folder.")
    return names


def _list_images(folder: Path, class_names: tuple[str, ...]) -> tuple[list[Path], list[int]]:
    unexpected = sorted(set(_folders_in(folder)) - set(class_names))
    if unexpected:
        raise DataError(
            f"image folder {folder} has a class {unexpected[0]!r} that train lacks. Add it there, or remove it here."
        )
    files = [(file, label) for label, name in enumerate(class_names) for file in _images_in(folder / name)]
    if not files:
        raise DataError(f"image folder {folder} holds no images. {LAYOUT}; a test set lies beside train.")
    return [file for file, _ in files], [label for _, label in files]


def _folders_in(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}. {LAYOUT}; a test set lies beside train.")
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry)))


def _images_in(folder: Path) -> list[Path]:
    """Looks into this folder alone, so that no symbolic link can lead in a circle."""
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in SUFFIXES and not _is_hidden(entry) and not entry.is_dir()
    )


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _decode_all(files: list[Path], image_size: int | None) -> np.ndarray:
    """Decodes into one array, on all cores: Pillow lets other threads run while it decodes."""
    with quiet_pillow():
        shape = (image_size, image_size, 3) if image_size else decode_image(files[0]).shape
        images = allocate_images(len(files), shape)
        with ThreadPoolExecutor() as threads:
            for _ in threads.map(_filler(images, files, image_size), range(len(files))):
                pass
    return images


def _filler(images: np.ndarray, files: list[Path], image_size: int | None) -> Callable[[int], None]:
    def fill(position: int) -> None:
        image = decode_image(files[position], image_size)
        if image.shape != images.shape[1:]:
            raise DataError(
                f"images differ in size: {files[0]} is {images.shape[2]} x {images.shape[1]}, {files[position]} is "
                f"{image.shape[1]} x {image.shape[0]}, but a network needs one size. Pass --image_size, as 64."
            )
        images[position] = image

    return fill
