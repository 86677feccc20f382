"""The images that the settings of a run name, in the form that they say."""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeVar

import numpy as np

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.memory import recorded_name
from fairdarts_tf.data.sources import find_dataset, stored
from fairdarts_tf.data.splitting import search_parts
from fairdarts_tf.data.storage import Form
from fairdarts_tf.errors import ConfigurationError

Images = LabelledImages | EncodedImages
Settings = TypeVar("Settings", bound="DataSettings")

_OF_NAMED_DATA = ("data_dir", "download", "image_size", "resize_size", "classes", "storage", "cache_dir")
"""Settings that say how images are loaded: those that are given are loaded already."""


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


def settings_for(settings: Settings, images: Images | None) -> Settings:
    """Returns the settings of a run with the name by which its files know images that are given to it, if any are.

    Raises:
        ConfigurationError: When they also say how images are to be loaded.
    """
    if images is None:
        return settings
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name in _OF_NAMED_DATA and value != field.default:
            raise ConfigurationError(
                f"{field.name}={value!r} says how images are loaded, but these are loaded already. Leave it out, and "
                "give it to load_dataset."
            )
    return dataclasses.replace(settings, dataset=recorded_name(images))


def load_images(settings: DataSettings, split: str = "train", given: Images | None = None) -> Images:
    """Loads all images of a split.

    Args:
        settings: Of a run.
        split: ``train``, ``test``, or whatever else the data set has.
        given: Images in memory, which are all of it. Defaults to None: those that the settings name.

    Raises:
        DataError: When they cannot be loaded.
    """
    if given is not None:
        return given
    return stored(_found(settings, split), form_of(settings), settings.dataset)


def load_halves(
    settings: SearchDataSettings, given: Images | None = None
) -> tuple[Images, tuple[np.ndarray, np.ndarray]]:
    """Loads the training images that a search uses, and no others.

    Args:
        settings: Of a search.
        given: Images in memory to choose from. Defaults to None: those that the settings name.

    Returns:
        The images, and the indices of those that train the weights and of those that train the alphas, int64.

    Raises:
        DataError: When they cannot be loaded.
    """
    found = _found(settings, "train") if given is None else given
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
