"""What code that runs on one replica asks about all of them."""

from __future__ import annotations

from typing import TypeVar

import tensorflow as tf

Tensors = TypeVar("Tensors", tf.Tensor, list[tf.Tensor])


def count_replicas() -> int:
    """Returns how many replicas compute a step together; 1 without a strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_index() -> int | tf.Tensor:
    """Returns this replica's number, over all machines; its part of a batch has the same place among the parts."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def sum_over_replicas(values: Tensors) -> Tensors:
    """Returns the sum of a tensor, or of each of a list, over the replicas, to each of them."""
    if count_replicas() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
