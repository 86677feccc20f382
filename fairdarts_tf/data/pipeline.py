"""Batches as tf.data pipelines whose content depends on the seed and the step alone.

A pipeline passes indices; one map for each batch, or for a part of it where several machines and devices share it,
fetches those images and varies them. Step k of a run that was resumed is, to the bit, step k of one that never stopped.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from fairdarts_tf.data.augmentation import augment, normalize
from fairdarts_tf.data.color_jitter import ColorJitter
from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.fetching import DecodedSource, EncodedSource, source_of
from fairdarts_tf.data.generator import GENERATOR
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.rand_augment import RandAugment
from fairdarts_tf.data.recipe import Augmentation
from fairdarts_tf.data.resized_crop import draw_boxes, scale
from fairdarts_tf.data.rows import WHOLE, Parts, Rows
from fairdarts_tf.errors import DataError

TRAIN_STREAM = 0
SEARCH_STREAM = 1
ORDER = 0
VARIATION = 1
# Set apart from the draws that all crops share.
RESIZED = 1
JITTER = 2

# There are no loops and branches over tensors here, and looking for some would take a second of every start.
_as_it_is = tf.autograph.experimental.do_not_convert

Images = LabelledImages | EncodedImages
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
    data: Images,
    indices: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    mean: np.ndarray,
    std: np.ndarray,
    augmentation: Augmentation | None = None,
    first_step: int = 0,
    dtype: str = "float32",
    parts: Parts = WHOLE,
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
        parts: Which parts of each batch are made, one after another; nothing else is read. Defaults to the whole.

    Returns:
        Images ``(B, H, W, C)`` and labels ``(B,)``, int32.

    Raises:
        DataError: When there are fewer indices than a batch takes.
    """
    prepare = _preparer(data, mean, std, augmentation or Augmentation(), batch_size, dtype)
    orders = _index_batches(indices, batch_size, _stream_seed(seed, TRAIN_STREAM, ORDER), first_step)
    variation = _stream_seed(seed, TRAIN_STREAM, VARIATION)
    batches = _in_parts(tf.data.Dataset.zip((orders,), _steps(first_step)), parts)
    return _run(batches, lambda orders, step, first: prepare(orders[0], first, _fold(variation, step)))


def bilevel_batches(
    data: Images,
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
    parts: Parts = WHOLE,
) -> tf.data.Dataset:
    """Makes endless pairs of batches: one to train the weights, one to train the alphas.

    Both halves advance by one batch at each step; each begins a new order when its own images are used up. Arguments
    and errors as in `train_batches`, whose batches the first half's are.

    Returns:
        ``((train images, train labels), (search images, search labels))``.
    """
    prepare = _preparer(data, mean, std, augmentation or Augmentation(), batch_size, dtype)
    train_orders = _index_batches(train_indices, batch_size, _stream_seed(seed, TRAIN_STREAM, ORDER), first_step)
    search_orders = _index_batches(search_indices, batch_size, _stream_seed(seed, SEARCH_STREAM, ORDER), first_step)
    train_variation = _stream_seed(seed, TRAIN_STREAM, VARIATION)
    search_variation = _stream_seed(seed, SEARCH_STREAM, VARIATION)

    def prepare_both(orders: tuple[tf.Tensor, tf.Tensor], step: tf.Tensor, first: tf.Tensor) -> tuple[Batch, Batch]:
        train, search = orders
        return (
            prepare(train, first, _fold(train_variation, step)),
            prepare(search, first, _fold(search_variation, step)),
        )

    return _run(_in_parts(tf.data.Dataset.zip((train_orders, search_orders), _steps(first_step)), parts), prepare_both)


def evaluation_batches(
    data: Images,
    indices: np.ndarray | None,
    *,
    batch_size: int,
    mean: np.ndarray,
    std: np.ndarray,
    dtype: str = "float32",
    least: int = 1,
    parts: Parts = WHOLE,
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
        parts: Which parts of each batch are made, as of `train_batches`.

    Returns:
        Images ``(B, H, W, C)`` and labels ``(B,)``, int32.

    Raises:
        DataError: When there are too few images for that.
    """
    indices = np.arange(len(data)) if indices is None else indices
    source, labels = source_of(data), _label_tensor(data)

    def prepare(orders: tuple[tf.Tensor], step: tf.Tensor, first: tf.Tensor) -> Batch:
        (order,) = orders
        return tf.cast(normalize(source.central(order), mean, std), dtype), tf.gather(labels, order)

    batches = _once(indices, batch_size, least)
    return _run(_in_parts(tf.data.Dataset.zip((batches,), _steps(0)), parts), prepare)


def _once(indices: np.ndarray, batch_size: int, least: int) -> tf.data.Dataset:
    """Makes batches of the indices, once; the last is made larger where it would have fewer than ``least``."""
    count = len(indices)
    rest = count % batch_size
    ordered = tf.data.Dataset.from_tensor_slices(_index_tensor(indices))
    if not 0 < rest < least:
        return ordered.batch(batch_size)
    # The last two batches share their images evenly.
    whole, size = max(0, count // batch_size - 1) * batch_size, min(count, batch_size + rest) // 2
    if size < least:
        raise DataError(
            f"{count} images, in batches of {batch_size}, are too few for {least} replicas. Use fewer devices, or hold "
            "back more images with --validation_portion."
        )
    return ordered.take(whole).batch(batch_size).concatenate(ordered.skip(whole).batch(-(-(count - whole) // 2)))


def _preparer(
    data: Images, mean: np.ndarray, std: np.ndarray, augmentation: Augmentation, batch_size: int, dtype: str
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Batch]:
    """Returns what makes images of numbers: those of the rows of a batch from a first one on, by the batch's seed."""
    source, labels = source_of(data), _label_tensor(data)
    variations = _variations(augmentation, data.image_shape[-1])

    def prepare(order: tf.Tensor, first: tf.Tensor, seed: tf.Tensor) -> Batch:
        rows = Rows(first, tf.shape(order, tf.int64)[0], batch_size)
        if augmentation.resized_crop:
            images = _random_parts(source, order, _fold(seed, RESIZED), rows, data.image_shape)
        else:
            images = source.central(order)
        for vary, purpose in variations:
            images = vary(images, _fold(seed, purpose), rows)
        images = augment(
            images,
            seed,
            padding=0 if augmentation.resized_crop else augmentation.padding,
            flip=augmentation.flip,
            cutout=augmentation.cutout,
            mean=mean,
            std=std,
            rows=rows,
        )
        images = tf.ensure_shape(images, (*order.shape, *data.image_shape))
        return tf.cast(images, dtype), tf.gather(labels, order)

    return prepare


def _variations(augmentation: Augmentation, channels: int) -> list[tuple[Callable[..., tf.Tensor], int]]:
    """Returns what varies images one by one, each with the number of its own chance."""
    variations: list[tuple[Callable[..., tf.Tensor], int]] = []
    if augmentation.operations:
        variations.append((RandAugment(augmentation.operations, augmentation.strength, channels), VARIATION))
    if augmentation.color_jitter:
        variations.append((ColorJitter(augmentation.color_jitter, channels), JITTER))
    return variations


def _random_parts(
    source: DecodedSource | EncodedSource, order: tf.Tensor, seed: tf.Tensor, rows: Rows, shape: tuple[int, int, int]
) -> tf.Tensor:
    """Returns a random part of each image, scaled to the network's size, float32."""
    opened, sizes = source.open(order)
    boxes = draw_boxes(seed, sizes, rows)
    cut = tf.autograph.experimental.do_not_convert(lambda pair: scale(source.cut(*pair), *shape[:2]))
    return tf.map_fn(cut, (opened, boxes), fn_output_signature=tf.TensorSpec(shape, tf.float32))


def _in_parts(batches: tf.data.Dataset, parts: Parts) -> tf.data.Dataset:
    """Turns batches of indices, with their step, into parts of them, each with its step and its first row."""
    if parts.of == 1:
        return batches.map(lambda orders, step: (orders, step, tf.constant(0, tf.int64)))

    def split(orders: tuple[tf.Tensor, ...], step: tf.Tensor) -> tf.data.Dataset:
        size = orders[0].shape[0]
        even = size is not None and size % parts.of == 0
        bounds = tf.convert_to_tensor(parts.rows(size if even else tf.shape(orders[0], tf.int64)[0]), tf.int64)

        def part(bound: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor, tf.Tensor]:
            first, end = tf.unstack(bound)
            own = [tf.ensure_shape(order[first:end], [size // parts.of if even else None]) for order in orders]
            return tuple(own), step, first

        return tf.data.Dataset.from_tensor_slices(bounds).map(part)

    return batches.flat_map(split)


def _label_tensor(data: Images) -> tf.Tensor:
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(data.labels)


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
    # There are no files to divide among workers; each makes its parts of every batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    mapped = batches.map(_as_it_is(prepare), num_parallel_calls=tf.data.AUTOTUNE)
    return mapped.prefetch(tf.data.AUTOTUNE).with_options(options)
