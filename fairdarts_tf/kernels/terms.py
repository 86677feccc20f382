"""Terms of a node's sum whose BatchNorm has not been carried out yet, and the sum that carries it out.

A term is a tensor and its row (mean, factor, offset, variance); it stands for ``(tensor - mean) * factor + offset``. A
row may be a factor alone. A node sums all its terms in one pass over memory. With S the sum, dS its gradient, n the
pixels of a batch, and all sums over them, the gradients of a term x are

    d factor = sum(dS * (x - mean)),    d offset = sum(dS),    d mean = -factor * sum(dS),
    dx = factor * dS + d variance * 2 (x - mean) / n + d mean / n,

the last two of dx where mean and variance are those of x itself, with ``factor = gamma / sqrt(variance + epsilon)``.
The gradient that the sum hands down to a tensor is therefore dS itself, the same tensor for all its terms and *not yet
multiplied with the factor*: the functions that make terms do so, and add what goes through the statistics, in the pass
in which they compute their own gradient. Nothing else may make terms.

None of this has second derivatives: see `fairdarts_tf.second_derivatives`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from fairdarts_tf.kernels.library import library
from fairdarts_tf.separable_chain import wants_kernels

ROWS = 4


@dataclasses.dataclass(frozen=True)
class Term:
    """A tensor and the BatchNorm, or the scale, that it still lacks.

    Attributes:
        tensor: (batch, height, width, channels), float32.
        row: Mean, factor, offset and the variance within the factor, (4, channels); or a factor, ().
    """

    tensor: tf.Tensor
    row: tf.Tensor


@dataclasses.dataclass(frozen=True)
class BatchNorm:
    """What a BatchNorm needs while it is trained.

    Attributes:
        gamma: (edges, channels), or (edges, 1) for all channels, or None for ones.
        beta: (edges, channels), or None for zeros.
        epsilon: Added to the variance.
    """

    gamma: tf.Tensor | None
    beta: tf.Tensor | None
    epsilon: float

    @property
    def inputs(self) -> dict[str, object]:
        """As operations take them: none is empty."""
        empty = tf.zeros([0])
        affine = {
            "gamma": empty if self.gamma is None else self.gamma,
            "beta": empty if self.beta is None else self.beta,
        }
        return affine | {"epsilon": self.epsilon}


def sum_terms(terms: Sequence[Term]) -> tf.Tensor:
    """Returns the sum of terms of one shape, (batch, height, width, channels)."""
    return _normalized_sum([term.tensor for term in terms], [term.row for term in terms])


def scaled_terms(tensor: tf.Tensor, scales: tf.Tensor) -> list[Term]:
    """Returns a tensor times each of several scales.

    Args:
        tensor: (batch, height, width, channels).
        scales: (edges, 1).
    """
    scaled = library().fairdarts_scale(image=tensor, scales=scales, edges=scales.shape[0])
    return _terms(_shaped(scaled.outputs, tensor.shape), _shaped(scaled.rows, []))


def normalized_terms(tensors: Sequence[tf.Tensor], norm: BatchNorm, edges: int) -> list[Term]:
    """BatchNorm by the batch's statistics.

    Args:
        tensors: (batch, height, width, channels): one that all edges share, or one for each.
        norm: The BatchNorm.
        edges: Number of edges.

    Returns:
        A term for each edge.
    """
    normalized = library().fairdarts_normalization(images=tensors, edges=edges, **norm.inputs)
    shape = tensors[0].shape
    return _terms(_shaped(normalized.outputs, shape), _shaped(normalized.rows, [ROWS, shape[-1]]))


def separable_terms(
    images: tf.Tensor,
    kernels: Sequence[tuple[tf.Tensor, tf.Tensor]],
    norms: Sequence[BatchNorm],
    stride: int,
    dilation: int = 1,
) -> list[list[Term]]:
    """Computes one or more stages of ReLU, depthwise and pointwise convolution and BatchNorm, on each edge.

    Args:
        images: What all edges read, (batch, height, width, channels), before ReLU.
        kernels: Depthwise, (edges, side, side, channels, 1), side 3, 5 or 7, and pointwise, (edges, 1, 1, channels,
            filters), of each stage.
        norms: The BatchNorm of each stage.
        stride: Of the first stage's depthwise convolution, 1 or 2.
        dilation: Of all depthwise convolutions. Defaults to 1.

    Returns:
        A term for each edge, of each stage. The terms of all stages but the last are for their statistics only.
    """
    stages: list[list[Term]] = []
    for (depthwise, pointwise), norm in zip(kernels, norms, strict=True):
        before = stages[-1] if stages else [Term(images, tf.zeros([0]))]
        strides = 1 if stages else stride
        convolved = library().fairdarts_separable(
            images=[term.tensor for term in before],
            rows=[term.row for term in before] if stages else [],
            depthwise=depthwise,
            pointwise=pointwise,
            edges=depthwise.shape[0],
            stride=strides,
            dilation=dilation,
            of_kernels=wants_kernels(),
            **norm.inputs,
        )
        batch, height, width, _ = before[0].tensor.shape
        sides = [None if side is None else -(-side // strides) for side in (height, width)]
        filters = pointwise.shape[-1]
        outputs = _shaped(convolved.outputs, [batch, *sides, filters])
        stages.append(_terms(outputs, _shaped(convolved.out_rows, [ROWS, filters])))
    return stages


def moved_statistics(
    terms: Sequence[Term], mean: tf.Tensor, variance: tf.Tensor, share: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns running statistics, moved towards those of a batch; they have no gradient.

    Args:
        terms: One for each edge.
        mean: The old running means, (edges, channels).
        variance: The old running variances, unbiased, (edges, channels).
        share: Of the batch in the new ones.
    """
    tensor = terms[0].tensor
    count = tensor.shape[:-1].num_elements()
    count = tf.cast(tf.size(tensor) // tensor.shape[-1], tf.float32) if count is None else tf.constant(float(count))
    rows = [term.row for term in terms]
    moved = library().fairdarts_moved_statistics(rows=rows, mean=mean, variance=variance, count=count, share=share)
    return tuple(_like(moved, [mean, variance]))


@tf.RegisterGradient("FairdartsNormalizedSum")
def _of_normalized_sum(op: tf.Operation, upstream: tf.Tensor) -> list[tf.Tensor]:
    terms = op.get_attr("terms")
    tensors, rows = op.inputs[:terms], op.inputs[terms:]
    of_rows = library().fairdarts_normalized_sum_gradient(tensors=tensors, rows=rows, upstream=upstream)
    return [upstream] * terms + _like(of_rows, rows)


@tf.RegisterGradient("FairdartsScale")
def _of_scale(op: tf.Operation, *upstreams: tf.Tensor) -> list[tf.Tensor]:
    edges = op.get_attr("edges")
    of_scales = tf.reshape(tf.stack(upstreams[edges:]), tf.shape(op.inputs[1]))
    return [_normalized_sum(upstreams[:edges], op.outputs[edges:]), of_scales]


@tf.RegisterGradient("FairdartsNormalization")
def _of_normalization(op: tf.Operation, *upstreams: tf.Tensor) -> list[tf.Tensor]:
    edges = op.get_attr("edges")
    *images, gamma, beta = op.inputs
    found = library().fairdarts_normalization_gradient(
        images=images,
        upstreams=upstreams[:edges],
        rows=op.outputs[edges:],
        of_rows=upstreams[edges:],
        gamma=gamma,
        beta=beta,
        epsilon=op.get_attr("epsilon"),
    )
    return _like([*found.of_images, found.of_gamma, found.of_beta], op.inputs)


@tf.RegisterGradient("FairdartsSeparable")
def _of_separable(op: tf.Operation, *upstreams: tf.Tensor) -> list[tf.Tensor | None]:
    edges, images, rows = (op.get_attr(name) for name in ("edges", "inputs", "row_count"))
    depthwise, pointwise, gamma, beta = op.inputs[images + rows :]
    of_kernels = op.get_attr("of_kernels")
    found = library().fairdarts_separable_gradient(
        images=op.inputs[:images],
        rows=op.inputs[images : images + rows],
        depthwise=depthwise,
        pointwise=pointwise,
        outputs=op.outputs[:edges],
        upstreams=upstreams[:edges],
        out_rows=op.outputs[edges:],
        of_out_rows=upstreams[edges:],
        gamma=gamma,
        beta=beta,
        of_kernels=of_kernels,
        **{name: op.get_attr(name) for name in ("stride", "dilation", "epsilon")},
    )
    kernels = _like([found.of_depthwise, found.of_pointwise], [depthwise, pointwise]) if of_kernels else [None, None]
    of_images = _like([*found.of_images, *found.of_rows], op.inputs[: images + rows])
    return [*of_images, *kernels, *_like([found.of_gamma, found.of_beta], [gamma, beta])]


def _normalized_sum(tensors: Sequence[tf.Tensor], rows: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the sum of ``(tensor - mean) * factor + offset``; one pass over memory."""
    return _shaped([library().fairdarts_normalized_sum(tensors=tensors, rows=rows)], tensors[0].shape)[0]


def _terms(tensors: Sequence[tf.Tensor], rows: Sequence[tf.Tensor]) -> list[Term]:
    return [Term(tensor, row) for tensor, row in zip(tensors, rows, strict=True)]


def _shaped(tensors: Sequence[tf.Tensor], shape: object) -> list[tf.Tensor]:
    for tensor in tensors:
        tensor.set_shape(shape)
    return list(tensors)


def _like(tensors: Sequence[tf.Tensor], others: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Gives tensors the static shapes of others, which the operations themselves do not tell."""
    for tensor, other in zip(tensors, others, strict=True):
        tensor.set_shape(other.shape)
    return list(tensors)
