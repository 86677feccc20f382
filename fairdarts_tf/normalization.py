"""Batch normalisation with the statistics of the reference.

TensorFlow's fused operation does the arithmetic: it is several times faster on a CPU than moments and products, and the
variance that it hands to the running average is the unbiased one, as PyTorch's is. Keras' own layer averages the biased
one. The fused operation has no float64 version; there the same formula is written out.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from fairdarts_tf.batch_statistics import Statistics, are_synchronized, synchronized_moments
from fairdarts_tf.kernels.terms import BatchNorm, Term, moved_statistics, normalized_terms
from fairdarts_tf.second_derivatives import second_derivatives_wanted
from fairdarts_tf.separable_chain import normalized

EPSILON = 1e-5
MOMENTUM = 0.9


class BatchNormalization(keras.layers.Layer):
    """Batch normalisation of several tensors of one shape, each with statistics of its own.

    A mixed operation computes one tensor for each edge. Their statistics lie in one variable, one row for each edge, so
    that a supernet has few variables, and one assignment updates all rows. With ``rows=1`` this is the usual layer.

    Args:
        rows: How many tensors it normalises, each by its own statistics. Defaults to 1.
        affine: Whether each row has a learned scale (gamma) and offset (beta). A supernet's have none but its stem's,
            so that they cannot undo the mixing weights. Defaults to False.
        momentum: The share of the old value in the running average. Defaults to 0.9.
        epsilon: Added to the variance. Defaults to 1e-5.
    """

    def __init__(
        self,
        rows: int = 1,
        affine: bool = False,
        momentum: float = MOMENTUM,
        epsilon: float = EPSILON,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.rows = rows
        self.affine = affine
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Creates the running statistics, and gamma and beta if the layer is affine: each (rows, channels)."""
        shape = (self.rows, input_shape[0][-1])
        self.moving_mean = self._statistic("moving_mean", shape, "zeros")
        self.moving_variance = self._statistic("moving_variance", shape, "ones")
        if self.affine:
            dtype = self._statistics_dtype()
            self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", dtype=dtype, autocast=False)
            self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", dtype=dtype, autocast=False)

    def call(
        self, inputs: list[tf.Tensor], scales: tf.Tensor | None = None, training: bool | None = None
    ) -> list[tf.Tensor]:
        """Normalises each tensor by the statistics of its row.

        Args:
            inputs: `rows` tensors (batch, height, width, channels).
            scales: (rows, channels), multiplies the normalised values; None for 1. A mixed operation passes its mixing
                weights here: the product then costs nothing, nor does its gradient.
            training: Whether to use the batch's statistics and to update the running ones.

        Returns:
            `rows` tensors like the inputs.
        """
        gamma, beta = self.gamma_and_beta(scales)
        if training and inputs[0].dtype != tf.float64 and not second_derivatives_wanted():
            outputs, statistics = normalized(inputs, gamma, beta, self.epsilon)
            self.update(statistics)
            return list(outputs)
        shape = self.moving_mean.shape
        gamma = tf.ones(shape, self._statistics_dtype()) if gamma is None else gamma
        beta = tf.zeros(shape, self._statistics_dtype()) if beta is None else beta
        rows = zip(inputs, tf.unstack(gamma), tf.unstack(beta), strict=True)
        if training:
            outputs, means, variances = zip(*[self._normalize_batch(*row) for row in rows], strict=True)
            self.update(Statistics(tf.stack(means), tf.stack(variances)))
            return list(outputs)
        means, variances = (tf.unstack(tf.convert_to_tensor(s)) for s in (self.moving_mean, self.moving_variance))
        statistics = zip(means, variances, strict=True)
        return [self._normalize(*row, *known) for row, known in zip(rows, statistics, strict=True)]

    def terms(self, inputs: list[tf.Tensor], scales: tf.Tensor | None = None) -> list[Term]:
        """Normalises as `call` does while training, but leaves the last product to the sum of a node.

        Args:
            inputs: `rows` float32 tensors (batch, height, width, channels), or one that all rows share.
            scales: As for `call`.

        Returns:
            `rows` terms.
        """
        terms = normalized_terms(inputs, self.batch_norm(scales), self.rows)
        self.update_from(terms)
        return terms

    def batch_norm(self, scales: tf.Tensor | None = None) -> BatchNorm:
        """Returns the weights for compiled kernels; the scales may be (rows, 1)."""
        return BatchNorm(*self.gamma_and_beta(scales), self.epsilon)

    def update_from(self, terms: list[Term]) -> None:
        """Moves the running statistics towards those of the batch that the terms hold."""
        running = self.moving_mean, self.moving_variance
        moved = moved_statistics(terms, *map(tf.convert_to_tensor, running), 1.0 - self.momentum)
        for variable, value in zip(running, moved, strict=True):
            variable.assign(value)

    def gamma_and_beta(self, scales: tf.Tensor | None = None) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """Returns what normalised values are multiplied by, or None for 1, and what is added, or None for 0.

        Both are (rows, channels).
        """
        scales = None if scales is None else tf.cast(tf.convert_to_tensor(scales), self._statistics_dtype())
        if not self.affine:
            return scales, None
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        return (gamma, beta) if scales is None else (gamma * scales, beta * scales)

    def update(self, statistics: Statistics) -> None:
        """Moves the running statistics towards those of a batch."""
        for running, batch in ((self.moving_mean, statistics.means), (self.moving_variance, statistics.variances)):
            old = tf.convert_to_tensor(running)
            running.assign(old + (batch - old) * (1.0 - self.momentum))

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> list[tuple[int | None, ...]]:
        """Returns the shapes of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {
            "rows": self.rows,
            "affine": self.affine,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }

    def _statistics_dtype(self) -> str:
        """Statistics and affine weights never fall below float32, whatever the layer computes in."""
        return "float64" if self.variable_dtype == "float64" else "float32"

    def _statistic(self, name: str, shape: tuple[int, ...], initializer: str) -> keras.Variable:
        """Creates a running statistic that every replica updates by itself; a reader sees the replicas' mean."""
        with keras.name_scope(self.name, caller=self):
            return keras.Variable(
                keras.initializers.get(initializer),
                shape=shape,
                dtype=self._statistics_dtype(),
                trainable=False,
                autocast=False,
                aggregation="mean",
                synchronization="on_read",
                name=name,
            )

    def _normalize(
        self, x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor
    ) -> tf.Tensor:
        if x.dtype == tf.float64:
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon)
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=self.epsilon, is_training=False
        ).y

    def _normalize_batch(
        self, x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the normalised tensor, the batch's mean and its unbiased variance."""
        if are_synchronized():
            mean, variance, count = synchronized_moments(x)
        else:
            # Not tf.nn.moments, which takes the mean within the variance for a constant: a second derivative misses it.
            mean = tf.reduce_mean(x, axis=[0, 1, 2])
            variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axis=[0, 1, 2])
            count = tf.cast(tf.size(x) / tf.size(mean), x.dtype)
        unbiased = variance * count / tf.maximum(count - 1.0, 1.0)
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, self.epsilon), mean, unbiased


keras.saving.register_keras_serializable("fairdarts_tf")(BatchNormalization)
