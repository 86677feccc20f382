"""Where in the files of tensorflow-datasets each encoded image lies, found in one pass over them and kept.

A TFRecord file is a row of records: 8 bytes of length and 4 of checksum, an Example of that length, 4 of checksum. An
Example holds the image's bytes as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fairdarts_tf.archives import ArchiveError, read_numbers
from fairdarts_tf.data.cache import default_directory, file_name_of, key_of, states_of
from fairdarts_tf.data.encoded import Spans
from fairdarts_tf.files import write_atomically

_BEFORE, _BEHIND = 12, 4


class Shard(NamedTuple):
    """A file, and which of its records count."""

    file: str
    skip: int
    take: int


class Index(NamedTuple):
    """Images and labels of records: ``spans`` and ``labels``, ``(N,)``, int32."""

    spans: Spans
    labels: np.ndarray


def index_records(shards: Sequence[Shard], name: str, cache_dir: str = "") -> Index:
    """Returns where the images of records lie, and their labels, in the order of the files.

    The first time all files are read once, and their checksums checked.

    Args:
        shards: The files; an Example has the features ``image`` and ``label``.
        name: The data set's, a part of the name of the file that keeps what was found.
        cache_dir: Its directory. Defaults to the user's. Where nothing can be written, nothing is kept.

    Raises:
        Exception: Any of TensorFlow's on broken records; OSError on absent files; ValueError on others than expected.
    """
    files = [shard.file for shard in shards]
    key = key_of([*states_of(files), str([shard[1:] for shard in shards])])
    path = (Path(cache_dir) if cache_dir else default_directory()) / f"{file_name_of(name)}-records-{key}.npz"
    found = _kept(path)
    if found is None:
        found = _read_all(shards)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda file: np.savez(file, **found))
    spans = Spans(files, found["file_of"], found["offsets"], found["lengths"])
    return Index(spans, found["labels"].astype(np.int32))


def _kept(path: Path) -> dict[str, np.ndarray] | None:
    try:
        found = read_numbers(path)
    except (OSError, ArchiveError):
        return None
    return found if set(_COLUMNS) <= set(found) else None


_COLUMNS = ("file_of", "offsets", "lengths", "labels")


def _read_all(shards: Sequence[Shard]) -> dict[str, np.ndarray]:
    rows = []
    # Shows itself on a terminal only.
    with tqdm(total=sum(shard.take for shard in shards), unit="image", leave=False, disable=None) as progress:
        for number, shard in enumerate(shards):
            of_shard = [(number, *row) for row in _rows(shard)]
            if len(of_shard) != shard.take:
                raise EOFError(f"{len(of_shard)} images instead of {shard.take} in {shard.file}")
            rows += of_shard
            progress.update(shard.take)
    columns = np.array(rows, np.int64).reshape(-1, len(_COLUMNS))
    return dict(zip(_COLUMNS, columns.T, strict=True))


def _rows(shard: Shard) -> Iterator[tuple[int, int, int]]:
    """Yields offset, length and label of each image of a file."""
    import tensorflow as tf

    position = 0
    for number, record in enumerate(tf.data.TFRecordDataset(shard.file).as_numpy_iterator()):
        if number >= shard.skip + shard.take:
            return
        if number >= shard.skip:
            features = tf.train.Example.FromString(record).features.feature
            (image,), (label,) = features["image"].bytes_list.value, features["label"].int64_list.value
            yield position + _BEFORE + record.index(image), len(image), label
        position += _BEFORE + len(record) + _BEHIND
