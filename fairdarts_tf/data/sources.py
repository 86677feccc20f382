"""One name for every data set: ``digits``, ``folder:PATH`` or a name of tensorflow-datasets; and one's own images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.memory import images_from
from fairdarts_tf.data.names import FOLDER_PREFIX, MEMORY_PREFIX, TFDS_PREFIX, UNNAMED, base_name
from fairdarts_tf.data.selection import of_classes
from fairdarts_tf.data.storage import Form
from fairdarts_tf.errors import DataError

Images = LabelledImages | EncodedImages


def load_dataset(
    name: object,
    split: str = "train",
    *,
    data_dir: str | None = None,
    download: bool = False,
    image_size: int | None = None,
    resize_size: int | None = None,
    classes: Sequence[str] = (),
    storage: str = "memory",
    cache_dir: str | None = None,
    class_names: Sequence[str] = (),
    known_as: str = UNNAMED,
) -> Images:
    """Loads a split of a data set, or takes one's own images.

    Args:
        name: ``digits`` (built in); ``folder:PATH`` or a `Path` (``PATH/train/CLASS/*.png``); the name of an image
            classification set of tensorflow-datasets, as ``cifar10`` or ``tfds:cifar10``, with a configuration or
            version if need be; a pair of arrays (images, labels); or a `tf.data.Dataset` of pairs (image, label). See
            `fairdarts_tf.data.memory.images_from` for the last two.
        split: ``train``, ``test``, or whatever else the data set has. One's own images have none.
        data_dir: Where tensorflow-datasets keeps prepared data. None: its own default, in the home directory.
        download: Whether data that are not prepared may be downloaded.
        image_size: Side of the square that a network sees of every image, in pixels. None keeps the images' own size.
        resize_size: What the shorter side of every image is scaled to before that square is taken, in pixels. None: to
            ``image_size``.
        classes: See `fairdarts_tf.data.selection.of_classes`. Defaults to none: all.
        storage: See `Form`. Defaults to ``memory``. Digits and one's own images are always in memory.
        cache_dir: See `Form`.
        class_names: Of one's own images: see `images_from`.
        known_as: Of one's own images: their name; see `images_from`.

    Returns:
        Images with their labels, of which ``images`` has the shape (N, height, width, channels), uint8, and ``labels``
        (N,), int32.

    Raises:
        DataError: When the name, split or a class is unknown, the data are absent or broken, or no ``image_size`` is
            given for images of several sizes.

    Example:
        >>> digits = fd.load_dataset("digits")
        >>> digits.images.shape, digits.image_shape, digits.num_classes
        ((1500, 8, 8, 1), (8, 8, 1), 10)
        >>> own = fd.load_dataset((digits.images[:20], digits.labels[:20]), image_size=16)
        >>> own.images.shape
        (20, 16, 16, 1)
    """
    if image_size is not None and image_size < 1:
        raise DataError(f"--image_size is {image_size}, but must be at least 1 pixel. Pass a larger one.")
    form = Form(image_size or 0, resize_size or 0, storage, cache_dir or "")
    if isinstance(name, os.PathLike):
        name = f"{FOLDER_PREFIX}{os.fspath(name)}"
    if not isinstance(name, str):
        return of_classes(images_from(name, form, class_names, known_as), classes)
    found = find_dataset(name, split, form, data_dir=data_dir, download=download, classes=classes)
    return dataclasses.replace(stored(found, form, name), name=base_name(name))


def images_of(source: object) -> Images:
    """Returns images that are loaded already as they are, and loads the training images of whatever else.

    Args:
        source: What `load_dataset` returned or takes.

    Raises:
        DataError: As of `load_dataset`.
    """
    return source if isinstance(source, Images) else load_dataset(source)


def find_dataset(
    name: str,
    split: str,
    form: Form,
    *,
    data_dir: str | None = None,
    download: bool = False,
    classes: Sequence[str] = (),
) -> Images:
    """Returns a split before its images are decoded, where they can be told apart before that.

    Whoever needs only some of them takes a `subset`, and then calls `stored`. Arguments and errors as of
    `load_dataset`.
    """
    found = _find(name, split, form, data_dir, download)
    return of_classes(found, classes)


def stored(images: Images, form: Form, name: str) -> Images:
    """Returns what `find_dataset` found in the form that it is to be kept in; decoded images stay as they are."""
    return images if isinstance(images, LabelledImages) else form.store(images, name)


def _find(name: str, split: str, form: Form, data_dir: str | None, download: bool) -> Images:
    # Each source is imported when it is used: tensorflow-datasets alone takes seconds to load.
    if name == "digits":
        from fairdarts_tf.data.digits import load_digits

        return load_digits(split, form)
    if name.startswith(FOLDER_PREFIX):
        from fairdarts_tf.data.folder import list_folder

        return list_folder(name.removeprefix(FOLDER_PREFIX), split, form)
    if name.startswith(MEMORY_PREFIX):
        raise DataError(
            f"the images of --dataset={name} were in the memory of a Python program, which no command can load. Go on "
            "there, as with fairdarts_tf.search(images, workdir=...), or name a data set like them."
        )
    from fairdarts_tf.data.tfds_source import load_tfds

    return load_tfds(name.removeprefix(TFDS_PREFIX), split, form, data_dir=data_dir, download=download)
