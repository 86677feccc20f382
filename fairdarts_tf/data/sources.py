"""One name for every data set: ``digits``, ``folder:PATH`` or a name of tensorflow-datasets."""

from __future__ import annotations

from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.names import FOLDER_PREFIX, TFDS_PREFIX
from fairdarts_tf.errors import DataError


def load_dataset(
    name: str,
    split: str = "train",
    *,
    data_dir: str | None = None,
    download: bool = False,
    image_size: int | None = None,
) -> LabelledImages:
    """Loads a split of a data set, decoded, into memory.

    Args:
        name: ``digits`` (built in), ``folder:PATH`` (``PATH/train/CLASS/*.png``) or an image classification set of
            tensorflow-datasets, as ``cifar10`` or ``tfds:cifar10``, with a configuration or version if need be.
        split: ``train``, ``test``, or whatever else the data set has.
        data_dir: Where tensorflow-datasets keeps prepared data. None: its own default, in the home directory.
        download: Whether data that are not prepared may be downloaded.
        image_size: Side of the square that every image is resized to, in pixels. None keeps the images' own size.

    Raises:
        DataError: When the name or split is unknown, the data are absent or broken, or no ``image_size`` is given for
            images of several sizes.
    """
    if image_size is not None and image_size < 1:
        raise DataError(f"--image_size is {image_size}, but must be at least 1 pixel. Pass a larger one.")
    # Each source is imported when it is used: tensorflow-datasets alone takes seconds to load.
    if name == "digits":
        from fairdarts_tf.data.digits import load_digits

        return load_digits(split, image_size)
    if name.startswith(FOLDER_PREFIX):
        from fairdarts_tf.data.folder import load_folder

        return load_folder(name.removeprefix(FOLDER_PREFIX), split, image_size)
    from fairdarts_tf.data.tfds_source import load_tfds

    return load_tfds(name.removeprefix(TFDS_PREFIX), split, data_dir=data_dir, download=download, image_size=image_size)
