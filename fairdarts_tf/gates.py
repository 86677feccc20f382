"""Expectations over gates: mixing weights, read as the probabilities that operations are on.

Each gate is on with its own probability p, independently of the others. A derivation keeps only the strongest of those
that are on. Which these are is read off exp(alpha), up to a factor of the row: for a sigmoid the odds p / (1 - p), for
a softmax p itself. Gates are drawn one after the other in proportion to that strength (Plackett, 1975), as if the
alphas were ordered after Gumbel noise was added to each. So of operations that all ended near 1 those with the larger
alphas are the likelier ones, and the choice among them still has a gradient.

Where no more gates are on than are kept there is nothing to choose: at probabilities of 0 and 1 all is exact then. All
functions are differentiable and take float64 tensors whose last axis holds the gates.
"""

from __future__ import annotations

import tensorflow as tf

_LEAST = 1e-12
"""Probabilities are kept from 0 and 1 by so much where their odds are taken."""
_LEAST_SHARE = 1e-30
"""Shares are kept from 0 by so little that a share of 1 beside others of 0 is all, to the last digit."""


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


def strengths(weights: tf.Tensor, competing: bool) -> tf.Tensor:
    """Returns exp(alpha) of mixing weights, up to a factor of their row, of the same shape.

    Args:
        weights: Mixing weights, (..., operations).
        competing: Whether those of a row sum to 1 (the softmax), and are the probabilities themselves.
    """
    return tf.maximum(weights, _LEAST_SHARE) if competing else odds(weights)


def odds(probabilities: tf.Tensor) -> tf.Tensor:
    """Returns ``p / (1 - p)``, of the same shape, from 1e-12 to 1e12."""
    probabilities = tf.clip_by_value(probabilities, _LEAST, 1 - _LEAST)
    return probabilities / (1 - probabilities)


def drawn(strengths: tf.Tensor, most: int) -> tf.Tensor:
    """Returns the probability of each gate that it is among the first that are drawn, of the same shape.

    The first is drawn in proportion to the strengths, ``q_i = s_i / sum(s)``, the second of the others in the same way:
    ``q_i + sum over j other than i of q_j s_i / (sum(s) - s_j)``.

    Args:
        strengths: Greater than 0.
        most: How many are drawn: 1 or 2.
    """
    count = strengths.shape[-1]
    if count <= most:
        return tf.ones_like(strengths)
    first = strengths / tf.reduce_sum(strengths, axis=-1, keepdims=True)
    if most == 1:
        return first
    others = 1 - tf.eye(count, dtype=strengths.dtype)
    # Added up without the first, not subtracted from the whole sum, in which a weak gate would be lost.
    rest = tf.linalg.matvec(others, strengths)
    return first + strengths * tf.linalg.matvec(others, first / rest)


def expected_kept(probabilities: tf.Tensor, strengths: tf.Tensor, most: int | None) -> tf.Tensor:
    """Returns the probability of each gate that it is on and kept, of the same shape.

    With N gates on, ``min(most, N)`` are kept: together the probabilities are the expectation of that number.

    Args:
        probabilities: Of the gates.
        strengths: What a choice among them goes by: their odds, or something like it.
        most: How many are kept at most, 1 or 2; None: all that are on.
    """
    if most is None or probabilities.shape[-1] <= most:
        return probabilities
    counts = count_distribution(probabilities)
    kept = drawn(strengths, most) * tf.reduce_sum(counts[..., most:], axis=-1, keepdims=True)
    return kept if most == 1 else kept + drawn(strengths, 1) * counts[..., 1:2]
