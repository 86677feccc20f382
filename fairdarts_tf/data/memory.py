"""One's own images, as a program has them in memory: made of arrays, and known to a run by what they hold."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.names import MEMORY_PREFIX, UNNAMED
from fairdarts_tf.data.resizing import resize_images
from fairdarts_tf.data.storage import Form
from fairdarts_tf.errors import DataError

_DIGITS = 16
"""Of a fingerprint, in hexadecimal: 64 bits."""
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,60}")


def images_from(
    source: object, form: Form | None = None, class_names: Sequence[str] = (), name: str = UNNAMED
) -> LabelledImages:
    """Returns one's own images as all of the project takes them.

    Args:
        source: A pair of arrays, (images, labels): images ``(N, H, W, C)`` or ``(N, H, W)``, uint8, and labels ``(N,)``
            or ``(N, 1)``, integers from 0. Or a `tf.data.Dataset`, or anything else to iterate over, of pairs (image,
            label) or of mappings with ``image`` and ``label`` as tensorflow-datasets gives, in batches or one by one.
        form: Sizes of the images. Defaults to None: their own.
        class_names: Names of the classes by label. Defaults to none: their numbers, ``"0"`` to the greatest label.
        name: Of the data, in a run's files. One of a known set of digits or letters, as ``mnist``, says that images are
            not to be mirrored. Defaults to ``"images"``.

    Raises:
        DataError: When they are none of these, or have another type or shape.
    """
    if not _NAME.fullmatch(name):
        raise DataError(f"{name!r:.80} is no name of a data set. Use letters, digits, '_', '.', '+' and '-'.")
    images, labels = _arrays(source)
    form = form or Form()
    images = resize_images(_checked_images(images), form.stored_size or None)
    labels = _checked_labels(labels)
    return LabelledImages(images, labels, _names(class_names, int(labels.max(initial=-1)) + 1), form.image_size, name)


def recorded_name(images: LabelledImages | EncodedImages) -> str:
    """Returns the name by which a run's files know images that were given to it, as ``memory:digits:1f0c...``.

    Its last part is a fingerprint of pixels (of encoded images: of where they lie), labels and class names, so that a
    run does not go on with other images.
    """
    return f"{MEMORY_PREFIX}{images.name or UNNAMED}:{_fingerprint(images)}"


def _fingerprint(images: LabelledImages | EncodedImages) -> str:
    digest = hashlib.sha256()
    for part in _contents(images):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()[:_DIGITS]


def _contents(images: LabelledImages | EncodedImages) -> Iterable[bytes | memoryview]:
    yield repr((images.image_size, images.class_names)).encode("utf-8", "surrogatepass")
    yield memoryview(np.ascontiguousarray(images.labels))
    if isinstance(images, LabelledImages):
        yield repr(images.images.shape).encode()
        yield memoryview(np.ascontiguousarray(images.images)).cast("B")
        return
    spans = images.spans
    yield repr((images.channels, images.resize_size, list(spans.files))).encode("utf-8", "surrogatepass")
    yield from (memoryview(np.ascontiguousarray(part)) for part in (spans.file_of, spans.offsets, spans.lengths))


def _arrays(source: object) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(source, tuple | list) and len(source) == 2 and all(hasattr(part, "__array__") for part in source):
        return np.asarray(source[0]), np.asarray(source[1])
    elements = source.as_numpy_iterator() if hasattr(source, "as_numpy_iterator") else source
    if isinstance(elements, str | bytes) or not isinstance(elements, Iterable):
        raise DataError(f"{_EXPECTED} Found: {type(source).__name__}.")
    elements = iter(elements)
    try:
        first = _pair(next(elements))
    except StopIteration:
        raise DataError("there are no images in these data, but at least one is needed.") from None
    pairs = itertools.chain([first], map(_pair, elements))
    join = np.concatenate if first[1].ndim else np.stack
    images, labels = zip(*pairs, strict=True)
    try:
        return join(images), join(labels)
    except ValueError as error:
        raise DataError(f"images of several sizes ({error}), but a network needs one. Resize them first.") from None


def _pair(element: object) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(element, Mapping) and {"image", "label"} <= set(element):
        element = (element["image"], element["label"])
    if not isinstance(element, tuple | list) or len(element) != 2:
        hint = " Make arrays of lists: np.asarray(images, 'uint8')." if isinstance(element, list) else ""
        raise DataError(f"{_EXPECTED} Found elements that are {type(element).__name__}.{hint}")
    return np.asarray(element[0]), np.asarray(element[1])


def _names(class_names: Sequence[str], count: int) -> tuple[str, ...]:
    """Returns the names of the classes, where there are so many by their labels; their numbers where none are given."""
    if isinstance(class_names, str) or not isinstance(class_names, Iterable):
        raise DataError(f"class_names is {class_names!r:.80}, but must be a list: one name for each class.")
    names = tuple(map(str, class_names)) or tuple(map(str, range(count)))
    if len(names) < count:
        raise DataError(f"class_names has {len(names)}, but labels run up to {count - 1}. Name all {count} classes.")
    return names


def _checked_images(images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.dtype != np.uint8:
        raise DataError(
            f"images have shape {images.shape} and type {images.dtype}, but must be (number, height, width, channels) "
            "of uint8, from 0 to 255. Of floats from 0 to 1: np.rint(images * 255).astype('uint8')."
        )
    if images.shape[-1] not in (1, 3, 4):
        raise DataError(f"images have {images.shape[-1]} channels, but must have 1, 3 or 4, in the last axis.")
    return images


def _checked_labels(labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.max(initial=0) > np.iinfo(np.int32).max:
        raise DataError(
            f"labels have shape {labels.shape} and type {labels.dtype}, but must be one whole number for each image, "
            "from 0. Of one-hot rows: labels.argmax(axis=-1)."
        )
    return labels.astype(np.int32)


_EXPECTED = (
    "expected the name of a data set, a folder as folder:PATH, a pair of arrays (images, labels), or a tf.data.Dataset "
    "of pairs (image, label)."
)
