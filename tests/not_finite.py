"""What the tests of numbers that go wrong share: batches with a NaN in them."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def with_nan(batches_from: Callable[..., tf.data.Dataset], step: int) -> Callable[..., tf.data.Dataset]:
    """Returns a maker of the same batches, but that the last images of a step, counted from 1, are NaN.

    Args:
        batches_from: Takes the first step, counted from 0, as ``first_step``.
        step: Whose images are NaN.
    """

    def made(*arguments: object, first_step: int = 0, **options: object) -> tf.data.Dataset:
        batches = batches_from(*arguments, first_step=first_step, **options)
        return batches.enumerate(first_step + 1).map(spoil)

    def spoil(number: tf.Tensor, *batch: object) -> object:
        batch = batch[0] if len(batch) == 1 else batch
        *others, labels = tf.nest.flatten(batch)
        others[-1] = tf.where(number == step, float("nan") * others[-1], others[-1])
        return tf.nest.pack_sequence_as(batch, [*others, labels])

    return made
