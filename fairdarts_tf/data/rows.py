"""Parts of batches: what a machine or a replica makes of a batch that all machines know."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Parts(NamedTuple):
    """Which of ``of`` equal parts of every batch are made: from ``first`` to ``last - 1``, each as a batch of its own.

    Sizes that cannot be shared evenly give parts that differ by one image.
    """

    first: int = 0
    last: int = 1
    of: int = 1

    def rows(self, size: int | tf.Tensor) -> list[tuple[int | tf.Tensor, int | tf.Tensor]]:
        """Returns, for each part, the first row of a batch of that size, and the row behind its last."""
        return [(part * size // self.of, (part + 1) * size // self.of) for part in range(self.first, self.last)]


WHOLE = Parts()


class Rows(NamedTuple):
    """The rows ``first`` to ``first + count - 1`` of a batch of ``of`` images."""

    first: int | tf.Tensor
    count: int | tf.Tensor
    of: int | tf.Tensor

    @classmethod
    def all_of(cls, count: int | tf.Tensor) -> Rows:
        """Returns all rows of a batch."""
        return cls(0, count, count)

    def take(self, drawn: tf.Tensor) -> tf.Tensor:
        """Returns these rows of what chance decided for the whole batch, so that it is the same in any parts."""
        return drawn[self.first : self.first + self.count]
