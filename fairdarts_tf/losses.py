"""What the alphas descend beside the cross-entropy: the zero-one loss, and a penalty on nodes without input.

The zero-one loss drives every mixing weight to 0 or 1, so that discretising the supernet changes little. Both its forms
average over all N entries of all tables (FairDARTS). Their minimum, reached when every weight is 0 or 1, is -1/4 for L2
and -1/2 for L1; at 1/2 both are 0. The slope of L2 vanishes at 1/2, so that an undecided weight is left to the
cross-entropy; the slope of L1 is largest there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import tensorflow as tf

from fairdarts_tf.alphas import nodes_of
from fairdarts_tf.errors import ConfigurationError, unknown_name


def zero_one_l2(weights: Iterable[tf.Tensor]) -> tf.Tensor:
    """Returns ``-(1/N) sum (weight - 0.5)**2`` over all tables of mixing weights, a scalar."""
    return -tf.reduce_mean(tf.square(_flat(weights) - 0.5))


def zero_one_l1(weights: Iterable[tf.Tensor]) -> tf.Tensor:
    """Returns ``-(1/N) sum |weight - 0.5|`` over all tables of mixing weights, a scalar."""
    return -tf.reduce_mean(tf.abs(_flat(weights) - 0.5))


def no_zero_one(weights: Iterable[tf.Tensor]) -> tf.Tensor:
    """Returns 0: DARTS has no such loss."""
    return tf.zeros([], _flat(weights).dtype)


ZERO_ONE_LOSSES: dict[str, Callable[[Iterable[tf.Tensor]], tf.Tensor]] = {
    "l2": zero_one_l2,
    "l1": zero_one_l1,
    "none": no_zero_one,
}
"""Every zero-one loss by name."""


def zero_one_loss(name: str) -> Callable[[Iterable[tf.Tensor]], tf.Tensor]:
    """Returns the zero-one loss called ``name``.

    Raises:
        ConfigurationError: When there is no such loss.
    """
    if name not in ZERO_ONE_LOSSES:
        raise ConfigurationError(unknown_name("zero-one loss", name, ZERO_ONE_LOSSES))
    return ZERO_ONE_LOSSES[name]


def node_penalty(weights: Mapping[str, tf.Tensor], threshold: float, candidates: Sequence[int]) -> tf.Tensor:
    """Returns by how much nodes fall short of an input, a scalar: 0 where every node has one.

    A node has an input if one operation on one of its edges reaches the threshold, so that the strongest decides. The
    penalty is the mean of ``max(0, threshold - max over edges and operations of weight)`` over all nodes of all cells.

    Args:
        weights: Mixing weights by kind of cell, (edges, operations), edges in the order of their nodes.
        threshold: The least weight that a derived genotype keeps.
        candidates: The columns of operations that a genotype may hold: all but ``none``.
    """
    shortages = []
    for table in weights.values():
        strongest = tf.reduce_max(tf.gather(table, list(candidates), axis=1), axis=1)
        of_nodes = tf.split(strongest, [to for to in range(2, 2 + nodes_of(int(table.shape[0])))])
        shortages += [tf.nn.relu(tf.constant(threshold, table.dtype) - tf.reduce_max(edges)) for edges in of_nodes]
    return tf.add_n(shortages) / len(shortages)


def _flat(weights: Iterable[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(table, [-1]) for table in weights], axis=0)
