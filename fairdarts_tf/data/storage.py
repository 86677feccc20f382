"""In which form images are kept while a run uses them."""

from __future__ import annotations

import dataclasses

import numpy as np

from fairdarts_tf.data.cache import decoded_on_disk
from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages, decoded_bytes
from fairdarts_tf.errors import DataError, unknown_name

STORAGES = ("auto", "memory", "disk", "encoded")
AUTO_BYTES = 8 * 2**30
"""Images that take more than this, decoded, are not kept in memory of their own accord. It is the same on all machines:
the same command computes the same on each."""


@dataclasses.dataclass(frozen=True)
class Form:
    """How large images are in a run, and where they are kept.

    Attributes:
        image_size: Side of the square that a network sees of every image, in pixels; 0: the images' own size.
        resize_size: What the shorter side of every image is scaled to before that square is taken, at its centre; the
            rest is a margin, in which random crops lie too. 0: to ``image_size``.
        storage: ``memory``: decoded, once; ``disk``: decoded, once for all runs, into ``cache_dir``; ``encoded``:
            decoded anew for each batch; ``auto``: ``memory`` up to `AUTO_BYTES`, else ``encoded``.
        cache_dir: Directory of decoded images, and of tables that spare a second start work; empty: only tables, in
            the user's directory of caches.

    Raises:
        DataError: When a size is missing or too small, or there is no such storage.
    """

    image_size: int = 0
    resize_size: int = 0
    storage: str = "memory"
    cache_dir: str = ""

    def __post_init__(self) -> None:
        if self.storage not in STORAGES:
            raise DataError(f"--storage: {unknown_name('value', self.storage, STORAGES)}")
        if self.resize_size and not self.image_size:
            raise DataError("--resize_size leaves a margin around squares of --image_size. Pass that too.")
        if self.resize_size and self.resize_size < self.image_size:
            raise DataError(
                f"--resize_size is {self.resize_size}, below --image_size={self.image_size}, around whose squares it "
                "is to leave a margin. Pass a larger one."
            )
        if self.storage == "disk" and not self.cache_dir:
            raise DataError("--storage=disk needs a directory for the decoded images. Name it with --cache_dir.")

    @property
    def stored_size(self) -> int:
        """Side of the squares with their margin, in pixels; 0: the images' own size."""
        return self.resize_size or self.image_size

    def keeps_in_memory(self, count: int, size: int, channels: int) -> bool:
        """Returns whether that many images of ``size`` pixels a side are decoded into memory."""
        if self.storage != "auto":
            return self.storage == "memory"
        return decoded_bytes(count, (size, size, channels)) <= AUTO_BYTES

    def store(self, images: EncodedImages, name: str) -> LabelledImages | EncodedImages:
        """Returns images in the form that they are to be kept in.

        Args:
            images: Encoded, of these sizes.
            name: The data set's.

        Raises:
            DataError: When an image cannot be decoded, or there is no room.
        """
        if self.keeps_in_memory(len(images), self.stored_size, images.channels):
            return _decoded(images, images.decode())
        if not images.image_size:
            raise DataError(
                f"--storage={self.storage} needs the size of the squares that networks see. Pass --image_size."
            )
        if self.storage == "disk":
            return _decoded(images, decoded_on_disk(images, self.cache_dir, name))
        return images


def _decoded(images: EncodedImages, pixels: np.ndarray) -> LabelledImages:
    return LabelledImages(pixels, images.labels, images.class_names, images.image_size, images.name)
