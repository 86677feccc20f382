"""The candidate operations of a cell, as Keras layers.

An operation layer computes one operation on all edges that leave one state. The edges read the same tensor, so what
does not depend on their weights (a ReLU, a pooling) is computed once, and their kernels lie in one variable with the
edge as its first axis: a supernet then has few variables and a short graph. With ``edges=1``, the default, a layer is
the plain operation of one edge.

Sources: DARTS (Liu et al., ICLR 2019) and FairDARTS (Chu et al., ECCV 2020) with its code.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from fairdarts_tf import convolutions
from fairdarts_tf.edges import chain, compiled, multiply, normalize, rows_of, separable
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.kernels.terms import Term, sum_terms
from fairdarts_tf.normalization import BatchNormalization
from fairdarts_tf.source_state import SourceState, join_phases


class Operation(keras.layers.Layer):
    """One candidate operation on the edges that leave one state.

    Args:
        edges: The number of edges. Defaults to 1.
        stride: 1, or 2 on the edges from a reduction cell's inputs. Defaults to 1.
        affine: Whether BatchNorm has a learned scale and offset: no in a supernet, yes in a final network. Defaults to
            False.

    Call arguments:
        inputs: The state, (batch, height, width, channels).
        scales: (edges, channels), multiplies the edges' outputs; None for 1.
        training: Whether BatchNorm uses the batch's statistics.

    Returns:
        A list of one tensor an edge, (batch, ceil(height / stride), ceil(width / stride), channels).
    """

    def __init__(self, edges: int = 1, stride: int = 1, affine: bool = False, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)
        if edges < 1 or stride not in (1, 2):
            raise ConfigurationError(
                f"an operation needs at least 1 edge and stride 1 or 2, but got {edges} edges and stride {stride}."
            )
        self.edges = edges
        self.stride = stride
        self.affine = affine

    def call(self, inputs: tf.Tensor, scales: tf.Tensor | None = None, training: bool | None = None) -> list[tf.Tensor]:
        """Returns one tensor for each edge."""
        return self.images(SourceState(inputs, training), scales)

    def images(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor]:
        """Returns one tensor for each edge, as `call` does, from what the operations of the state share."""
        outputs = self.compute(state, scales)
        if self.stays_in_phases(state):
            return [join_phases(phases) for phases in outputs]
        return [sum_terms([output]) if isinstance(output, Term) else output for output in outputs]

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Returns what each edge adds to its node.

        That is an image, or its phases where `stays_in_phases`, or, where the state is `compiled`, perhaps a term that
        the node's sum normalises.
        """
        raise NotImplementedError

    def stays_in_phases(self, state: SourceState) -> bool:
        """Returns whether `compute` returns the phases of each edge's output, for the caller to sum and to join."""
        return False

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        """Returns the shape of each edge's output."""
        return [convolutions.strided_shape(input_shape, self.stride, input_shape[-1])] * self.edges

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"edges": self.edges, "stride": self.stride, "affine": self.affine}

    def _kernels(self, name: str, shape: tuple[int, ...], fan_in: int) -> keras.Variable:
        """Creates the kernels of all edges: (edges, *shape)."""
        return self.add_weight(name=name, shape=(self.edges, *shape), initializer=FanInUniform(fan_in))

    def _normalization(self, name: str, channels: int) -> BatchNormalization:
        """Creates and builds a BatchNorm with one row an edge."""
        layer = BatchNormalization(rows=self.edges, affine=self.affine, name=name, dtype=self.dtype_policy)
        layer.build([(None, None, None, channels)] * self.edges)
        return layer


class Zero(Operation):
    """``none``: no connection. DARTS lets it win probability; no genotype contains it."""

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Returns zeros for each edge."""
        return [tf.zeros_like(state.tensor[:, :: self.stride, :: self.stride])] * self.edges


class Pooling(Operation):
    """3x3 pooling, followed by BatchNorm in a supernet but not in a final network.

    Args:
        kind: ``"max"`` or ``"average"``; an average does not count the padding.
        normalize: Whether BatchNorm follows. Defaults to None: unless `affine`, which a final network's layers are.
        kwargs: See `Operation`.
    """

    def __init__(self, kind: str, normalize: bool | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if kind not in _POOLS:
            raise ConfigurationError(unknown_name("pooling", kind, _POOLS))
        self.kind = kind
        self.normalize = not self.affine if normalize is None else normalize

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates BatchNorm."""
        if self.normalize:
            self.normalization = self._normalization("normalization", input_shape[-1])

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Pools once, then normalises and scales for each edge."""
        pooled = _POOLS[self.kind](state.tensor, self.stride)
        if self.normalize:
            return normalize([pooled], self.normalization, scales, state)
        return multiply(pooled, self.edges, scales, state)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"kind": self.kind, "normalize": self.normalize}


class FactorizedReduce(Operation):
    """Halves an image without dropping pixels of its diagonal: ReLU, two 1x1 convolutions of stride 2, BatchNorm.

    The second convolution reads the image shifted by one pixel; their outputs are concatenated.

    Args:
        filters: Channels of the output. Defaults to None: as many as the input has.
        kwargs: See `Operation`; the stride is always 2.
    """

    def __init__(self, filters: int | None = None, **kwargs: object) -> None:
        super().__init__(**{"stride": 2} | kwargs)
        self.filters = filters

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates both kernels of all edges and BatchNorm."""
        channels = input_shape[-1]
        filters = self.filters or channels
        self.kernel_1 = self._kernels("kernel_1", (1, 1, channels, filters // 2), fan_in=channels)
        self.kernel_2 = self._kernels("kernel_2", (1, 1, channels, filters - filters // 2), fan_in=channels)
        self.normalization = self._normalization("normalization", filters)

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Returns one reduced tensor for each edge."""
        outputs = [
            tf.concat(
                [
                    convolutions.pointwise(state.even_pixels, kernel_1),
                    convolutions.pointwise(state.odd_pixels, kernel_2),
                ],
                axis=-1,
            )
            for kernel_1, kernel_2 in zip(
                rows_of(self.kernel_1, state.tensor.dtype), rows_of(self.kernel_2, state.tensor.dtype), strict=True
            )
        ]
        return normalize(outputs, self.normalization, scales, state)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        """Returns the shape of each edge's output."""
        return [(*shape[:-1], self.filters or shape[-1]) for shape in super().compute_output_shape(input_shape)]

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"filters": self.filters}


class Identity(Operation):
    """``skip_connect`` at stride 1: the input itself."""

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Returns the input, scaled, for each edge."""
        return multiply(state.tensor, self.edges, scales, state)


class SeparableConvolution(Operation):
    """Twice: ReLU, depthwise convolution, pointwise convolution, BatchNorm; the stride in the first.

    Args:
        kernel_size: Side of the depthwise kernel: 3, 5 or 7.
        kwargs: See `Operation`.
    """

    def __init__(self, kernel_size: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.kernel_size = kernel_size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates both pairs of kernels of all edges and both BatchNorms."""
        channels, side = input_shape[-1], self.kernel_size
        self.depthwise_1 = self._kernels("depthwise_1", (side, side, channels, 1), fan_in=side * side)
        self.pointwise_1 = self._kernels("pointwise_1", (1, 1, channels, channels), fan_in=channels)
        self.normalization_1 = self._normalization("normalization_1", channels)
        self.depthwise_2 = self._kernels("depthwise_2", (side, side, channels, 1), fan_in=side * side)
        self.pointwise_2 = self._kernels("pointwise_2", (1, 1, channels, channels), fan_in=channels)
        self.normalization_2 = self._normalization("normalization_2", channels)

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Returns one tensor for each edge."""
        kernels = (self.depthwise_1, self.pointwise_1), (self.depthwise_2, self.pointwise_2)
        normalizations = self.normalization_1, self.normalization_2
        if state.compiled:
            return compiled(state, kernels, normalizations, scales, self.stride)
        if state.recomputes:
            return chain(state.activated, kernels, normalizations, scales, self.stride)
        outputs = separable([state.activated] * self.edges, *kernels[0], stride=self.stride)
        outputs = self.normalization_1.call(outputs, training=state.training)
        outputs = separable([tf.nn.relu(x) for x in outputs], *kernels[1])
        return self.normalization_2.call(outputs, scales=scales, training=state.training)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"kernel_size": self.kernel_size}


class DilatedConvolution(Operation):
    """ReLU, depthwise convolution of dilation 2, pointwise convolution, BatchNorm.

    Args:
        kernel_size: Side of the depthwise kernel, 3 or 5: it spans 5 or 9 pixels.
        kwargs: See `Operation`.
    """

    def __init__(self, kernel_size: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.kernel_size = kernel_size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the kernels of all edges and BatchNorm."""
        channels, side = input_shape[-1], self.kernel_size
        self.depthwise = self._kernels("depthwise", (side, side, channels, 1), fan_in=side * side)
        self.pointwise = self._kernels("pointwise", (1, 1, channels, channels), fan_in=channels)
        self.normalization = self._normalization("normalization", channels)

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Returns one tensor for each edge."""
        if state.compiled:
            kernels = self.depthwise, self.pointwise
            return compiled(state, [kernels], [self.normalization], scales, self.stride, dilation=2)
        images, dilation = state.activated, 2
        if self.stride == 2:
            images, dilation = state.even_pixels, 1
        elif self.stays_in_phases(state):
            images, dilation = state.phases, 1
        if state.recomputes and dilation == 1:
            return chain(images, [(self.depthwise, self.pointwise)], [self.normalization], scales)
        outputs = separable([images] * self.edges, self.depthwise, self.pointwise, dilation=dilation)
        return self.normalization.call(outputs, scales=scales, training=state.training)

    def stays_in_phases(self, state: SourceState) -> bool:
        """Returns whether the state's phases can be convolved in place of its pixels."""
        return self.stride == 1 and state.dilates_in_phases

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"kernel_size": self.kernel_size}


class FactorizedConvolution(Operation):
    """``conv_7x1_1x7``: ReLU, a 1x7 and a 7x1 convolution, BatchNorm; each stride along its own kernel."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates both kernels of all edges and BatchNorm."""
        channels = input_shape[-1]
        self.kernel_1x7 = self._kernels("kernel_1x7", (1, 7, channels, channels), fan_in=7 * channels)
        self.kernel_7x1 = self._kernels("kernel_7x1", (7, 1, channels, channels), fan_in=7 * channels)
        self.normalization = self._normalization("normalization", channels)

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Returns one tensor for each edge."""
        outputs = [
            convolutions.convolution(
                convolutions.convolution(state.activated, kernel_1x7, (1, self.stride)), kernel_7x1, (self.stride, 1)
            )
            for kernel_1x7, kernel_7x1 in zip(
                rows_of(self.kernel_1x7, state.tensor.dtype), rows_of(self.kernel_7x1, state.tensor.dtype), strict=True
            )
        ]
        return normalize(outputs, self.normalization, scales, state)


def skip_connect(stride: int = 1, **kwargs: object) -> Operation:
    """Returns ``skip_connect``: the identity at stride 1, a factorized reduction at stride 2."""
    return FactorizedReduce(**kwargs) if stride == 2 else Identity(stride=stride, **kwargs)


OPERATIONS: dict[str, Callable[..., Operation]] = {
    "none": Zero,
    "max_pool_3x3": lambda **kwargs: Pooling("max", **kwargs),
    "avg_pool_3x3": lambda **kwargs: Pooling("average", **kwargs),
    "skip_connect": skip_connect,
    "sep_conv_3x3": lambda **kwargs: SeparableConvolution(3, **kwargs),
    "sep_conv_5x5": lambda **kwargs: SeparableConvolution(5, **kwargs),
    "sep_conv_7x7": lambda **kwargs: SeparableConvolution(7, **kwargs),
    "dil_conv_3x3": lambda **kwargs: DilatedConvolution(3, **kwargs),
    "dil_conv_5x5": lambda **kwargs: DilatedConvolution(5, **kwargs),
    "conv_7x1_1x7": FactorizedConvolution,
}
"""Every operation by the name that genotypes use. A new one is a class above and a line here."""


def operation(kind: str, /, **kwargs: object) -> Operation:
    """Returns a new layer for an operation.

    Args:
        kind: A key of `OPERATIONS`.
        kwargs: See `Operation`. The layer's name defaults to ``kind``.

    Raises:
        ConfigurationError: When there is no such operation.
    """
    if kind not in OPERATIONS:
        raise ConfigurationError(unknown_name("operation", kind, OPERATIONS))
    return OPERATIONS[kind](**{"name": kind} | kwargs)


_POOLS = {"max": convolutions.max_pool_3x3, "average": convolutions.average_pool_3x3}

for _layer in (
    Zero,
    Pooling,
    FactorizedReduce,
    Identity,
    SeparableConvolution,
    DilatedConvolution,
    FactorizedConvolution,
):
    keras.saving.register_keras_serializable("fairdarts_tf")(_layer)
