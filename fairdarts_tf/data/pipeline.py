"""Batches as tf.data pipelines whose content depends on the seed and the step alone.

The decoded images stay in memory as one tensor; a pipeline passes indices, and one map for each batch fetches and
augments. Step k of a run that was resumed is, to the bit, step k of one that never stopped.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from fairdarts_tf.data.augmentation import augment, normalize
from fairdarts_tf.data.generator import GENERATOR
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.rand_augment import RandAugment
from fairdarts_tf.data.recipe import Augmentation
from fairdarts_tf.errors import DataError

TRAIN_STREAM = 0
SEARCH_STREAM = 1
ORDER = 0
VARIATION = 1

# There are no loops and branches over tensors here, and looking for some would take a second of every start.
_as_it_is = tf.autograph.experimental.do_not_convert

Batch = tuple[tf.Tensor, tf.Tensor]


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Returns how many full batches ``count`` images give; the rest of an epoch is dropped.

    Raises:
        DataError: When there are fewer images than one batch takes.
    """
    if batch_size < 1:
        raise DataError(f"--batch_size is {batch_size}, but must be at least 1. Pass a larger one.")
    if count < batch_size:
        raise DataError(
            f"a batch of {batch_size} is larger than its {count} images. Pass a --batch_size of at most {count}."
        )
    return count // batch_size


def train_batches(
    data: LabelledImages,
    indices: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    mean: np.ndarray,
    std: np.ndarray,
    augmentation: Augmentation | None = None,
    first_step: int = 0,
    dtype: str = "float32",
) -> tf.data.Dataset:
    """Makes endless batches of augmented images, in a new order each epoch.

    Args:
        data: The images.
        indices: ``(M,)``, integers: those that take part.
        batch_size: Images in a batch.
        seed: Chooses order and augmentation.
        mean: ``(C,)``, in units of 0 to 1.
        std: ``(C,)``, in units of 0 to 1.
        augmentation: None: crop with a padding of 4 and flip.
        first_step: Number of the first batch, counted from the beginning of the run.
        dtype: Type of the images.

    Returns:
        Images ``(B, H, W, C)`` and labels ``(B,)``, int32.

    Raises:
        DataError: When there are fewer indices than a batch takes.
    """
    prepare = _preparer(data, mean, std, augmentation or Augmentation(), dtype)
    orders = _index_batches(indices, batch_size, _stream_seed(seed, TRAIN_STREAM, ORDER), first_step)
    variation = _stream_seed(seed, TRAIN_STREAM, VARIATION)
    batches = tf.data.Dataset.zip(orders, _steps(first_step))
    return _run(batches, lambda order, step: prepare(order, _fold(variation, step)))


def bilevel_batches(
    data: LabelledImages,
    train_indices: np.ndarray,
    search_indices: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    mean: np.ndarray,
    std: np.ndarray,
    augmentation: Augmentation | None = None,
    first_step: int = 0,
    dtype: str = "float32",
) -> tf.data.Dataset:
    """Makes endless pairs of batches: one to train the weights, one to train the alphas.

    Both halves advance by one batch at each step; each begins a new order when its own images are used up. Arguments
    and errors as in `train_batches`, whose batches the first half's are.

    Returns:
        ``((train images, train labels), (search images, search labels))``.
    """
    prepare = _preparer(data, mean, std, augmentation or Augmentation(), dtype)
    train_orders = _index_batches(train_indices, batch_size, _stream_seed(seed, TRAIN_STREAM, ORDER), first_step)
    search_orders = _index_batches(search_indices, batch_size, _stream_seed(seed, SEARCH_STREAM, ORDER), first_step)
    train_variation = _stream_seed(seed, TRAIN_STREAM, VARIATION)
    search_variation = _stream_seed(seed, SEARCH_STREAM, VARIATION)

    def prepare_both(train: tf.Tensor, search: tf.Tensor, step: tf.Tensor) -> tuple[Batch, Batch]:
        return (
            prepare(train, _fold(train_variation, step)),
            prepare(search, _fold(search_variation, step)),
        )

    return _run(tf.data.Dataset.zip(train_orders, search_orders, _steps(first_step)), prepare_both)


def evaluation_batches(
    data: LabelledImages,
    indices: np.ndarray | None,
    *,
    batch_size: int,
    mean: np.ndarray,
    std: np.ndarray,
    dtype: str = "float32",
    least: int = 1,
) -> tf.data.Dataset:
    """Makes batches of unaltered images, once, in the order of the indices; the last may be smaller.

    Args:
        data: The images.
        indices: ``(M,)``, integers: those that take part. None: all.
        batch_size: Images in a batch.
        mean: ``(C,)``, in units of 0 to 1.
        std: ``(C,)``, in units of 0 to 1.
        dtype: Type of the images.
        least: The last batch takes images of the one before it where it would have fewer than this: each of several
            replicas must have one.

    Returns:
        Images ``(B, H, W, C)`` and labels ``(B,)``, int32.

    Raises:
        DataError: When there are too few images for that.
    """
    indices = np.arange(len(data)) if indices is None else indices
    fetch = _fetcher(data)

    def prepare(order: tf.Tensor) -> Batch:
        images, labels = fetch(order)
        return tf.cast(normalize(images, mean, std), dtype), labels

    count = len(indices)
    rest = count % batch_size
    if not 0 < rest < least:
        return _run(tf.data.Dataset.from_tensor_slices(_index_tensor(indices)).batch(batch_size), prepare)
    # The last two batches share their images evenly.
    whole, size = max(0, count // batch_size - 1) * batch_size, min(count, batch_size + rest) // 2
    if size < least:
        raise DataError(
            f"{count} images, in batches of {batch_size}, are too few for {least} replicas. Use fewer devices, or hold "
            "back more images with --validation_portion."
        )
    ordered = tf.data.Dataset.from_tensor_slices(_index_tensor(indices))
    last = ordered.skip(whole).batch(-(-(count - whole) // 2))
    return _run(ordered.take(whole).batch(batch_size).concatenate(last), prepare)


def _preparer(
    data: LabelledImages, mean: np.ndarray, std: np.ndarray, augmentation: Augmentation, dtype: str
) -> Callable[[tf.Tensor, tf.Tensor], Batch]:
    fetch = _fetcher(data)
    chosen = (augmentation.operations, augmentation.strength, data.image_shape[-1])
    vary = RandAugment(*chosen) if augmentation.operations else None

    def prepare(order: tf.Tensor, seed: tf.Tensor) -> Batch:
        images, labels = fetch(order)
        if vary is not None:
            images = vary(images, _fold(seed, VARIATION))
        images = augment(
            images,
            seed,
            padding=augmentation.padding,
            flip=augmentation.flip,
            cutout=augmentation.cutout,
            resized_crop=augmentation.resized_crop,
            mean=mean,
            std=std,
        )
        images = tf.ensure_shape(images, (*order.shape, *data.image_shape))
        return tf.cast(images, dtype), labels

    return prepare


def _fetcher(data: LabelledImages) -> Callable[[tf.Tensor], Batch]:
    """Holds the images as a tensor that the graph captures: as a constant they would hit its limit of 2 GB."""
    with tf.device("CPU:0"):
        images, labels = tf.convert_to_tensor(data.images), tf.convert_to_tensor(data.labels)
    return lambda order: (tf.gather(images, order), tf.gather(labels, order))


def _index_batches(indices: np.ndarray, batch_size: int, seed: tf.Tensor, first_step: int) -> tf.data.Dataset:
    """Makes endless batches of indices, one permutation for each epoch, from ``first_step`` on.

    A permutation is a function of seed and epoch, so that earlier epochs need not be run through; within the first
    epoch only indices are skipped, never images.
    """
    steps = steps_per_epoch(len(indices), batch_size)
    first_epoch, skipped = divmod(first_step, steps)
    indices = _index_tensor(indices)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        shuffled = tf.random.experimental.stateless_shuffle(indices, _fold(seed, epoch), alg=GENERATOR)
        return tf.data.Dataset.from_tensor_slices(tf.reshape(shuffled[: steps * batch_size], (steps, batch_size)))

    return _steps(first_epoch).flat_map(_as_it_is(epoch_batches)).skip(skipped)


def _index_tensor(indices: np.ndarray) -> tf.Tensor:
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(np.asarray(indices, np.int64))


def _steps(first: int) -> tf.data.Dataset:
    return tf.data.Dataset.range(first, tf.int64.max)


def _stream_seed(seed: int, stream: int, purpose: int) -> tf.Tensor:
    """Gives each half its own chance, and within it one for the order and one for the augmentation."""
    with tf.device("CPU:0"):
        return _fold(_fold(tf.constant([seed, 0], tf.int64), stream), purpose)


def _fold(seed: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    return tf.random.fold_in(seed, number, alg=GENERATOR)


def _run(batches: tf.data.Dataset, prepare: Callable[..., object]) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # There are no files to divide among workers; each takes its share of every batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    mapped = batches.map(_as_it_is(prepare), num_parallel_calls=tf.data.AUTOTUNE)
    return mapped.prefetch(tf.data.AUTOTUNE).with_options(options)
