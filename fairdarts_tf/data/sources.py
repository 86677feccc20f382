"""One name for every data set: ``digits``, ``folder:PATH`` or a name of tensorflow-datasets."""

from __future__ import annotations

from collections.abc import Sequence

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.names import FOLDER_PREFIX, TFDS_PREFIX
from fairdarts_tf.data.selection import of_classes
from fairdarts_tf.data.storage import Form
from fairdarts_tf.errors import DataError

Images = LabelledImages | EncodedImages


def load_dataset(
    name: str,
    split: str = "train",
    *,
    data_dir: str | None = None,
    download: bool = False,
    image_size: int | None = None,
    resize_size: int | None = None,
    classes: Sequence[str] = (),
    storage: str = "memory",
    cache_dir: str | None = None,
) -> Images:
    """Loads a split of a data set.

    Args:
        name: ``digits`` (built in), ``folder:PATH`` (``PATH/train/CLASS/*.png``) or an image classification set of
            tensorflow-datasets, as ``cifar10`` or ``tfds:cifar10``, with a configuration or version if need be.
        split: ``train``, ``test``, or whatever else the data set has.
        data_dir: Where tensorflow-datasets keeps prepared data. None: its own default, in the home directory.
        download: Whether data that are not prepared may be downloaded.
        image_size: Side of the square that a network sees of every image, in pixels. None keeps the images' own size.
        resize_size: What the shorter side of every image is scaled to before that square is taken, in pixels. None: to
            ``image_size``.
        classes: See `fairdarts_tf.data.selection.of_classes`. Defaults to none: all.
        storage: See `Form`. Defaults to ``memory``. Digits are always in memory.
        cache_dir: See `Form`.

    Raises:
        DataError: When the name, split or a class is unknown, the data are absent or broken, or no ``image_size`` is
            given for images of several sizes.
    """
    if image_size is not None and image_size < 1:
        raise DataError(f"--image_size is {image_size}, but must be at least 1 pixel. Pass a larger one.")
    form = Form(image_size or 0, resize_size or 0, storage, cache_dir or "")
    found = find_dataset(name, split, form, data_dir=data_dir, download=download, classes=classes)
    return stored(found, form, name)


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
    from fairdarts_tf.data.tfds_source import load_tfds

    return load_tfds(name.removeprefix(TFDS_PREFIX), split, form, data_dir=data_dir, download=download)
