"""A step as one graph, where Keras makes two, on one replica, on several, and on several machines.

Keras' `fit` traces the step and then a second graph around it, which takes the batch from the iterator and holds a copy
of the first. For a supernet, whose step has tens of thousands of operations, that copy costs many seconds before the
first step. The batch can be taken from the iterator outside.

Keras also reduces what a step returns over the replicas, which fails where they are on several machines. What counts is
read from the metrics at the end of an epoch; a step therefore returns what its first local replica reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import tensorflow as tf


class OneGraphModel(keras.Model):
    """A model whose `fit` and `evaluate` run a step as one graph."""

    def make_train_function(self, force: bool = False) -> None:
        """Sets the function of an iterator that `fit` calls for each step.

        Args:
            force: Whether to make a new one where there is one.
        """
        if self.run_eagerly or self.steps_per_execution > 1:
            super().make_train_function(force)
        elif force or self.train_function is None:
            self.train_function = self._one_graph(self.train_step)

    def make_test_function(self, force: bool = False) -> None:
        """Sets the function of an iterator that `evaluate` calls for each batch.

        Args:
            force: Whether to make a new one where there is one.
        """
        if self.run_eagerly or self.steps_per_execution > 1:
            super().make_test_function(force)
        elif force or self.test_function is None:
            self.test_function = self._one_graph(self.test_step)

    def _one_graph(self, step: Callable[[object], dict[str, tf.Tensor]]) -> Callable[[Iterator], dict[str, tf.Tensor]]:
        strategy = self.distribute_strategy

        @tf.function(reduce_retracing=True, autograph=False, jit_compile=self.jit_compile)
        def run(batch: object) -> dict[str, tf.Tensor]:
            logs = strategy.run(step, args=(batch,))
            return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

        return lambda iterator: run(next(iterator))
