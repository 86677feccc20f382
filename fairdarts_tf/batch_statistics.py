"""BatchNorm of several tensors by the statistics of a batch: those of a replica's part of it, or of all of it.

By default each replica normalises its part by that part's own mean and variance. Synchronised, it computes what one
replica would with the whole batch. Forwards, the parts' means and variances are summed over the replicas. Backwards,
with x^ = (x - mean) / deviation over the N values of all replicas,

    dx = gamma / deviation * (dy - sum(dy) / N - x^ * sum(dy * x^) / N),

and the two sums are summed over the replicas. Both ways all edges of a layer share one exchange.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from fairdarts_tf.replicas import count_replicas, sum_over_replicas
from fairdarts_tf.scoped_switch import ScopedSwitch


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Means and unbiased variances of a batch, (edges, filters), as BatchNorm's running ones need them."""

    means: tf.Tensor
    variances: tf.Tensor


def synchronized_statistics(active: bool = True) -> contextlib.AbstractContextManager[None]:
    """Within, what is built normalises by the statistics of the whole batch, over all replicas.

    Args:
        active: Whether it does; otherwise nothing changes. Defaults to True.
    """
    return _synchronized.within(active)


_synchronized = ScopedSwitch("synchronized_statistics")


def are_synchronized() -> bool:
    """Returns whether statistics are to be those of several replicas."""
    return _synchronized.is_on() and count_replicas() > 1


def normalize(
    inputs: Sequence[tf.Tensor], gamma: Sequence[tf.Tensor] | None, beta: Sequence[tf.Tensor] | None, epsilon: float
) -> Normalizations:
    """Normalises tensors of one shape, each by its own statistics.

    Args:
        inputs: A tensor (batch, height, width, channels) for each edge. No float64.
        gamma: (channels,) for each edge, or None for ones.
        beta: (channels,) for each edge, or None for zeros.
        epsilon: Added to the variance.
    """
    channels = inputs[0].shape[-1]
    gamma = gamma or [tf.ones([channels])] * len(inputs)
    beta = beta or [tf.zeros([channels])] * len(inputs)
    kind = SynchronizedNormalizations if are_synchronized() else Normalizations
    return kind(inputs, gamma, beta, epsilon)


class Normalizations:
    """BatchNorm of several tensors by the statistics of this replica's part, with what its gradient needs.

    Attributes:
        outputs: The normalised tensors.
        statistics: Of the batch.
    """

    def __init__(
        self, inputs: Sequence[tf.Tensor], gamma: Sequence[tf.Tensor], beta: Sequence[tf.Tensor], epsilon: float
    ) -> None:
        self._inputs, self._gamma, self._beta = inputs, gamma, beta
        self._epsilon = epsilon
        count = _count(inputs[0])
        self._bias = (count - 1) / count
        empty = tf.zeros([0])
        self._forwards = [_by_own(*row, empty, epsilon) for row in zip(inputs, gamma, beta, strict=True)]
        self.outputs = [forward.y for forward in self._forwards]
        self.statistics = Statistics(
            tf.stack([forward.batch_mean for forward in self._forwards]),
            tf.stack([forward.batch_variance for forward in self._forwards]),
        )

    def repeat(self, edge: int) -> tf.Tensor:
        """Returns the output of an edge, computed again from the known mean and variance."""
        # What else devices keep of the variance differs: a CPU the biased one, a GPU one over the deviation.
        forward = self._forwards[edge]
        row = self._inputs[edge], self._gamma[edge], self._beta[edge], forward.batch_mean
        return _by_known(*row, forward.batch_variance * self._bias, self._epsilon)

    def gradients(self, upstreams: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Returns this replica's part of the gradients: in the inputs, in gamma and in beta, for each edge."""
        rows = zip(upstreams, self._inputs, self._gamma, self._forwards, strict=True)
        backwards = [
            tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream,
                x=x,
                scale=gamma,
                reserve_space_1=forward.reserve_space_1,
                reserve_space_2=forward.reserve_space_2,
                reserve_space_3=forward.reserve_space_3,
                is_training=True,
                epsilon=self._epsilon,
            )
            for upstream, x, gamma, forward in rows
        ]
        return _fields(backwards)


class SynchronizedNormalizations:
    """BatchNorm of several tensors by the statistics of the whole batch, of which every replica has an equal part.

    Attributes:
        outputs: The normalised tensors.
        statistics: Of the whole batch.
    """

    def __init__(
        self, inputs: Sequence[tf.Tensor], gamma: Sequence[tf.Tensor], beta: Sequence[tf.Tensor], epsilon: float
    ) -> None:
        self._inputs, self._gamma, self._beta = inputs, gamma, beta
        self._epsilon = epsilon
        replicas = count_replicas()
        part = _count(inputs[0])
        self._count = tf.cast(replicas * part, tf.float32)
        shared = tf.ones_like(gamma[0]), tf.zeros_like(gamma[0]), tf.zeros([0])
        own = [_by_own(x, *shared, epsilon) for x in inputs]
        bias = tf.cast(part - 1, tf.float64) / tf.cast(part, tf.float64)
        means = tf.cast(_stacked([forward.batch_mean for forward in own]), tf.float64)
        variances = bias * tf.cast(_stacked([forward.batch_variance for forward in own]), tf.float64)
        # In float64, or the difference of squares would lose what the variances are.
        mean, square = tf.unstack(sum_over_replicas(tf.stack([means, variances + means**2])) / replicas)
        biased = tf.maximum(square - mean**2, 0.0)
        mean = tf.cast(mean, tf.float32)
        self._means = tf.unstack(mean)
        self._biased_rows = tf.cast(biased, tf.float32)
        self._biased = tf.unstack(self._biased_rows)
        unbiased = self._biased_rows * (self._count / tf.maximum(self._count - 1.0, 1.0))
        self.statistics = Statistics(mean, unbiased)
        self.outputs = [self.repeat(edge) for edge in range(len(inputs))]

    def repeat(self, edge: int) -> tf.Tensor:
        """Returns the output of an edge, computed again from the known mean and variance."""
        row = self._inputs[edge], self._gamma[edge], self._beta[edge], self._means[edge], self._biased[edge]
        return _by_known(*row, self._epsilon)

    def gradients(self, upstreams: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Returns this replica's part of the gradients: in the inputs, in gamma and in beta, for each edge."""
        rows = zip(upstreams, self._inputs, self._gamma, self._means, self._biased, strict=True)
        # In the inputs as if mean and variance were constants; in beta and gamma the parts of the two sums.
        empty = tf.zeros([0])
        of_inputs, of_gamma, of_beta = _fields(
            [
                tf.raw_ops.FusedBatchNormGradV3(
                    y_backprop=upstream,
                    x=x,
                    scale=gamma,
                    reserve_space_1=mean,
                    reserve_space_2=variance,
                    reserve_space_3=empty,
                    is_training=False,
                    epsilon=self._epsilon,
                )
                for upstream, x, gamma, mean, variance in rows
            ]
        )
        sums = sum_over_replicas(tf.stack([_stacked(of_gamma), _stacked(of_beta)])) / self._count
        factors = _stacked(self._gamma) * tf.math.rsqrt(self._biased_rows + self._epsilon)
        slopes, offsets = (tf.unstack(part) for part in tf.unstack(factors * sums))
        through_statistics = [
            _by_known(x, slopes[edge], offsets[edge], self._means[edge], self._biased[edge], self._epsilon)
            for edge, x in enumerate(self._inputs)
        ]
        return [one - other for one, other in zip(of_inputs, through_statistics, strict=True)], of_gamma, of_beta


def synchronized_moments(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns mean, biased variance and number of the values of a channel over all replicas, with plain gradients.

    Args:
        x: This replica's equal part of a batch, (batch, height, width, channels).
    """
    replicas = count_replicas()
    mean = sum_over_replicas(tf.reduce_mean(x, axis=[0, 1, 2])) / replicas
    variance = sum_over_replicas(tf.reduce_mean((x - mean) ** 2, axis=[0, 1, 2])) / replicas
    return mean, variance, tf.cast(_count(x) * replicas, x.dtype)


def _stacked(rows: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns vectors as rows: not by tf.stack, whose equal inputs Grappler turns into a tile, and into a wrong one."""
    return tf.reshape(tf.concat(rows, axis=0), [len(rows), -1])


def _count(x: tf.Tensor) -> int | tf.Tensor:
    """Returns the number of values of a channel."""
    return x.shape[:-1].num_elements() or tf.cast(tf.size(x) // x.shape[-1], tf.float32)


def _by_own(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, empty: tf.Tensor, epsilon: float) -> object:
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=empty, variance=empty, epsilon=epsilon, is_training=True
    )


def _by_known(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, epsilon: float
) -> tf.Tensor:
    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=False
    ).y


def _fields(backwards: Sequence[object]) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
    return (
        [backward.x_backprop for backward in backwards],
        [backward.scale_backprop for backward in backwards],
        [backward.offset_backprop for backward in backwards],
    )
