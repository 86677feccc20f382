"""Expectations over gates: mixing weights, read as the probabilities that operations are on.

Each gate is on with its own probability, independently of the others. What a derivation keeps of those that are on is a
choice by their order, and among operations that all ended near 1 that order is close to a coin flip: so the number that
is kept is shared out in proportion to their probabilities. Where no more gates are on than are kept there is nothing to
choose, and at probabilities of 0 and 1 all of it is exact.

All functions are differentiable and take tensors whose last axis holds the gates.
"""

from __future__ import annotations

import tensorflow as tf


def any_on(probabilities: tf.Tensor) -> tf.Tensor:
    """Returns the probability that at least one gate is on: ``1 - product of (1 - p)``, (...)."""
    return 1 - tf.reduce_prod(1 - probabilities, axis=-1)


def count_distribution(probabilities: tf.Tensor) -> tf.Tensor:
    """Returns the probability of each number of gates that are on, (..., gates + 1): from 0 to all."""
    gates = tf.unstack(probabilities, axis=-1)
    counts = [tf.ones_like(gates[0])]
    for gate in gates:
        zero = tf.zeros_like(gate)
        counts = [(1 - gate) * off + gate * on for off, on in zip([*counts, zero], [zero, *counts], strict=True)]
    return tf.stack(counts, axis=-1)


def expected_kept(probabilities: tf.Tensor, most: int | None) -> tf.Tensor:
    """Returns the probability of each gate that it is on and kept, of the same shape.

    With N gates on, ``min(most, N)`` are kept. The expectation of that number is divided among the gates in proportion
    to their probabilities: ``p / sum(p) * E[min(most, N)]``.

    Args:
        probabilities: Of the gates.
        most: How many are kept at most; None: all that are on.
    """
    if most is None or probabilities.shape[-1] <= most:
        return probabilities
    distribution = count_distribution(probabilities)
    numbers = tf.range(probabilities.shape[-1] + 1, dtype=tf.int32)
    kept = tf.reduce_sum(distribution * tf.cast(tf.minimum(numbers, most), distribution.dtype), axis=-1, keepdims=True)
    return shares(probabilities) * kept


def shares(probabilities: tf.Tensor) -> tf.Tensor:
    """Returns ``p / sum(p)``, of the same shape; 0 where all are 0."""
    return tf.math.divide_no_nan(probabilities, tf.reduce_sum(probabilities, axis=-1, keepdims=True))


def drawn_pair(strengths: tf.Tensor) -> tf.Tensor:
    """Returns the probability of each gate that it is one of two drawn in turn, of the same shape.

    The first is drawn in proportion to the strengths, the second of the others in the same way (Plackett, 1975):
    ``q_i + sum over j other than i of q_j q_i / (1 - q_j)`` with ``q = s / sum(s)``. Of strengths of 0 and 1, two of
    them 1, those two are drawn for certain.

    Args:
        strengths: Not negative. Fewer than three gates are all drawn.
    """
    if strengths.shape[-1] <= 2:
        return tf.ones_like(strengths)
    first = shares(strengths)
    ratios = tf.math.divide_no_nan(first, 1 - first)
    others = tf.reduce_sum(ratios, axis=-1, keepdims=True) - ratios
    return first * (1 + others)
