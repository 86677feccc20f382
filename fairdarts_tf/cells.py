"""The cell of a supernet: a small graph of mixed operations between its two inputs and its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from fairdarts_tf import convolutions
from fairdarts_tf.alphas import edge_endpoints
from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.mixed_op import MixedOp, Terms
from fairdarts_tf.normalization import BatchNormalization
from fairdarts_tf.operations import FactorizedReduce
from fairdarts_tf.source_state import SourceState

if TYPE_CHECKING:
    from fairdarts_tf.perturbations import Perturbation


@keras.saving.register_keras_serializable("fairdarts_tf")
class ConvolutionBlock(keras.layers.Layer):
    """(ReLU,) convolution, BatchNorm: what brings a cell's input to the cell's channels, and the stem.

    Args:
        filters: Channels of the output.
        kernel_size: Side of the kernel, odd. Defaults to 1.
        stride: Defaults to 1.
        activate: Whether ReLU comes first. Defaults to True.
        affine: Whether BatchNorm has a learned scale and offset. Defaults to False.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 1,
        stride: int = 1,
        activate: bool = True,
        affine: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.activate = activate
        self.affine = affine

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the kernel and BatchNorm."""
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        fan_in = self.kernel_size**2 * input_shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=FanInUniform(fan_in))
        self.normalization = BatchNormalization(affine=self.affine, name="normalization", dtype=self.dtype_policy)
        self.normalization.build([(None, None, None, self.filters)])

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps (batch, height, width, channels) to (batch, ceil(height / stride), ceil(width / stride), filters)."""
        x = tf.nn.relu(inputs) if self.activate else inputs
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), x.dtype)
        x = convolutions.convolution(x, kernel, (self.stride, self.stride))
        return self.normalization([x], training=training)[0]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the output."""
        return convolutions.strided_shape(input_shape, self.stride, self.filters)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "activate": self.activate,
            "affine": self.affine,
        }


@keras.saving.register_keras_serializable("fairdarts_tf")
class SupernetCell(keras.layers.Layer):
    """A cell whose every edge is a mixed operation.

    States 0 and 1 are the outputs of the two cells before; each node from 2 on is the sum of the mixed operations on
    its edges from all states before it; the output is all nodes, concatenated (DARTS, section 2.1).

    Args:
        operations: Names of the candidate operations.
        nodes: Number of intermediate nodes. Defaults to 4.
        filters: Channels of a node.
        reduction: Whether the edges from the two inputs have stride 2. Defaults to False.
        reduces_older: Whether the cell before this one reduced, so that the older input is twice as large as the newer
            one and must be halved. Defaults to False.

    Call arguments:
        older: Output of the cell before the last, (batch, height, width, channels).
        newer: Output of the last cell.
        weights: Mixing weights, (edges, operations), edges in the order node 2 from 0, 1; node 3 from 0, 1, 2; ...
        training: Whether BatchNorm uses the batch's statistics.
        perturbation: What disturbs the operations of the cell. Defaults to None: nothing.
    """

    def __init__(
        self,
        operations: Sequence[str],
        filters: int,
        nodes: int = 4,
        reduction: bool = False,
        reduces_older: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.operations = tuple(operations)
        self.filters = filters
        self.nodes = nodes
        self.reduction = reduction
        self.reduces_older = reduces_older
        policy = {"dtype": self.dtype_policy}
        self.align_older = (
            FactorizedReduce(filters=filters, name="align_older", **policy)
            if reduces_older
            else ConvolutionBlock(filters, name="align_older", **policy)
        )
        self.align_newer = ConvolutionBlock(filters, name="align_newer", **policy)
        self.edges_from = edges_by_source(nodes)
        self.mixed_ops = [
            MixedOp(
                operations,
                edges=len(edges),
                stride=2 if reduction and source < 2 else 1,
                name=f"from_{source}",
                **policy,
            )
            for source, edges in enumerate(self.edges_from)
        ]

    def build(self, older_shape: tuple[int | None, ...], newer_shape: tuple[int | None, ...]) -> None:
        """Builds all layers for the shapes of the two inputs."""
        self.align_older.build(tuple(older_shape))
        self.align_newer.build(tuple(newer_shape))
        for mixed_op in self.mixed_ops:
            mixed_op.build((None, None, None, self.filters))

    def call(
        self,
        older: tf.Tensor,
        newer: tf.Tensor,
        weights: tf.Tensor,
        training: bool | None = None,
        perturbation: Perturbation | None = None,
    ) -> tf.Tensor:
        """Returns the nodes, concatenated: (batch, height, width, nodes * filters), halved by a reduction cell."""
        older = self.align_older(older, training=training)
        states = [older[0] if self.reduces_older else older, self.align_newer(newer, training=training)]
        nodes = [Terms() for _ in range(self.nodes)]
        rows = tf.unstack(tf.convert_to_tensor(weights))
        for source, (edges, mixed_op) in enumerate(zip(self.edges_from, self.mixed_ops, strict=True)):
            if source >= 2:
                states.append(nodes[source - 2].sum())
            disturbed_by = None if perturbation is None else perturbation.of(source)
            state = SourceState(states[source], training, disturbed_by)
            of_edges = mixed_op.terms(state, tf.stack([rows[edge] for edge in edges]))
            for node, terms in zip(nodes[self.nodes - len(edges) :], of_edges, strict=True):
                node.extend(terms)
        states.append(nodes[-1].sum())
        return tf.concat(states[2:], axis=-1)

    def compute_output_shape(
        self, older_shape: tuple[int | None, ...], newer_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the output."""
        return convolutions.strided_shape(newer_shape, 2 if self.reduction else 1, self.nodes * self.filters)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {
            "operations": self.operations,
            "filters": self.filters,
            "nodes": self.nodes,
            "reduction": self.reduction,
            "reduces_older": self.reduces_older,
        }


def edges_by_source(nodes: int) -> list[list[int]]:
    """Returns, for each state that edges leave, the indices of those edges, by ascending target."""
    endpoints = edge_endpoints(nodes)
    return [[edge for edge, (_, source) in enumerate(endpoints) if source == state] for state in range(nodes + 1)]
