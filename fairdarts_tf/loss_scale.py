"""Dynamic scaling of the loss: what keeps small gradients from vanishing in float16.

The loss is multiplied by a scale before the gradient is taken, and the gradient divided by it before it is used. A
gradient that overflowed is not used: the scale is halved and the step skipped. After many good steps the scale doubles
(Micikevicius et al., Mixed Precision Training, ICLR 2018). Keras' own wrapper checks each replica's part of a gradient,
on which replicas can disagree; here the sum over all replicas is checked.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

FIRST_SCALE = 2.0**15
GROWTH_STEPS = 2000
"""Good steps in a row after which the scale doubles."""

LEAST_SCALE = 2.0**-15
"""Where gradients overflow at this scale too, after thirty halvings, the scale is not the reason."""


class LossScale:
    """The scale of one optimizer, in variables of that optimizer.

    Args:
        optimizer: Whose variables hold the state, so that it is saved with them.

    Attributes:
        scale: The factor in use.
        good_steps: Steps since the scale last changed.
        skipped_steps: Steps that were skipped so far.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        options = {"shape": (), "aggregation": "only_first_replica"}
        first = keras.initializers.Constant(FIRST_SCALE)
        self.scale = optimizer.add_variable(name="loss_scale", initializer=first, dtype="float32", **options)
        self.good_steps = optimizer.add_variable(name="good_steps", initializer="zeros", dtype="int64", **options)
        self.skipped_steps = optimizer.add_variable(name="skipped_steps", initializer="zeros", dtype="int64", **options)

    def multiply(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the loss times the scale."""
        return loss * tf.cast(tf.convert_to_tensor(self.scale), loss.dtype)

    def unscale(self, gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Divides gradients by the scale and adapts it.

        Args:
            gradients: Summed over replicas.

        Returns:
            The gradients to use; all NaN where the step is to be skipped.
        """
        scale = tf.convert_to_tensor(self.scale)
        good_steps = tf.convert_to_tensor(self.good_steps) + 1
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        grows = good_steps >= GROWTH_STEPS
        unscaled = [
            tf.where(finite, gradient / tf.cast(scale, gradient.dtype), tf.constant(float("nan"), gradient.dtype))
            for gradient in gradients
        ]
        self.scale.assign(tf.where(finite, tf.where(grows, 2.0 * scale, scale), 0.5 * scale))
        self.good_steps.assign(tf.where(finite & ~grows, good_steps, 0))
        self.skipped_steps.assign_add(tf.where(finite, tf.constant(0, tf.int64), 1))
        return unscaled


def unless_skipped(gradient: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """Returns the new value, or the old one where the gradient says that the step is skipped."""
    return tf.where(tf.math.is_nan(gradient), tf.cast(old, new.dtype), new)
