"""A training step as one graph, where Keras makes two.

Keras' `fit` traces the step and then a second graph around it, which takes the batch from the iterator and holds a copy
of the first. For a supernet, whose step has tens of thousands of operations, that copy costs many seconds before the
first step. On one replica the batch can be taken from the iterator outside.
"""

from __future__ import annotations

from collections.abc import Iterator

import keras
import tensorflow as tf


class OneGraphModel(keras.Model):
    """A model whose `fit` runs `train_step` as one graph, on one replica; otherwise as Keras does."""

    def make_train_function(self, force: bool = False) -> None:
        """Sets the function of an iterator that `fit` calls for each step.

        Args:
            force: Whether to make a new one where there is one.
        """
        several = self.distribute_strategy.num_replicas_in_sync > 1
        if several or self.run_eagerly or self.jit_compile or self.steps_per_execution > 1:
            super().make_train_function(force)
            return
        if self.train_function is not None and not force:
            return
        strategy = self.distribute_strategy

        @tf.function(reduce_retracing=True, autograph=False)
        def step(batch: object) -> dict[str, tf.Tensor]:
            return strategy.run(self.train_step, args=(batch,))

        def next_step(iterator: Iterator) -> dict[str, tf.Tensor]:
            return step(next(iterator))

        self.train_function = next_step
