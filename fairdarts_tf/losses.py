"""The zero-one loss: what drives every mixing weight to 0 or 1, so that discretising the supernet changes little.

Both forms average over all N entries of all tables (FairDARTS). Their minimum, reached
when every weight is 0 or 1, is -1/4 for L2 and -1/2 for L1; at 1/2 both are 0. The slope of L2 vanishes at 1/2, so that
an undecided weight is left to the cross-entropy; the slope of L1 is largest there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import tensorflow as tf

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


def _flat(weights: Iterable[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(table, [-1]) for table in weights], axis=0)
