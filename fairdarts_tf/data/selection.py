"""Some of a data set's classes, or some of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.errors import DataError, unknown_name

Images = TypeVar("Images", LabelledImages, EncodedImages)

# A choice of classes belongs to the data set, as its test split does: it never follows a run's seed.
_CLASS_SEED = 0


def of_classes(images: Images, classes: Sequence[str]) -> Images:
    """Returns the images of some classes, whose labels then count from 0, in the order that they had.

    Args:
        images: Of all classes.
        classes: Names of classes; or one number, as text: so many are drawn, always the same, and those of a smaller
            number are among those of a larger one. Empty: all.

    Raises:
        DataError: When there is no such class, there are fewer, or none of their images.
    """
    if not classes:
        return images
    kept = _chosen(images.class_names, classes)
    indices = np.flatnonzero(np.isin(images.labels, kept))
    if not len(indices):
        raise DataError(f"none of the images is of the classes --classes={','.join(classes)}. Choose other ones.")
    new_label = np.full(images.num_classes, -1, np.int32)
    new_label[kept] = np.arange(len(kept))
    names = tuple(images.class_names[label] for label in kept)
    part = images.subset(indices)
    return part.relabelled(new_label[part.labels], names)


def _chosen(known: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Returns the labels of classes that are named, or drawn, in rising order."""
    if len(classes) == 1:
        return _drawn(known, classes[0])
    for name in classes:
        if name not in known:
            raise DataError(f"--classes: {unknown_name('class', name, known)[:1000]}")
    return np.flatnonzero(np.isin(known, list(classes)))


def _drawn(known: Sequence[str], number: str) -> np.ndarray:
    if not number.isdecimal():
        raise DataError(f"--classes={number} names one class. Name at least two, or say how many are to be drawn.")
    if not 2 <= int(number) <= len(known):
        raise DataError(f"--classes={number}, but the data set has {len(known)}. Choose from 2 to {len(known)}.")
    # NumPy promises that this generator's draws never change.
    return np.sort(np.random.RandomState(_CLASS_SEED).permutation(len(known))[: int(number)])
