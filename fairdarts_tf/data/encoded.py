"""Images that stay encoded, in the files that they came in, and are decoded anew whenever they are needed."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fairdarts_tf.data.decoding import as_plain_image, decode_content, quiet_pillow, quiet_pillow_for_good
from fairdarts_tf.data.images import allocate_images, check_labels
from fairdarts_tf.errors import DataError
from fairdarts_tf.files import open_file

WHOLE_FILE = -1
MOST_BYTES = 2**29
"""Of an image: a file may be far larger, to exhaust the memory."""
SPARE = 4
"""What is encoded again for random crops has so many times the network's side: a crop of 8 % of the area is not blown
up then."""

_IN_FLIGHT = 256
"""Images that are decoded ahead of whoever takes them one by one."""
_REMEMBERED = 256
"""Batches that are remembered for `EncodedImages.blame`; a pipeline has fewer under way."""


@dataclasses.dataclass(frozen=True, eq=False)
class Spans:
    """Where in which files N encoded images lie.

    Attributes:
        files: Paths.
        file_of: ``(N,)``, integers: the number of each image's file.
        offsets: ``(N,)``, integers: where it begins there, in bytes.
        lengths: ``(N,)``, integers: its bytes, or `WHOLE_FILE`.
    """

    files: Sequence[str]
    file_of: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of_files(cls, files: Sequence[str]) -> Spans:
        """Returns the spans of images that have a file each."""
        count = len(files)
        return cls(files, np.arange(count), np.zeros(count, np.int64), np.full(count, WHOLE_FILE))

    def __len__(self) -> int:
        return len(self.file_of)

    def name(self, index: int) -> str:
        """Returns, for people, where an image lies."""
        file, offset, length = self._span(index)
        return file if length == WHOLE_FILE else f"{file} (bytes {offset} to {offset + length})"

    def read(self, index: int) -> bytes:
        """Returns an encoded image.

        Raises:
            DataError: When its file cannot be read or is shorter than it was.
        """
        file, offset, length = self._span(index)
        try:
            with open_file(file) as content:
                if length != WHOLE_FILE:
                    found = os.pread(content.fileno(), length, offset)
                elif (size := os.fstat(content.fileno()).st_size) <= MOST_BYTES:
                    return content.read()
                else:
                    raise ValueError(f"it has {size} bytes, more than {MOST_BYTES // 2**20} MiB")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"cannot decode image {file}: {reason}. Replace or remove the file.") from error
        if len(found) < length:
            raise DataError(f"{file} ends before its image at byte {offset} does. Restore the file.")
        return found

    def subset(self, indices: np.ndarray) -> Spans:
        """Returns some of the spans, in the order of ``indices``."""
        return Spans(self.files, self.file_of[indices], self.offsets[indices], self.lengths[indices])

    def _span(self, index: int) -> tuple[str, int, int]:
        return self.files[self.file_of[index]], int(self.offsets[index]), int(self.lengths[index])


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedImages:
    """Encoded images of any size with their labels.

    Attributes:
        spans: Where they lie.
        labels: ``(N,)``, int32, from 0 to the number of classes less 1.
        class_names: The name of every class, in the order of the labels.
        channels: 3 for RGB, 1 for grey levels.
        image_size: Side of the central square that a network sees, in pixels; 0: images have one size and keep it,
            which only decoding tells.
        resize_size: What an image's shorter side is scaled to before that square is taken, in pixels; the rest is a
            margin. 0: to ``image_size``.
        name: Of the data set that they are of. Defaults to none.

    Raises:
        DataError: When there are no images, or a label has no class.
    """

    spans: Spans
    labels: np.ndarray
    class_names: tuple[str, ...]
    channels: int = 3
    image_size: int = 0
    resize_size: int = 0
    name: str = ""
    _recent: collections.deque[np.ndarray] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=_REMEMBERED), init=False, repr=False
    )

    def __post_init__(self) -> None:
        check_labels(self.labels, len(self.spans), self.class_names)

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what a network sees, in pixels."""
        return (self.image_size, self.image_size, self.channels)

    @property
    def stored_size(self) -> int:
        """Side of the square with its margin, in pixels."""
        return self.resize_size or self.image_size

    @property
    def num_classes(self) -> int:
        """The number of classes, those without an image in this split included."""
        return len(self.class_names)

    def central(self, indices: np.ndarray | None = None) -> np.ndarray:
        """Returns images as a network sees them: ``(M, *image_shape)``, uint8.

        To the bit what `LabelledImages.central` returns of the same images, for which `decode` is asked once.

        Args:
            indices: ``(M,)``, integers. Defaults to None: all images, each decoded now.

        Raises:
            DataError: When an image cannot be decoded, or all of them together exceed the memory.
        """
        indices = np.arange(len(self)) if indices is None else np.asarray(indices)
        images = allocate_images(len(indices), self.image_shape)
        margin = (self.stored_size - self.image_size) // 2
        inner = slice(margin, margin + self.image_size)

        def fill(position: int) -> None:
            images[position] = self._square(indices[position])[inner, inner]

        quiet_pillow_for_good()
        _run(fill, range(len(indices)))
        return images

    def decode(self) -> np.ndarray:
        """Returns all images with their margin, in memory: ``(N, S, S, C)``, uint8, or at their own size.

        Raises:
            DataError: When an image cannot be decoded, they differ in size, or exceed the memory.
        """
        with quiet_pillow():
            size = self.stored_size
            shape = (size, size, self.channels) if size else self._square(0).shape
            images = allocate_images(len(self), shape)

            def fill(index: int) -> None:
                image = self._square(index)
                if image.shape != images.shape[1:]:
                    raise self._sizes_differ(images, index, image)
                images[index] = image

            _run(fill, range(len(self)))
        return images

    def squares(self) -> Iterator[np.ndarray]:
        """Yields each image with its margin, ``(S, S, C)``, uint8, in order.

        Raises:
            DataError: When an image cannot be decoded.
        """
        with quiet_pillow(), ThreadPoolExecutor() as threads:
            for start in range(0, len(self), _IN_FLIGHT):
                yield from threads.map(self._square, range(start, min(start + _IN_FLIGHT, len(self))))

    def read_plain(self, indices: np.ndarray) -> tuple[list[bytes], np.ndarray]:
        """Returns encoded images that any decoder reads alike, JPEG or BMP, and their sizes.

        Args:
            indices: ``(M,)``, integers.

        Returns:
            M contents, and ``(M, 2)``, int32: their heights and widths.

        Raises:
            DataError: When an image cannot be read, or is none.
        """
        self._recent.append(indices)
        side = SPARE * self.image_size
        plain = [as_plain_image(self.spans.read(i), self.spans.name(i), side, self.channels) for i in indices]
        return [content for content, _, _ in plain], np.array([size for _, *size in plain], np.int32).reshape(-1, 2)

    def blame(self, decode: Callable[[bytes], object]) -> DataError | None:
        """Returns what to say of the first image, of those read last, that a decoder fails on; None where it does not.

        Args:
            decode: Raises on an image that it cannot decode, as it did within a pipeline, whose error names none.
        """
        for index in dict.fromkeys(np.concatenate([*self._recent, np.empty(0, np.int64)]).tolist()):
            content, _, _ = as_plain_image(self.spans.read(index), self.spans.name(index), SPARE * self.image_size)
            try:
                decode(content)
            except Exception:  # noqa: BLE001  (whatever a decoder raises)
                return DataError(
                    f"cannot decode image {self.spans.name(index)}: its JPEG data are damaged, or of a rare kind. "
                    "Replace or remove the file."
                )
        return None

    def subset(self, indices: np.ndarray) -> EncodedImages:
        """Returns some of the images, in the order of ``indices``, with all classes."""
        return dataclasses.replace(self, spans=self.spans.subset(indices), labels=self.labels[indices])

    def relabelled(self, labels: np.ndarray, class_names: Sequence[str]) -> EncodedImages:
        """Returns the same images with other labels and classes."""
        return dataclasses.replace(self, labels=labels, class_names=tuple(class_names))

    def _square(self, index: int) -> np.ndarray:
        name, content = self.spans.name(index), self.spans.read(index)
        return decode_content(content, name, self.stored_size or None, self.channels)

    def _sizes_differ(self, images: np.ndarray, index: int, image: np.ndarray) -> DataError:
        return DataError(
            f"images differ in size: {self.spans.name(0)} is {images.shape[2]} x {images.shape[1]}, "
            f"{self.spans.name(index)} is {image.shape[1]} x {image.shape[0]}, but a network needs one size. Pass "
            "--image_size, as 64."
        )


def _run(work: Callable[[int], None], positions: Sequence[int]) -> None:
    """Works on all cores: Pillow lets other threads run while it decodes."""
    with ThreadPoolExecutor() as threads:
        for _ in threads.map(work, positions):
            pass
