"""The container that every source fills and every batch is taken from."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from fairdarts_tf.errors import DataError


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Decoded images of one size with their labels, held in memory.

    Attributes:
        images: ``(N, H, W, C)``, uint8, 0 to 255.
        labels: ``(N,)``, int32, from 0 to the number of classes less 1.
        class_names: The name of every class, in the order of the labels.

    Raises:
        DataError: When shapes or types differ from these, there are no images, or a label has no class.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise DataError(
                f"images have shape {self.images.shape} and type {self.images.dtype}, but must be "
                "(number, height, width, channels) of uint8. Convert them first."
            )
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != np.int32:
            raise DataError(
                f"labels have shape {self.labels.shape} and type {self.labels.dtype}, but must be one int32 for "
                f"each of the {len(self.images)} images. Convert them first."
            )
        if not len(self.images):
            raise DataError("there are no images in this split, but at least one is needed. Choose another split.")
        if self.labels.min() < 0:
            raise DataError(
                f"{np.count_nonzero(self.labels < 0)} of the {len(self)} images in this split have no label but a "
                "negative one, as in ImageNet's test split. Choose a split in which every image is labelled."
            )
        if self.labels.max() >= self.num_classes:
            raise DataError(
                f"labels run from {self.labels.min()} to {self.labels.max()}, but must lie in 0 to "
                f"{self.num_classes - 1}. Choose a data set whose labels count its classes from 0."
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels, in pixels."""
        return self.images.shape[1:]

    @property
    def num_classes(self) -> int:
        """The number of classes, those without an image in this split included."""
        return len(self.class_names)


def allocate_images(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns an uninitialised uint8 array ``(count, *shape)``.

    Raises:
        DataError: When the array would be larger than the machine's memory.
    """
    needed = count * int(np.prod(shape, dtype=np.int64))
    available = _physical_memory()
    if available and needed > available:
        raise DataError(
            f"{count} images of {shape[0]} x {shape[1]} x {shape[2]} take {needed / 2**30:.1f} GiB, but the machine "
            f"has {available / 2**30:.1f} GiB of memory. Pass a smaller --image_size."
        )
    return np.empty((count, *shape), np.uint8)


def _physical_memory() -> int | None:
    """Returns bytes of memory, or None on systems that do not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
