"""What operations do with the weights of their edges: convolve and normalise, each in the form that is fastest."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from fairdarts_tf import convolutions
from fairdarts_tf.kernels.terms import Term, scaled_terms, separable_terms
from fairdarts_tf.normalization import BatchNormalization
from fairdarts_tf.separable_chain import Stage, separable_chain
from fairdarts_tf.source_state import SourceState

Kernels = Sequence[tuple[keras.Variable, keras.Variable]]
"""Depthwise and pointwise kernels of all edges, stage by stage."""


def rows_of(kernels: keras.Variable, dtype: tf.DType) -> list[tf.Tensor]:
    """Returns one kernel an edge, in the dtype of the images; the variable is read once."""
    return tf.unstack(tf.cast(tf.convert_to_tensor(kernels), dtype))


def separable(
    images: list[tf.Tensor], depthwise: keras.Variable, pointwise: keras.Variable, stride: int = 1, dilation: int = 1
) -> list[tf.Tensor]:
    """Returns the depthwise and then pointwise convolution of each edge's images."""
    dtype = images[0].dtype
    return [
        convolutions.pointwise(convolutions.depthwise(x, of_depth, stride, dilation), of_point)
        for x, of_depth, of_point in zip(images, rows_of(depthwise, dtype), rows_of(pointwise, dtype), strict=True)
    ]


def chain(
    images: tf.Tensor,
    kernels: Kernels,
    normalizations: Sequence[BatchNormalization],
    scales: tf.Tensor | None,
    stride: int = 1,
) -> list[tf.Tensor]:
    """Trains depthwise and pointwise convolutions, each followed by BatchNorm; the scales enter the last."""
    last = normalizations[-1]
    stages = [
        Stage(
            *(tf.cast(tf.convert_to_tensor(variable), images.dtype) for variable in pair),
            *normalization.gamma_and_beta(scales if normalization is last else None),
        )
        for pair, normalization in zip(kernels, normalizations, strict=True)
    ]
    outputs, statistics = separable_chain(images, stages, stride, last.epsilon)
    for normalization, batch in zip(normalizations, statistics, strict=True):
        normalization.update(batch)
    return list(outputs)


def compiled(
    state: SourceState,
    kernels: Kernels,
    normalizations: Sequence[BatchNormalization],
    scales: tf.Tensor | None,
    stride: int,
    dilation: int = 1,
) -> list[Term]:
    """Trains ReLU, depthwise and pointwise convolutions by compiled kernels."""
    *others, last = normalizations
    norms = [*(normalization.batch_norm() for normalization in others), last.batch_norm(scales)]
    weights = [tuple(tf.convert_to_tensor(variable) for variable in pair) for pair in kernels]
    stages = separable_terms(state.tensor, weights, norms, stride, dilation)
    for normalization, terms in zip(normalizations, stages, strict=True):
        normalization.update_from(terms)
    return stages[-1]


def normalize(
    outputs: list[tf.Tensor], normalization: BatchNormalization, scales: tf.Tensor | None, state: SourceState
) -> list[tf.Tensor | Term]:
    """Normalises one tensor for each edge, or one that all edges share."""
    if state.compiled:
        return normalization.terms(outputs, scales)
    shared = outputs * normalization.rows if len(outputs) == 1 else outputs
    return normalization.call(shared, scales=scales, training=state.training)


def multiply(tensor: tf.Tensor, edges: int, scales: tf.Tensor | None, state: SourceState) -> list[tf.Tensor | Term]:
    """Scales a tensor for each edge."""
    if scales is None:
        return [tensor] * edges
    if state.compiled:
        return scaled_terms(tensor, tf.cast(tf.convert_to_tensor(scales), tensor.dtype))
    return [tensor * scale for scale in tf.unstack(tf.cast(tf.convert_to_tensor(scales), tensor.dtype))]
