"""Whether the numbers of a step are finite: noted in the step's graph, read by the host once the step is done."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


class FiniteCheck:
    """Counts, by name, what was NaN or infinite.

    A note costs a few scalar operations, and the count is read where `fit` waits for the step's metrics anyway, so that
    a step takes no longer. Make it within the scope of the strategy: replicas count for themselves, and reading sums.

    Args:
        names: Of what is watched, as in ``"the loss"``, in the order in which a step computes it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._counts = tf.Variable(
            tf.zeros(len(self._names)),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
            name="not_finite",
        )

    def note(self, name: str, value: tf.Tensor) -> None:
        """Counts a scalar of the step in hand under its name, if it is not finite."""
        where = tf.one_hot(self._names.index(name), len(self._names))
        self._counts.assign_add(tf.where(tf.math.is_finite(value), tf.zeros_like(where), where))

    def found(self) -> tuple[str, ...]:
        """Returns the names of all that was not finite since the last `reset`."""
        counts = np.array(self._counts.read_value())
        return tuple(name for name, count in zip(self._names, counts, strict=True) if count)

    def reset(self) -> None:
        """Forgets what was counted."""
        self._counts.assign(tf.zeros(len(self._names)))
