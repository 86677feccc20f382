"""The images that the settings of a run name, in the form that they say."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.sources import find_dataset, stored
from fairdarts_tf.data.splitting import search_parts
from fairdarts_tf.data.storage import Form

Images = LabelledImages | EncodedImages


class DataSettings(Protocol):
    """What the settings of searches and of trainings say of their images."""

    dataset: str
    data_dir: str
    download: bool
    image_size: int
    resize_size: int
    classes: tuple[str, ...]
    storage: str
    cache_dir: str


class SearchDataSettings(DataSettings):
    """What those of searches say besides."""

    train_portion: float
    search_portion: float
    seed: int


def load_images(settings: DataSettings, split: str = "train") -> Images:
    """Loads all images of a split.

    Args:
        settings: Of a run.
        split: ``train``, ``test``, or whatever else the data set has.

    Raises:
        DataError: When they cannot be loaded.
    """
    return stored(_found(settings, split), form_of(settings), settings.dataset)


def load_halves(settings: SearchDataSettings) -> tuple[Images, tuple[np.ndarray, np.ndarray]]:
    """Loads the training images that a search uses, and no others.

    Returns:
        The images, and the indices of those that train the weights and of those that train the alphas, int64.

    Raises:
        DataError: When they cannot be loaded.
    """
    found = _found(settings, "train")
    halves = search_parts(found.labels, settings.train_portion, settings.search_portion, settings.seed)
    used = np.sort(np.concatenate(halves))
    images = stored(found.subset(used), form_of(settings), settings.dataset)
    return images, (np.searchsorted(used, halves[0]), np.searchsorted(used, halves[1]))


def form_of(settings: DataSettings) -> Form:
    """Returns the form that settings say."""
    return Form(settings.image_size, settings.resize_size, settings.storage, settings.cache_dir)


def _found(settings: DataSettings, split: str) -> Images:
    return find_dataset(
        settings.dataset,
        split,
        form_of(settings),
        data_dir=settings.data_dir or None,
        download=settings.download,
        classes=settings.classes,
    )
