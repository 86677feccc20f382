"""Batches: the same to the bit for the same seed and step, whole epochs, resumption, replicas."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.data import Augmentation, LabelledImages
from fairdarts_tf.data.pipeline import bilevel_batches, evaluation_batches, steps_per_epoch, train_batches
from fairdarts_tf.errors import DataError

COUNT = 50
# The label of an image is its number, so that batches can be told apart.
DATA = LabelledImages(
    np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8),
    np.arange(COUNT, dtype=np.int32),
    tuple(map(str, range(COUNT))),
)
SETTINGS = {"batch_size": 4, "mean": np.full(3, 0.4, np.float32), "std": np.full(3, 0.2, np.float32)}
VARIED = Augmentation(padding=2, flip=True, cutout=3)
PLAIN = Augmentation(padding=0, flip=False, cutout=0)
TRAIN, SEARCH = np.arange(0, 23), np.arange(23, 50)  # 5 and 6 batches in an epoch.


def _take(batches: tf.data.Dataset, count: int, skip: int = 0) -> list[np.ndarray]:
    """Returns the arrays of some batches, flat."""
    elements = itertools.islice(batches.as_numpy_iterator(), skip, skip + count)
    return [array for element in elements for array in tf.nest.flatten(element)]


def _equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def _bilevel(seed: int = 0, augmentation: Augmentation = VARIED, **options: object) -> tf.data.Dataset:
    return bilevel_batches(DATA, TRAIN, SEARCH, seed=seed, augmentation=augmentation, **SETTINGS | options)


def test_every_epoch_takes_each_image_at_most_once_in_a_new_order():
    labels = _take(train_batches(DATA, TRAIN, seed=0, **SETTINGS), 15)[1::2]
    epochs = [np.concatenate(labels[start : start + 5]) for start in (0, 5, 10)]
    for epoch in epochs:
        assert len(np.unique(epoch)) == 20
        assert np.isin(epoch, TRAIN).all()
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])
    assert len(np.unique(np.concatenate(epochs))) > 20


def test_orders_are_evenly_spread():
    labels = np.concatenate(_take(train_batches(DATA, TRAIN, seed=0, augmentation=PLAIN, **SETTINGS), 5000)[1::2])
    firsts = np.bincount(labels.reshape(-1, 20)[:, 0], minlength=23)
    assert np.abs(firsts / firsts.sum() - 1 / 23).max() < 0.03


def test_labels_stay_with_their_images():
    images, labels = _take(train_batches(DATA, TRAIN, seed=0, augmentation=PLAIN, **SETTINGS), 1)
    np.testing.assert_allclose(images, (DATA.images[labels] / 255 - 0.4) / 0.2, atol=1e-5)
    assert images.dtype == np.float32
    assert labels.dtype == np.int32


def test_both_halves_come_from_their_own_images_at_their_own_length():
    arrays = _take(_bilevel(), 30)
    train, search = np.concatenate(arrays[1::4]), np.concatenate(arrays[3::4])
    assert all(len(np.unique(epoch)) == 20 and np.isin(epoch, TRAIN).all() for epoch in train.reshape(6, 20))
    assert all(len(np.unique(epoch)) == 24 and np.isin(epoch, SEARCH).all() for epoch in search.reshape(5, 24))


def test_the_first_half_is_what_training_alone_would_see():
    alone = _take(train_batches(DATA, TRAIN, seed=0, augmentation=VARIED, **SETTINGS), 7)
    both = _take(_bilevel(), 7)
    assert _equal(alone[0::2], both[0::4])
    assert _equal(alone[1::2], both[1::4])


def test_halves_of_the_same_images_are_varied_independently():
    arrays = _take(bilevel_batches(DATA, TRAIN, TRAIN, seed=0, **SETTINGS), 5)
    assert not np.array_equal(arrays[1::4], arrays[3::4])


def test_the_seed_decides_to_the_bit():
    assert _equal(_take(_bilevel(seed=1), 12), _take(_bilevel(seed=1), 12))
    assert not _equal(_take(_bilevel(seed=1), 2), _take(_bilevel(seed=2), 2))


@pytest.mark.parametrize("step", [1, 4, 5, 6, 11, 29, 30, 31])
def test_a_resumed_run_sees_what_an_uninterrupted_one_would(step: int):
    assert _equal(_take(_bilevel(first_step=step), 8), _take(_bilevel(), 8, skip=step))
    whole = train_batches(DATA, TRAIN, seed=0, augmentation=VARIED, **SETTINGS)
    resumed = train_batches(DATA, TRAIN, seed=0, augmentation=VARIED, first_step=step, **SETTINGS)
    assert _equal(_take(resumed, 8), _take(whole, 8, skip=step))


def test_a_late_step_is_reached_without_the_ones_before():
    assert len(_take(_bilevel(first_step=10**15), 1)) == 4


def test_a_step_is_augmented_anew_in_each_epoch():
    arrays = _take(bilevel_batches(DATA, TRAIN[:4], SEARCH[:4], seed=0, augmentation=VARIED, **SETTINGS), 2)
    first, second = (images[np.argsort(labels)] for images, labels in ((arrays[0], arrays[1]), (arrays[4], arrays[5])))
    assert not np.array_equal(first, second)


def test_evaluation_keeps_order_and_remainder():
    arrays = _take(evaluation_batches(DATA, SEARCH, **SETTINGS), 100)
    assert [len(labels) for labels in arrays[1::2]] == [4] * 6 + [3]
    assert np.array_equal(np.concatenate(arrays[1::2]), SEARCH)
    np.testing.assert_allclose(np.concatenate(arrays[0::2]), (DATA.images[SEARCH] / 255 - 0.4) / 0.2, atol=1e-5)
    assert len(evaluation_batches(DATA, None, **SETTINGS)) == 13


@pytest.mark.parametrize(
    ("batch_size", "least", "sizes"),
    [(4, 3, [4] * 6 + [3]), (24, 3, [24, 3]), (24, 4, [14, 13]), (10, 8, [10, 9, 8]), (40, 27, [27])],
)
def test_no_replica_is_left_without_an_image(batch_size: int, least: int, sizes: list[int]):
    batches = evaluation_batches(DATA, SEARCH, least=least, **SETTINGS | {"batch_size": batch_size})
    arrays = _take(batches, 100)
    assert [len(labels) for labels in arrays[1::2]] == sizes
    assert np.array_equal(np.concatenate(arrays[1::2]), SEARCH)
    assert len(batches) == len(sizes)


@pytest.mark.parametrize(("batch_size", "least"), [(40, 28), (24, 14)])
def test_too_few_images_for_the_replicas(batch_size: int, least: int):
    with pytest.raises(DataError, match=f"27 images.*{least} replicas.*--validation_portion"):
        evaluation_batches(DATA, SEARCH, least=least, **SETTINGS | {"batch_size": batch_size})


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_other_types(dtype: str):
    spec = train_batches(DATA, TRAIN, seed=0, dtype=dtype, **SETTINGS).element_spec
    assert spec[0] == tf.TensorSpec((4, 8, 8, 3), dtype)
    assert evaluation_batches(DATA, TRAIN, dtype=dtype, **SETTINGS).element_spec[0].dtype == dtype


def test_one_channel():
    data = LabelledImages(DATA.images[..., :1], DATA.labels, DATA.class_names)
    settings = {**SETTINGS, "mean": np.zeros(1), "std": np.ones(1)}
    images, _ = _take(train_batches(data, TRAIN, seed=0, augmentation=VARIED, **settings), 1)
    assert images.shape == (4, 8, 8, 1)


def test_steps_in_an_epoch():
    assert steps_per_epoch(23, 4) == 5
    assert steps_per_epoch(4, 4) == 1
    with pytest.raises(DataError, match="at most 3"):
        steps_per_epoch(3, 4)
    with pytest.raises(DataError, match="--batch_size"):
        steps_per_epoch(3, 0)
    with pytest.raises(DataError, match="at most 23"):
        bilevel_batches(DATA, TRAIN, SEARCH, seed=0, **{**SETTINGS, "batch_size": 24})


REPLICAS = """
from functools import partial
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from fairdarts_tf.distribution import distribute
from tests.test_data_pipeline import DATA, SEARCH, SETTINGS, _bilevel, _take, evaluation_batches
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
of_search = partial(_bilevel, first_step=3)
of_evaluation = partial(evaluation_batches, DATA, SEARCH, **SETTINGS)
# Parts of what is made in parts, and of what is made whole.
for batches, whole, count in (
    (of_search, of_search(), 9),
    (of_evaluation, of_evaluation(), 7),
    (of_search(), of_search(), 3),
):
    distributed = iter(distribute(batches, strategy))
    expected = whole.as_numpy_iterator()
    for number in range(count):
        parts = [strategy.experimental_local_results(part) for part in tf.nest.flatten(next(distributed))]
        for part, array in zip(parts, tf.nest.flatten(next(expected)), strict=True):
            assert len(part) == 2 and len(part[0]) == len(array) // 2, [p.shape for p in part]
            assert np.array_equal(np.concatenate(part), array)
"""


def test_two_replicas_share_each_batch():
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", REPLICAS], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
