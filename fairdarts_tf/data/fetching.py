"""From the numbers of images to their pixels, within a pipeline: one class for each form that images are stored in.

Both give central squares, and random parts. For the latter `open` fetches a batch, decoded or not, with the sizes of
its images, and `cut` returns the pixels of a part of one of them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from fairdarts_tf.data.decoding import quiet_pillow_for_good
from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.python_calls import CALLS
from fairdarts_tf.errors import DataError

_ALIGNMENT = 64
_OWN_ERROR = re.compile(r"DataError: (.*)")
_DECODER = re.compile(r"jpeg", re.IGNORECASE)


class DecodedSource:
    """Fetches decoded images.

    Args:
        images: In memory, or mapped into it.
    """

    def __init__(self, images: LabelledImages) -> None:
        self._shape = images.image_shape
        self._images = _as_tensor(images.images)

    def central(self, order: tf.Tensor) -> tf.Tensor:
        """Returns images as a network sees them, ``(N, H, W, C)``, uint8, by their numbers, ``(N,)``."""
        height, width, _ = self._shape
        top, left = (self._images.shape[1] - height) // 2, (self._images.shape[2] - width) // 2
        return tf.gather(self._images, order)[:, top : top + height, left : left + width]

    def open(self, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns N images and their sizes, ``(N, 2)``, int32: height and width with their margin, in pixels."""
        sizes = tf.broadcast_to(self._images.shape[1:3], (tf.shape(order)[0], 2))
        return tf.gather(self._images, order), sizes

    def cut(self, image: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
        """Returns a part of an opened image, ``(h, w, C)``, uint8; the box is one of `draw_boxes`."""
        top, left, height, width = tf.unstack(box)
        return image[top : top + height, left : left + width]


class EncodedSource:
    """Fetches images that are decoded anew for each batch; of a random part, only that is.

    Args:
        images: Encoded, with an ``image_size``.
    """

    def __init__(self, images: EncodedImages) -> None:
        quiet_pillow_for_good()
        self._images = images

    def central(self, order: tf.Tensor) -> tf.Tensor:
        """Returns images as a network sees them, ``(N, H, W, C)``, uint8, by their numbers, ``(N,)``."""
        images = tf.numpy_function(CALLS.guarded(self._images.central), [order], tf.uint8)
        return tf.ensure_shape(images, (order.shape[0], *self._images.image_shape))

    def open(self, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns N encoded images and their sizes, ``(N, 2)``, int32: height and width, in pixels."""
        contents, sizes = tf.numpy_function(CALLS.guarded(self._read), [order], [tf.string, tf.int32])
        return tf.ensure_shape(contents, order.shape), tf.ensure_shape(sizes, (order.shape[0], 2))

    def cut(self, content: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
        """Returns a part of an opened image, ``(h, w, C)``, uint8; the box is one of `draw_boxes`."""
        channels = self._images.channels
        top, left, height, width = tf.unstack(box)

        def of_jpeg() -> tf.Tensor:
            # The accurate method is Pillow's.
            return tf.image.decode_and_crop_jpeg(content, box, channels=channels, dct_method="INTEGER_ACCURATE")

        def of_bmp() -> tf.Tensor:
            # Of grey levels all three are the same.
            return tf.io.decode_bmp(content, channels=3)[top : top + height, left : left + width, :channels]

        return tf.ensure_shape(tf.cond(tf.io.is_jpeg(content), of_jpeg, of_bmp), (None, None, channels))

    def _read(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        contents, sizes = self._images.read_plain(order)
        found = np.empty(len(contents), object)
        found[:] = contents
        return found, sizes


_SOURCES = {LabelledImages: DecodedSource, EncodedImages: EncodedSource}


def source_of(images: LabelledImages | EncodedImages) -> DecodedSource | EncodedSource:
    """Returns what fetches these images."""
    return _SOURCES[type(images)](images)


@contextlib.contextmanager
def broken_images_named(images: LabelledImages | EncodedImages) -> Iterator[None]:
    """Raises, where a pipeline fails on an image within the context, the DataError that names it.

    Args:
        images: Those of the pipeline.
    """
    try:
        yield
    except tf.errors.OpError as error:
        own = _OWN_ERROR.search(error.message)
        if own:
            raise DataError(own[1]) from error
        if not isinstance(images, EncodedImages) or not _DECODER.search(error.message):
            raise
        raise images.blame(_decode) or error from error


def _decode(content: bytes) -> None:
    tf.io.decode_image(content, expand_animations=False)


def _as_tensor(array: np.ndarray) -> tf.Tensor:
    """Returns an array as a tensor that shares its memory wherever TensorFlow can: it may be larger than that."""
    if array.flags.c_contiguous and array.flags.writeable and array.ctypes.data % _ALIGNMENT == 0:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(array)
