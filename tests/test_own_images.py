"""One's own images: arrays and datasets become labelled images, and a run knows them by what they hold."""

from __future__ import annotations

import numpy as np
import pytest

from fairdarts_tf import data
from fairdarts_tf.data import load_dataset
from fairdarts_tf.data.memory import recorded_name
from fairdarts_tf.data.statistics import KNOWN
from fairdarts_tf.errors import ConfigurationError, DataError
from fairdarts_tf.settings import SearchSettings

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 6, 3), np.uint8)
LABELS = np.arange(12) % 3


def test_arrays_are_taken_as_they_are():
    loaded = load_dataset((IMAGES, LABELS.reshape(-1, 1)))
    assert np.array_equal(loaded.images, IMAGES)
    assert loaded.labels.dtype == np.int32 and np.array_equal(loaded.labels, LABELS)
    assert loaded.class_names == ("0", "1", "2")


def test_grey_images_need_no_axis_of_channels():
    assert load_dataset((IMAGES[..., 0], LABELS)).image_shape == (6, 6, 1)


@pytest.mark.parametrize("batch", [None, 5])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_dataset_gives_the_same(batch: int | None, keyed: bool):
    import tensorflow as tf

    pair = {"image": IMAGES, "label": LABELS} if keyed else (IMAGES, LABELS)
    dataset = tf.data.Dataset.from_tensor_slices(pair)
    loaded = load_dataset(dataset if batch is None else dataset.batch(batch))
    assert np.array_equal(loaded.images, IMAGES) and np.array_equal(loaded.labels, LABELS)


def test_sizes_and_classes_are_those_asked_for():
    loaded = load_dataset((IMAGES, LABELS), image_size=4, class_names=("a", "b", "c"), classes=("c", "a"))
    assert loaded.image_shape == (4, 4, 3)
    assert loaded.class_names == ("a", "c")
    assert np.array_equal(loaded.labels, [0, 1] * 4)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((IMAGES / 255, LABELS), r"np.rint\(images \* 255\)"),
        ((IMAGES, np.eye(3)[LABELS]), "argmax"),
        ((IMAGES, LABELS - 1), "negative"),
        ((IMAGES[:5], LABELS), "one int32 for each"),
        ((IMAGES[:0], LABELS[:0]), "no images"),
        ((np.zeros((4, 3, 8, 8, 2), np.uint8), LABELS[:4]), "must be"),
        ((np.zeros((4, 8, 8, 7), np.uint8), LABELS[:4]), "7 channels"),
        ([(np.zeros((4, 4, 3), np.uint8), 0), (np.zeros((5, 4, 3), np.uint8), 1)], "several sizes"),
        ([], "no images"),
        ([IMAGES[0]], "expected"),
        (3, "Found: int"),
        ((IMAGES.tolist(), LABELS.tolist()), r"np.asarray\(images, 'uint8'\)"),
    ],
)
def test_others_are_refused(source: object, message: str):
    with pytest.raises(DataError, match=message):
        load_dataset(source)


def test_a_label_beyond_the_class_names_is_refused():
    with pytest.raises(DataError, match=r"class_names has 2, but labels run up to 2. Name all 3 classes"):
        load_dataset((IMAGES, LABELS), class_names=("a", "b"))


@pytest.mark.parametrize("names", ["abc", 3])
def test_class_names_are_a_list(names: object):
    with pytest.raises(DataError, match=f"class_names is {names!r}, but must be a list"):
        load_dataset((IMAGES, LABELS), class_names=names)


def test_fingerprint_tells_apart_whatever_a_search_would_see():
    name = recorded_name(load_dataset((IMAGES, LABELS)))
    assert name == recorded_name(load_dataset((IMAGES.copy(), LABELS.astype(np.int64))))
    pixel = IMAGES.copy()
    pixel[3, 2, 1, 0] ^= 1
    others = [
        load_dataset((pixel, LABELS)),
        load_dataset((IMAGES, LABELS[::-1])),
        load_dataset((IMAGES[:-1], LABELS[:-1])),
        load_dataset((IMAGES.reshape(12, 3, 12, 3), LABELS)),
        load_dataset((IMAGES, LABELS), class_names=("a", "b", "c")),
        load_dataset((IMAGES, LABELS), known_as="other"),
    ]
    assert len({name, *map(recorded_name, others)}) == 7


def test_a_known_name_brings_what_is_known_of_the_set():
    images = np.zeros((20, 28, 28), np.uint8)
    name = recorded_name(load_dataset((images, np.arange(20) % 10), known_as="mnist"))
    assert not data.flips_by_default(name)
    assert data.flips_by_default(recorded_name(load_dataset((images, np.arange(20) % 10))))
    mean, _ = data.statistics_for(name, load_dataset((images, np.arange(20) % 10)))
    assert mean == pytest.approx(KNOWN["mnist"][1])


def test_images_given_leave_no_room_for_loading():
    with pytest.raises(ConfigurationError, match="image_size=32"):
        data.settings_for(SearchSettings(image_size=32), load_dataset((IMAGES, LABELS)))


def test_images_in_memory_are_in_no_file():
    with pytest.raises(DataError, match="memory of a Python program"):
        load_dataset("memory:images:0123456789abcdef")
