"""The container of decoded images, which sources fill and batches are taken from."""

from __future__ import annotations

import dataclasses
import mmap
import os
from collections.abc import Sequence

import numpy as np

from fairdarts_tf.errors import DataError


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledImages:
    """Decoded images of one size with their labels, in memory or mapped into it from a file.

    Attributes:
        images: ``(N, H, W, C)``, uint8, 0 to 255.
        labels: ``(N,)``, int32, from 0 to the number of classes less 1.
        class_names: The name of every class, in the order of the labels.
        image_size: Side of the central square that a network sees, in pixels: what lies around it is a margin for
            random crops. Defaults to 0: all of the image.
        name: Of the data set that they are of. Defaults to none.

    Raises:
        DataError: When shapes or types differ from these, there are no images, or a label has no class.

    Example:
        >>> labels = np.array([0, 1, 0, 1], np.int32)
        >>> images = fd.LabelledImages(np.zeros((4, 8, 8, 3), np.uint8), labels, ("cat", "dog"))
        >>> len(images), images.image_shape, images.num_classes
        (4, (8, 8, 3), 2)
        >>> images.subset(np.array([1, 3])).labels
        array([1, 1], dtype=int32)
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    image_size: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise DataError(
                f"images have shape {self.images.shape} and type {self.images.dtype}, but must be "
                "(number, height, width, channels) of uint8. Convert them first."
            )
        if self.image_size > min(self.images.shape[1:3]):
            raise DataError(
                f"images of {self.images.shape[1]} x {self.images.shape[2]} pixels have no central square of "
                f"{self.image_size}. Name a smaller --image_size."
            )
        check_labels(self.labels, len(self.images), self.class_names)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what a network sees, in pixels."""
        height, width, channels = self.images.shape[1:]
        return (self.image_size or height, self.image_size or width, channels)

    @property
    def num_classes(self) -> int:
        """The number of classes, those without an image in this split included."""
        return len(self.class_names)

    def central(self, indices: np.ndarray | None = None) -> np.ndarray:
        """Returns images as a network sees them: ``(M, *image_shape)``, uint8.

        Args:
            indices: ``(M,)``, integers. Defaults to None: all images, without a copy.
        """
        height, width, _ = self.image_shape
        top, left = (self.images.shape[1] - height) // 2, (self.images.shape[2] - width) // 2
        chosen = self.images if indices is None else self.images[indices]
        return chosen[:, top : top + height, left : left + width]

    def subset(self, indices: np.ndarray) -> LabelledImages:
        """Returns some of the images, in the order of ``indices``, with all classes; themselves where all are asked."""
        if np.array_equal(indices, np.arange(len(self))):
            return self
        images = allocate_images(len(indices), self.images.shape[1:])
        np.take(self.images, indices, axis=0, out=images)
        return dataclasses.replace(self, images=images, labels=self.labels[indices])

    def relabelled(self, labels: np.ndarray, class_names: Sequence[str]) -> LabelledImages:
        """Returns the same images with other labels and classes."""
        return dataclasses.replace(self, labels=labels, class_names=tuple(class_names))


def check_labels(labels: np.ndarray, count: int, class_names: Sequence[str]) -> None:
    """Checks the labels of a number of images.

    Raises:
        DataError: When there are no images, or there is not one int32 for each, or a label has no class.
    """
    if labels.shape != (count,) or labels.dtype != np.int32:
        raise DataError(
            f"labels have shape {labels.shape} and type {labels.dtype}, but must be one int32 for each of the {count} "
            "images. Convert them first."
        )
    if not count:
        raise DataError("there are no images in this split, but at least one is needed. Choose another split.")
    if labels.min() < 0:
        raise DataError(
            f"{np.count_nonzero(labels < 0)} of the {count} images in this split have no label but a negative one, as "
            "in ImageNet's test split. Choose a split in which every image is labelled."
        )
    if labels.max() >= len(class_names):
        raise DataError(
            f"labels run from {labels.min()} to {labels.max()}, but must lie in 0 to {len(class_names) - 1}. Choose a "
            "data set whose labels count its classes from 0."
        )


def allocate_images(count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns a uint8 array ``(count, *shape)`` of zeros, which takes memory as it is filled.

    Raises:
        DataError: When the array would be larger than the machine's memory.
    """
    needed = decoded_bytes(count, shape)
    available = _physical_memory()
    if available and needed > available:
        raise DataError(
            f"{count} images of {shape[0]} x {shape[1]} x {shape[2]} take {needed / 2**30:.1f} GiB, but the machine "
            f"has {available / 2**30:.1f} GiB of memory. Pass a smaller --image_size, or --storage=encoded."
        )
    # TensorFlow shares an array that begins at a multiple of 64 bytes, as pages do, and copies any other.
    return np.frombuffer(mmap.mmap(-1, max(needed, 1)), np.uint8, needed).reshape(count, *shape)


def decoded_bytes(count: int, shape: Sequence[int]) -> int:
    """Returns what ``count`` decoded images of that shape take."""
    return count * int(np.prod(shape, dtype=np.int64))


def _physical_memory() -> int | None:
    """Returns bytes of memory, or None on systems that do not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
