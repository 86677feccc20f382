"""An exponential moving average of a network's weights, often better than the weights themselves."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf


class WeightAverage:
    """Follows weights and running statistics.

    In the first steps it follows faster, by ``min(decay, (1 + step) / (10 + step))``, so that the random weights of the
    beginning are soon forgotten.

    Args:
        followed: The variables by name.
        decay: The share of the old average that a step keeps, such as 0.999.

    Attributes:
        variables: The averages by the same names, at first the values that the followed ones have.
    """

    def __init__(self, followed: Mapping[str, keras.Variable], decay: float) -> None:
        self.decay = decay
        self._followed = dict(followed)
        self.variables = {name: _companion(name, variable) for name, variable in followed.items()}

    def restart(self) -> None:
        """Sets the averages to the values that the followed ones have now."""
        for name, average in self.variables.items():
            average.assign(np.array(self._followed[name].numpy()))

    def update(self, step: tf.Tensor) -> None:
        """Moves the averages after a step, counted from 0."""
        step = tf.cast(step, tf.float32)
        share = 1.0 - tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for name, average in self.variables.items():
            old = tf.convert_to_tensor(average)
            new = tf.convert_to_tensor(self._followed[name])
            average.assign(old + (new - old) * tf.cast(share, old.dtype))

    def swap(self) -> None:
        """Exchanges the averages and the followed weights."""
        for name, average in self.variables.items():
            followed = self._followed[name]
            kept = np.array(followed.numpy())
            followed.assign(np.array(average.numpy()))
            average.assign(kept)


def _companion(name: str, variable: keras.Variable) -> keras.Variable:
    """Creates a variable that replicas keep as they keep the followed one."""
    on_read = not variable.trainable
    return keras.Variable(
        np.array(variable.numpy()),
        dtype=variable.dtype,
        trainable=False,
        autocast=False,
        aggregation="mean" if on_read else "only_first_replica",
        synchronization="on_read" if on_read else "auto",
        name=f"average_{name.replace('/', '_')}",
    )


class AverageOnTest(keras.callbacks.Callback):
    """Lets an average stand for the weights while they are validated."""

    def __init__(self, average: WeightAverage) -> None:
        super().__init__()
        self.average = average

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Puts the averages in."""
        self.average.swap()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Puts the weights back."""
        self.average.swap()
