"""Chains of ReLU, depthwise and pointwise convolution and BatchNorm, while they are trained.

A chain's gradient keeps few tensors. Of

    images -> depthwise -> a -> pointwise -> b -> BatchNorm, ReLU -> c -> depthwise -> d -> pointwise -> e -> BatchNorm

a plain gradient keeps a, b, c, d and e. Here b and e are kept: one depthwise convolution of the images gives a; one
normalisation of b, whose mean and variance are known, gives c; the depthwise convolution of c is d. What is
computed again differs from the first time by rounding alone, in the BatchNorm.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from fairdarts_tf import separable
from fairdarts_tf.batch_statistics import Normalizations, Statistics, normalize
from fairdarts_tf.scoped_switch import ScopedSwitch


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
        normalizations: list[Normalizations] = []
        for stage in rows:
            if not normalizations:
                convolved = separable.convolve(images, stage.depthwise, stage.pointwise, stride)
            else:
                convolved = [
                    separable.convolve(tf.nn.relu(before), [depthwise], [pointwise])[0]
                    for before, depthwise, pointwise in zip(
                        normalizations[-1].outputs, stage.depthwise, stage.pointwise, strict=True
                    )
                ]
            normalizations.append(normalize(convolved, stage.gamma, stage.beta, epsilon))
            statistics.append(normalizations[-1].statistics)

        def gradient(*upstreams: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
            of_weights: list[tf.Tensor | None] = []
            for index in reversed(range(len(rows))):
                stage = rows[index]
                of_convolved, *of_norm = normalizations[index].gradients(upstreams)
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

        return normalizations[-1].outputs, gradient

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
        normalizations = normalize(tensors[len(weights) :], *rows, epsilon)
        statistics.append(normalizations.statistics)

        def gradient(*upstreams: tf.Tensor) -> tuple[tf.Tensor, ...]:
            of_inputs, *of_norm = normalizations.gradients(upstreams)
            return *_split([tf.stack(rows) for rows in of_norm], present)[0], *of_inputs

        return normalizations.outputs, gradient

    return compute(*weights, *inputs), statistics[0]


def fixed_kernels() -> contextlib.AbstractContextManager[None]:
    """Within, chains are built without gradients in their kernels, as for a step of the alphas: a shorter graph."""
    return _fixed_kernels.within()


def wants_kernels() -> bool:
    """Returns whether chains built now have gradients in their kernels."""
    return not _fixed_kernels.is_on()


_fixed_kernels = ScopedSwitch("fixed_kernels")
_FIELDS = tuple(field.name for field in dataclasses.fields(Stage))


@dataclasses.dataclass(frozen=True)
class _Rows:
    """The weights of a stage, edge by edge."""

    depthwise: list[tf.Tensor]
    pointwise: list[tf.Tensor]
    gamma: list[tf.Tensor] | None
    beta: list[tf.Tensor] | None


def _repeat(normalizations: Normalizations, upstreams: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns ReLU of the outputs, each computed again once the gradient that needs it is there."""
    outputs = []
    for edge, upstream in enumerate(upstreams):
        with tf.control_dependencies([upstream]):
            outputs.append(tf.nn.relu(normalizations.repeat(edge)))
    return outputs


def _split(values: Sequence[object], present: Sequence[bool] | None = None) -> tuple[list[object], list[bool]]:
    """Leaves out what is None, or what is not present: a custom gradient takes tensors only."""
    present = [value is not None for value in values] if present is None else present
    return [value for value, there in zip(values, present, strict=True) if there], list(present)


def _join(values: Sequence[object], present: Sequence[bool]) -> list[object]:
    """Undoes `_split`."""
    rest = iter(values)
    return [next(rest) if there else None for there in present]
