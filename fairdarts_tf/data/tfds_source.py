"""Image classification sets of tensorflow-datasets, offline wherever they are prepared."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np
from absl import logging

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages, allocate_images
from fairdarts_tf.data.names import base_name
from fairdarts_tf.data.resizing import resize_images
from fairdarts_tf.data.storage import Form
from fairdarts_tf.data.tfrecords import Index, Shard, index_records
from fairdarts_tf.errors import DataError, unknown_name

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

READ_BATCH = 512
_INDEXED_FORMAT = "tfrecord"
_UNREADABLE_FORMAT = "array_record"
"""Of which the library makes no `tf.data.Dataset`."""
NOISE = re.compile(r"\{\{.*?\}\}\s*|\s*\[Op:.*|Failed to construct dataset .*?\}\": ")


def load_tfds(
    name: str, split: str, form: Form, *, data_dir: str | None = None, download: bool = False
) -> LabelledImages | EncodedImages:
    """Loads a split of a data set of tensorflow-datasets. Arguments and errors as of `load_dataset`.

    Returns:
        Decoded images where all of the split are to be in memory and have one size, otherwise encoded ones.
    """
    with _without_warnings():
        builder = _open(name, data_dir)
        _check_features(name, builder)
        _prepare(name, builder, download)
        _check_split(name, split, builder)
        _check_size(name, builder, form)
        class_names = tuple(builder.info.features["label"].names)
        height, _, channels = builder.info.features["image"].shape
        count = builder.info.splits[split].num_examples
        in_memory = form.keeps_in_memory(count, form.stored_size or height, channels)
        _check_format(name, builder, in_memory)
        # Images of several sizes are decoded alike in all forms; of one size, as they always were.
        if in_memory and (_has_fixed_size(builder) or not _is_indexable(builder)):
            images, labels = _read(name, builder, split, form.stored_size or None)
            return LabelledImages(images, labels, class_names, form.image_size)
        index = _index(name, builder, split, form.cache_dir)
        return EncodedImages(*index, class_names, channels, form.image_size, form.resize_size)


def _is_indexable(builder: tfds.core.DatasetBuilder) -> bool:
    return builder.info.file_format.value == _INDEXED_FORMAT


def _check_format(name: str, builder: tfds.core.DatasetBuilder, in_memory: bool) -> None:
    kind = builder.info.file_format.value
    if not _is_indexable(builder) and (not in_memory or kind == _UNREADABLE_FORMAT):
        raise DataError(
            f"dataset {name!r} is prepared as {kind} files, but tfrecord files are needed. Prepare it again, as with "
            f"tfds build {base_name(name)} --file_format=tfrecord --overwrite."
        )


def _index(name: str, builder: tfds.core.DatasetBuilder, split: str, cache_dir: str) -> Index:
    files = builder.info.splits[split].file_instructions
    shards = [Shard(os.fspath(file.filename), file.skip, file.take) for file in files]
    try:
        return index_records(shards, f"{base_name(name)}-{split}", cache_dir)
    except Exception as error:  # Corrupt records surface as any of TensorFlow's error types.
        raise _unreadable(name, builder, error) from error


def _open(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataError(
            f"dataset {name!r} needs tensorflow-datasets, which cannot be imported ({_first_line(error)}). "
            "Run: pip install tensorflow-datasets importlib_resources"
        ) from error
    known = tfds.list_builders(with_community_datasets=False)
    if base_name(name) not in known:
        raise DataError(_unknown_dataset(name, known))
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # Builders are third-party code that raises at will on configurations and metadata.
        raise DataError(
            f"cannot open dataset {name!r}: {_first_line(error)}. "
            "Check its configuration and version, and the metadata files in --data_dir."
        ) from error


def _unknown_dataset(name: str, known: Collection[str]) -> str:
    """Suggests the nearest name; all 400 of them would bury the message."""
    near = difflib.get_close_matches(name, [*known, "digits"], n=1)
    suggestion = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"unknown dataset {name!r}.{suggestion} Known: digits, folder:PATH, and the image classification names of "
        "tensorflow-datasets, as cifar10."
    )


def _check_features(name: str, builder: tfds.core.DatasetBuilder) -> None:
    from tensorflow_datasets import features as kinds

    features = builder.info.features
    has_image = "image" in features and isinstance(features["image"], kinds.Image)
    has_label = "label" in features and isinstance(features["label"], kinds.ClassLabel)
    if not (has_image and has_label and features["label"].names):
        found = ", ".join(f"{key} ({type(features[key]).__name__})" for key in sorted(features))
        raise DataError(
            f"dataset {name!r} has the features {found}, but an image (Image) and a label (ClassLabel) are needed. "
            "Choose an image classification set."
        )
    if features["image"].np_dtype != np.uint8 or features["image"].shape[-1] not in (1, 3, 4):
        raise DataError(
            f"dataset {name!r} has images of type {np.dtype(features['image'].np_dtype)} with "
            f"{features['image'].shape[-1]} channels, but uint8 with 1, 3 or 4 is needed. Choose another data set."
        )


def _prepare(name: str, builder: tfds.core.DatasetBuilder, download: bool) -> None:
    if builder.is_prepared():
        return
    if not download:
        raise DataError(
            f"dataset {name!r} is not prepared in {builder.data_path}. "
            "Pass --download to fetch it, or point --data_dir to the folder that holds it."
        )
    import tensorflow_datasets as tfds

    try:
        tfds.display_progress_bar(sys.stderr.isatty())
        # What it says of itself is no result of any command.
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except Exception as error:  # Network, disk, checksum and manual-download errors share no base class.
        raise DataError(
            f"cannot download dataset {name!r} to {builder.data_path}: {_first_line(error)}. "
            "Check the network and the free space, or point --data_dir to prepared data."
        ) from error


def _check_split(name: str, split: str, builder: tfds.core.DatasetBuilder) -> None:
    try:
        builder.info.splits[split]
    except (KeyError, ValueError):
        raise DataError(unknown_name(f"split of {name}", split, builder.info.splits)) from None


def _check_size(name: str, builder: tfds.core.DatasetBuilder, form: Form) -> None:
    if not form.image_size and not _has_fixed_size(builder):
        raise DataError(
            f"dataset {name!r} has images of several sizes, but a network needs one. Pass --image_size, as 64."
        )


def _has_fixed_size(builder: tfds.core.DatasetBuilder) -> bool:
    return None not in builder.info.features["image"].shape


def _read(
    name: str, builder: tfds.core.DatasetBuilder, split: str, image_size: int | None
) -> tuple[np.ndarray, np.ndarray]:
    height, width, channels = builder.info.features["image"].shape
    count = builder.info.splits[split].num_examples
    images = allocate_images(count, (image_size or height, image_size or width, channels))
    try:
        return images, _fill(images, builder, split, image_size)
    except Exception as error:  # Corrupt records surface as any of TensorFlow's error types.
        raise _unreadable(name, builder, error) from error


def _unreadable(name: str, builder: tfds.core.DatasetBuilder, error: Exception) -> DataError:
    return DataError(
        f"cannot read the prepared data of {name!r} in {builder.data_path}: {_first_line(error)}. "
        "Delete that folder and pass --download to prepare them again."
    )


def _fill(images: np.ndarray, builder: tfds.core.DatasetBuilder, split: str, image_size: int | None) -> np.ndarray:
    """Fills the array batch by batch, so that no second copy of the data set is ever in memory; returns the labels."""
    import tensorflow_datasets as tfds

    batches = builder.as_dataset(
        split=split,
        batch_size=READ_BATCH if _has_fixed_size(builder) else 1,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding({"image": True, "label": True}),
        # File after file: the order, from which a run's halves follow, is that of `index_records`.
        read_config=tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1),
    )
    labels, filled = np.empty(len(images), np.int32), 0
    for batch in tfds.as_numpy(batches):
        end = filled + len(batch["label"])
        images[filled:end] = resize_images(batch["image"], image_size)
        labels[filled:end] = batch["label"]
        filled = end
    if filled != len(images):
        raise EOFError(f"{filled} images instead of {len(images)}")
    return labels


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps the library's warnings, on its own metadata and deprecations, from burying the one line for the user."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _first_line(error: Exception) -> str:
    """Returns an error's message without what only the libraries' developers can read."""
    lines = NOISE.sub("", str(error)).strip().splitlines()
    return lines[0].rstrip(" .:") if lines else type(error).__name__
