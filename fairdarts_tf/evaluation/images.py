"""The images that a network is evaluated on, and whether they suit it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from fairdarts_tf import data
from fairdarts_tf.data.sources import Images, find_dataset, stored
from fairdarts_tf.data.storage import Form
from fairdarts_tf.errors import DataError, RunError
from fairdarts_tf.settings_checks import values_of
from fairdarts_tf.training.settings import TrainSettings

HELD_BACK = "held_back"
"""Names what a training holds back of the training images, to choose its best epoch by, as if it were a split."""


def load_images(
    dataset: str,
    split: str,
    image_shape: tuple[int, int, int],
    *,
    recorded: Mapping[str, str] | None = None,
    data_dir: str | None = None,
    download: bool = False,
) -> Images:
    """Loads the images of a split, of the classes that a network was trained on, resized to the network's.

    Args:
        dataset: See `fairdarts_tf.load_dataset`.
        split: One of the data set, or ``"held_back"``: what the run held back of its own data set's training images.
        image_shape: (height, width, channels) of the network's images.
        recorded: The run's settings, as text.
        data_dir: Where tensorflow-datasets keeps prepared data. Defaults to None: its own default.
        download: Whether data that are not prepared may be downloaded. Defaults to False.

    Raises:
        DataError: When the data cannot be loaded.
        RunError: When the run held nothing back, or it did so of another data set.
    """
    own = split == HELD_BACK
    if own:
        _check_own(dataset, recorded or {})
    settings = values_of(TrainSettings, recorded or {})
    form = form_for(image_shape, settings)
    try:
        found = find_dataset(
            dataset,
            "train" if own else split,
            form,
            data_dir=data_dir,
            download=download,
            classes=settings.get("classes", ()),
        )
    except DataError as error:
        if not str(error).startswith("unknown split") and not difflib.get_close_matches(split, (HELD_BACK,)):
            raise
        raise DataError(f"{error} Or --split={HELD_BACK}: the training images that the run held back.") from None
    return stored(_held_back(found, settings) if own else found, form, dataset)


def form_for(image_shape: tuple[int, int, int], settings: Mapping[str, object]) -> Form:
    """Returns the form in which images are loaded for a network, to see them as its training did.

    Args:
        image_shape: (height, width, channels) of the network's images.
        settings: Of its training, by name; what is not there has its default. Nothing new is kept on a disk.
    """
    height, width, _ = image_shape
    if height != width:
        return Form()
    storage = settings.get("storage", "memory")
    return Form(height, settings.get("resize_size", 0), "auto" if storage == "disk" else storage)


def check_fit(images: Images, class_names: Sequence[str], image_shape: Sequence[int]) -> tuple[str, ...]:
    """Checks that a network knows the classes of images, and takes their shape.

    Args:
        images: The images.
        class_names: The network's, by label. Where these or the images' are only their own numbers, "0", "1", ..., the
            classes have no known names, and their count alone is compared.
        image_shape: (height, width, channels) of the network's images.

    Returns:
        The names of the classes, from whichever side knows them.

    Raises:
        DataError: When they do not fit.
    """
    names = tuple(images.class_names)
    if len(names) != len(class_names):
        raise DataError(
            f"the data set has {len(names)} classes, but the network tells {len(class_names)} apart. Choose the data "
            "set that it was trained on, or one with the same classes."
        )
    if not _are_numbers(names) and not _are_numbers(class_names):
        _check_names(names, class_names)
    if images.image_shape != tuple(image_shape):
        raise DataError(
            f"the data set's images have shape {tuple(images.image_shape)} (height, width, channels), but the network "
            f"takes {tuple(image_shape)}. Choose a data set like the one that it was trained on."
        )
    return tuple(class_names) if _are_numbers(names) else names


def _are_numbers(names: Sequence[str]) -> bool:
    """Returns whether classes are named by their labels, as data and checkpoints without names do."""
    return tuple(names) == tuple(map(str, range(len(names))))


def _check_names(names: Sequence[str], class_names: Sequence[str]) -> None:
    for label, (name, known) in enumerate(zip(names, class_names, strict=True)):
        if name != known:
            raise DataError(
                f"class {label} is {name!r} in the data set, but {known!r} in the network. Choose the data set that "
                "it was trained on, or one with the same classes in the same order."
            )


def _check_own(dataset: str, recorded: Mapping[str, str]) -> None:
    if not values_of(TrainSettings, recorded).get("validation_portion"):
        raise RunError(
            f"--split={HELD_BACK} is what a training held back to choose its best epoch by, but this run held nothing "
            "back. Choose a split of the data set, as test."
        )
    if recorded.get("dataset") != dataset:
        raise RunError(
            f"--split={HELD_BACK} is a part of the run's own data set, --dataset={recorded.get('dataset')}, and not of "
            f"{dataset!r}. Leave --dataset out, or choose another split."
        )


def _held_back(images: Images, settings: Mapping[str, object]) -> Images:
    _, indices = data.held_back(images.labels, settings["validation_portion"], settings.get("seed", 0))
    return images.subset(indices)
