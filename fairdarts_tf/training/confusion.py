"""The confusion matrix of the images that a training holds back, counted while they are validated."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class ConfusionCount:
    """Counts, for each class, what its images were taken for.

    Make it within the scope of the strategy: replicas count for themselves, and reading, which all workers must do
    together, sums.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        self._counts = tf.Variable(
            tf.zeros((num_classes, num_classes)),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
            name="confusion",
        )

    def add(self, labels: tf.Tensor, taken: tf.Tensor) -> None:
        """Counts a batch.

        Args:
            labels: (batch,), integers.
            taken: (batch,), the most probable classes.
        """
        labels, taken = (tf.one_hot(classes, self._counts.shape[0]) for classes in (labels, taken))
        self._counts.assign_add(tf.matmul(labels, taken, transpose_a=True))

    def read(self) -> np.ndarray:
        """Returns the counts since the last `reset`, (classes, classes), int64, rows by label."""
        return np.array(self._counts.read_value()).astype(np.int64)

    def reset(self) -> None:
        """Forgets what was counted."""
        self._counts.assign(tf.zeros(self._counts.shape))
