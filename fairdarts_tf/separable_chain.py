"""Chains of ReLU, depthwise and pointwise convolution and BatchNorm, while they are trained.

A chain's gradient keeps few tensors. Of

    images -> depthwise -> a -> pointwise -> b -> BatchNorm, ReLU -> c -> depthwise -> d -> pointwise -> e -> BatchNorm

a plain gradient keeps a, b, c, d and e. Here b and e are kept: one depthwise convolution of the images gives a; one
normalisation of b, whose mean and variance are known, gives c; the depthwise convolution of c is d. Recomputing is
exact: the same operations on the same numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from fairdarts_tf import separable


@dataclasses.dataclass(frozen=True)
class Stage:
    """The weights of a depthwise and a pointwise convolution and of the BatchNorm after them, for all edges.

    Attributes:
        depthwise: (edges, side, side, channels, 1), side odd.
        pointwise: (edges, 1, 1, channels, filters).
        gamma: (edges, filters).
        beta: (edges, filters).
    """

    depthwise: tf.Tensor
    pointwise: tf.Tensor
    gamma: tf.Tensor
    beta: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Means and unbiased variances of a batch, (filters,) for each edge, as BatchNorm's running ones need them."""

    means: list[tf.Tensor]
    variances: list[tf.Tensor]


def separable_chain(
    images: tf.Tensor, stages: Sequence[Stage], stride: int, epsilon: float
) -> tuple[list[tf.Tensor], list[Statistics]]:
    """Computes one or more stages, with ReLU between them, on each edge.

    Args:
        images: What all edges read, (batch, height, width, channels), after ReLU; no float64.
        stages: The stages.
        stride: Of the first stage's depthwise convolution, 1 or 2.
        epsilon: Of every BatchNorm.

    Returns:
        A tensor (batch, ceil(height / stride), ceil(width / stride), filters) for each edge, and the statistics of each
        stage, which have no gradient.
    """
    # Not results of `compute`: gradients in them would be made, of zeros, only to be ignored.
    statistics: list[Statistics] = []

    @tf.custom_gradient
    def compute(images: tf.Tensor, *weights: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tuple[tf.Tensor, ...]]]:
        rows = [_Rows(*map(tf.unstack, weights[i : i + 4])) for i in range(0, len(weights), 4)]
        normalizations: list[list[_Normalization]] = []
        inputs: list[tf.Tensor] = []
        for stage in rows:
            if normalizations:
                inputs = [tf.nn.relu(normalization.outputs) for normalization in normalizations[-1]]
                convolved = [
                    separable.convolve(x, [depthwise], [pointwise])[0]
                    for x, depthwise, pointwise in zip(inputs, stage.depthwise, stage.pointwise, strict=True)
                ]
            else:
                convolved = separable.convolve(images, stage.depthwise, stage.pointwise, stride)
            normalizations.append(_normalize(convolved, stage.gamma, stage.beta, epsilon))
            statistics.append(_statistics(normalizations[-1]))

        def gradient(*upstreams: tf.Tensor) -> tuple[tf.Tensor, ...]:
            of_weights: list[tf.Tensor] = []
            of_outputs: Sequence[tf.Tensor] = upstreams
            for index in reversed(range(len(rows))):
                stage = rows[index]
                of_convolved, of_gamma, of_beta = _unzip(
                    normalization.gradients(upstream)
                    for normalization, upstream in zip(normalizations[index], of_outputs, strict=True)
                )
                if index == 0:
                    of_images, of_depthwise, of_pointwise = separable.gradients(
                        images, stage.depthwise, stage.pointwise, stride, of_convolved
                    )
                else:
                    of_outputs, of_depthwise, of_pointwise = _gradients_behind_relu(
                        normalizations[index - 1], stage, of_convolved
                    )
                of_weights = [*map(tf.stack, (of_depthwise, of_pointwise, of_gamma, of_beta)), *of_weights]
            return of_images, *of_weights

        return [normalization.outputs for normalization in normalizations[-1]], gradient

    weights = [getattr(stage, field.name) for stage in stages for field in dataclasses.fields(Stage)]
    return compute(images, *weights), statistics


def normalized(
    inputs: Sequence[tf.Tensor], gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[list[tf.Tensor], Statistics]:
    """BatchNorm by the batch's statistics.

    Args:
        inputs: A tensor (batch, height, width, channels) for each edge; edges may share one. No float64.
        gamma: (edges, channels).
        beta: (edges, channels).
        epsilon: Added to the variance.

    Returns:
        A tensor like the inputs for each edge, and the statistics, which have no gradient.
    """
    statistics: list[Statistics] = []

    @tf.custom_gradient
    def compute(gamma: tf.Tensor, beta: tf.Tensor, *inputs: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tuple]]:
        normalizations = _normalize(inputs, tf.unstack(gamma), tf.unstack(beta), epsilon)
        statistics.append(_statistics(normalizations))

        def gradient(*upstreams: tf.Tensor) -> tuple[tf.Tensor, ...]:
            of_inputs, of_gamma, of_beta = _unzip(
                normalization.gradients(upstream)
                for normalization, upstream in zip(normalizations, upstreams, strict=True)
            )
            return tf.stack(of_gamma), tf.stack(of_beta), *of_inputs

        return [normalization.outputs for normalization in normalizations], gradient

    return compute(gamma, beta, *inputs), statistics[0]


@dataclasses.dataclass(frozen=True)
class _Rows:
    """The weights of a stage, edge by edge."""

    depthwise: list[tf.Tensor]
    pointwise: list[tf.Tensor]
    gamma: list[tf.Tensor]
    beta: list[tf.Tensor]


class _Normalization:
    """BatchNorm of one tensor, with what its gradient and its repetition need."""

    def __init__(
        self, inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float, empty: tf.Tensor, bias: tf.Tensor
    ) -> None:
        self._bias = bias
        self._options = {"scale": gamma, "epsilon": epsilon}
        self._beta = beta
        self._inputs = inputs
        self._forward = tf.raw_ops.FusedBatchNormV3(
            x=inputs, offset=beta, mean=empty, variance=empty, is_training=True, **self._options
        )
        self.outputs = self._forward.y
        self.mean = self._forward.batch_mean
        self.variance = self._forward.batch_variance

    def repeat(self) -> tf.Tensor:
        """Returns the outputs, computed again from the known mean and variance."""
        # What else devices keep of the variance differs: a CPU the biased one, a GPU one over the deviation.
        biased = self.variance * self._bias
        return tf.raw_ops.FusedBatchNormV3(
            x=self._inputs, offset=self._beta, mean=self.mean, variance=biased, is_training=False, **self._options
        ).y

    def gradients(self, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the gradients in the inputs, gamma and beta."""
        backward = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=upstream,
            x=self._inputs,
            reserve_space_1=self._forward.reserve_space_1,
            reserve_space_2=self._forward.reserve_space_2,
            reserve_space_3=self._forward.reserve_space_3,
            is_training=True,
            **self._options,
        )
        return backward.x_backprop, backward.scale_backprop, backward.offset_backprop


def _normalize(
    inputs: Sequence[tf.Tensor], gamma: Sequence[tf.Tensor], beta: Sequence[tf.Tensor], epsilon: float
) -> list[_Normalization]:
    """Normalises tensors of one shape; what is the same for all is computed once."""
    count = tf.cast(tf.size(inputs[0]) // inputs[0].shape[-1], tf.float32)
    shared = epsilon, tf.zeros([0]), (count - 1) / count
    return [_Normalization(*row, *shared) for row in zip(inputs, gamma, beta, strict=True)]


def _gradients_behind_relu(
    normalizations: Sequence[_Normalization], stage: _Rows, upstreams: Sequence[tf.Tensor]
) -> tuple[tuple[tf.Tensor, ...], ...]:
    """Returns, for each edge, the gradients in the BatchNorm before a stage's ReLU, and in the stage's kernels."""
    results = []
    edges = zip(normalizations, stage.depthwise, stage.pointwise, upstreams, strict=True)
    for normalization, depthwise, pointwise, upstream in edges:
        with tf.control_dependencies([upstream]):
            images = tf.nn.relu(normalization.repeat())
        of_images, (of_depthwise,), (of_pointwise,) = separable.gradients(
            images, [depthwise], [pointwise], 1, [upstream]
        )
        of_outputs = tf.raw_ops.ReluGrad(gradients=of_images, features=images)
        results.append((of_outputs, of_depthwise, of_pointwise))
    return _unzip(results)


def _statistics(normalizations: Sequence[_Normalization]) -> Statistics:
    return Statistics([one.mean for one in normalizations], [one.variance for one in normalizations])


def _unzip(rows: Iterable[tuple[tf.Tensor, ...]]) -> tuple[tuple[tf.Tensor, ...], ...]:
    return tuple(zip(*rows, strict=True))
