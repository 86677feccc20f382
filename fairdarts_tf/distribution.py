"""Batches for several replicas, each of which gets its own part, at the same place, of every batch."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from fairdarts_tf.data.rows import Parts

# Nothing here branches or loops over tensors.
_as_it_is = tf.autograph.experimental.do_not_convert


def distribute(
    batches: tf.data.Dataset | Callable[..., tf.data.Dataset], strategy: tf.distribute.Strategy
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Divides each batch among the replicas, on all machines: first the first machine's, in order.

    TensorFlow's own way deals batches of which a part may be empty, whose sizes depend on the machine.

    Args:
        batches: The same on every machine, in tuples of tensors: as a function, which is asked for the ``parts`` of
            each batch that this machine's replicas get, and makes no others, or as a data set, of which each machine
            makes the whole. Sizes that replicas cannot share evenly give parts that differ by one; none is empty if no
            batch has fewer images than there are replicas.
        strategy: Of the replicas.

    Returns:
        For one replica the batches; for several the parts, which begin anew when the batches end, so that who reads
        them must know how many there are.
    """
    replicas = strategy.num_replicas_in_sync
    in_parts = batches if callable(batches) else _parts_of(batches)
    if replicas == 1:
        return in_parts()

    def parts_of_machine(context: tf.distribute.InputContext) -> tf.data.Dataset:
        own = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * own
        return in_parts(parts=Parts(first, first + own, replicas)).repeat().prefetch(tf.data.AUTOTUNE)

    return strategy.distribute_datasets_from_function(parts_of_machine)


def _parts_of(batches: tf.data.Dataset) -> Callable[..., tf.data.Dataset]:
    """Returns a function that takes parts of batches that are made whole."""

    def in_parts(parts: Parts | None = None) -> tf.data.Dataset:
        if parts is None:
            return batches

        def split(*batch: object) -> tf.data.Dataset:
            take = lambda index: tf.nest.map_structure(lambda tensor: _part(tensor, index, parts.of), batch)  # noqa: E731
            return tf.data.Dataset.range(parts.first, parts.last).map(_as_it_is(take))

        return batches.flat_map(_as_it_is(split))

    return in_parts


def _part(tensor: tf.Tensor, index: tf.Tensor, replicas: int) -> tf.Tensor:
    size = tensor.shape[0]
    if size is not None and size % replicas == 0:
        own = size // replicas
        return tf.ensure_shape(tensor[index * own : (index + 1) * own], [own, *tensor.shape[1:]])
    size = tf.shape(tensor, tf.int64)[0]
    return tensor[index * size // replicas : (index + 1) * size // replicas]
