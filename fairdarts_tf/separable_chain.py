"""Chains of ReLU, depthwise and pointwise convolution and BatchNorm, while they are trained.

A chain's gradient keeps few tensors. Of

    images -> depthwise -> a -> pointwise -> b -> BatchNorm, ReLU -> c -> depthwise -> d -> pointwise -> e -> BatchNorm

a plain gradient keeps a, b, c, d and e. Here b and e are kept: one depthwise convolution of the images gives a; one
normalisation of b, whose mean and variance are known, gives c; the depthwise convolution of c is d. What is
computed again differs from the first time by rounding alone, in the BatchNorm.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from fairdarts_tf import separable


@dataclasses.dataclass(frozen=True)
class Stage:
    """The weights of a depthwise and a pointwise convolution and of the BatchNorm after them, for all edges.

    Attributes:
        depthwise: (edges, side, side, channels, 1), side odd.
        pointwise: (edges, 1, 1, channels, filters).
        gamma: (edges, filters), or None for ones.
        beta: (edges, filters), or None for zeros.
    """

    depthwise: tf.Tensor
    pointwise: tf.Tensor
    gamma: tf.Tensor | None = None
    beta: tf.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Means and unbiased variances of a batch, (edges, filters), as BatchNorm's running ones need them."""

    means: tf.Tensor
    variances: tf.Tensor


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

    of_kernels = wants_kernels()
    weights, present = _split([getattr(stage, field) for stage in stages for field in _FIELDS])

    @tf.custom_gradient
    def compute(images: tf.Tensor, *weights: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tuple[tf.Tensor, ...]]]:
        every = _join([tf.unstack(weight) for weight in weights], present)
        rows = [_Rows(*every[i : i + len(_FIELDS)]) for i in range(0, len(every), len(_FIELDS))]
        normalizations: list[list[_Normalization]] = []
        for stage in rows:
            if not normalizations:
                convolved = separable.convolve(images, stage.depthwise, stage.pointwise, stride)
            else:
                convolved = [
                    separable.convolve(tf.nn.relu(before.outputs), [depthwise], [pointwise])[0]
                    for before, depthwise, pointwise in zip(
                        normalizations[-1], stage.depthwise, stage.pointwise, strict=True
                    )
                ]
            normalizations.append(_normalize(convolved, stage.gamma, stage.beta, epsilon))
            statistics.append(_statistics(normalizations[-1]))

        def gradient(*upstreams: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
            of_weights: list[tf.Tensor | None] = []
            for index in reversed(range(len(rows))):
                stage = rows[index]
                of_convolved, *of_norm = _gradients(normalizations[index], upstreams)
                inputs = (
                    [images] * len(of_convolved) if index == 0 else _repeat(normalizations[index - 1], of_convolved)
                )
                of_inputs, of_depthwise, of_pointwise = separable.gradients(
                    inputs,
                    stage.depthwise,
                    stage.pointwise,
                    1 if index else stride,
                    of_convolved,
                    of_kernels=of_kernels,
                )
                kernels = [separable.stack_taps(of_depthwise), tf.stack(of_pointwise)] if of_kernels else [None, None]
                of_weights = [*kernels, *map(tf.stack, of_norm), *of_weights]
                if index:
                    upstreams = [
                        tf.raw_ops.ReluGrad(gradients=of_input, features=x)
                        for of_input, x in zip(of_inputs, inputs, strict=True)
                    ]
            return of_inputs[0], *_split(of_weights, present)[0]

        return [normalization.outputs for normalization in normalizations[-1]], gradient

    return compute(images, *weights), statistics


def normalized(
    inputs: Sequence[tf.Tensor], gamma: tf.Tensor | None, beta: tf.Tensor | None, epsilon: float
) -> tuple[list[tf.Tensor], Statistics]:
    """BatchNorm by the batch's statistics.

    Args:
        inputs: A tensor (batch, height, width, channels) for each edge; edges may share one. No float64.
        gamma: (edges, channels), or None for ones.
        beta: (edges, channels), or None for zeros.
        epsilon: Added to the variance.

    Returns:
        A tensor like the inputs for each edge, and the statistics, which have no gradient.
    """
    statistics: list[Statistics] = []
    weights, present = _split([gamma, beta])

    @tf.custom_gradient
    def compute(*tensors: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tuple[tf.Tensor, ...]]]:
        rows = _join([tf.unstack(weight) for weight in tensors[: len(weights)]], present)
        normalizations = _normalize(tensors[len(weights) :], *rows, epsilon)
        statistics.append(_statistics(normalizations))

        def gradient(*upstreams: tf.Tensor) -> tuple[tf.Tensor, ...]:
            of_inputs, *of_norm = _gradients(normalizations, upstreams)
            return *_split([tf.stack(rows) for rows in of_norm], present)[0], *of_inputs

        return [normalization.outputs for normalization in normalizations], gradient

    return compute(*weights, *inputs), statistics[0]


@contextlib.contextmanager
def fixed_kernels() -> Iterator[None]:
    """Within, chains are built without gradients in their kernels, as for a step of the alphas: a shorter graph."""
    token = _fixed_kernels.set(True)
    try:
        yield
    finally:
        _fixed_kernels.reset(token)


def wants_kernels() -> bool:
    """Returns whether chains built now have gradients in their kernels."""
    return not _fixed_kernels.get()


_fixed_kernels: contextvars.ContextVar[bool] = contextvars.ContextVar("fixed_kernels", default=False)
_FIELDS = tuple(field.name for field in dataclasses.fields(Stage))


@dataclasses.dataclass(frozen=True)
class _Rows:
    """The weights of a stage, edge by edge."""

    depthwise: list[tf.Tensor]
    pointwise: list[tf.Tensor]
    gamma: list[tf.Tensor] | None
    beta: list[tf.Tensor] | None


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
    inputs: Sequence[tf.Tensor], gamma: Sequence[tf.Tensor] | None, beta: Sequence[tf.Tensor] | None, epsilon: float
) -> list[_Normalization]:
    """Normalises tensors of one shape; what is the same for all is computed once."""
    shape = inputs[0].shape
    count = shape[:-1].num_elements() or tf.cast(tf.size(inputs[0]) // shape[-1], tf.float32)
    shared = epsilon, tf.zeros([0]), (count - 1) / count
    gamma = gamma or [tf.ones([shape[-1]])] * len(inputs)
    beta = beta or [tf.zeros([shape[-1]])] * len(inputs)
    return [_Normalization(*row, *shared) for row in zip(inputs, gamma, beta, strict=True)]


def _gradients(
    normalizations: Sequence[_Normalization], upstreams: Sequence[tf.Tensor]
) -> tuple[tuple[tf.Tensor, ...], ...]:
    """Returns the gradients in the inputs of all, in gamma and in beta."""
    pairs = zip(normalizations, upstreams, strict=True)
    return tuple(zip(*[normalization.gradients(upstream) for normalization, upstream in pairs], strict=True))


def _repeat(normalizations: Sequence[_Normalization], upstreams: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns ReLU of the outputs, each computed again once the gradient that needs it is there."""
    outputs = []
    for normalization, upstream in zip(normalizations, upstreams, strict=True):
        with tf.control_dependencies([upstream]):
            outputs.append(tf.nn.relu(normalization.repeat()))
    return outputs


def _statistics(normalizations: Sequence[_Normalization]) -> Statistics:
    return Statistics(
        tf.stack([one.mean for one in normalizations]), tf.stack([one.variance for one in normalizations])
    )


def _split(values: Sequence[object], present: Sequence[bool] | None = None) -> tuple[list[object], list[bool]]:
    """Leaves out what is None, or what is not present: a custom gradient takes tensors only."""
    present = [value is not None for value in values] if present is None else present
    return [value for value, there in zip(values, present, strict=True) if there], list(present)


def _join(values: Sequence[object], present: Sequence[bool]) -> list[object]:
    """Undoes `_split`."""
    rest = iter(values)
    return [next(rest) if there else None for there in present]
