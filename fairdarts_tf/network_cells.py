"""The cell of a found network: the operations that a genotype keeps, and no others."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import keras
import tensorflow as tf

from fairdarts_tf import convolutions
from fairdarts_tf.cells import ConvolutionBlock
from fairdarts_tf.drop_path import DropPath
from fairdarts_tf.genotypes import INPUTS, GenotypeItem, existing_nodes, reachable_items
from fairdarts_tf.mixed_op import Terms
from fairdarts_tf.operations import FactorizedReduce, Identity, Operation, operation
from fairdarts_tf.source_state import SourceState

DROP_PATHS = ("node", "operation")
"""Where drop path acts: on the sum of a node (FairDARTS) or on each operation but the identity (DARTS)."""


@keras.saving.register_keras_serializable("fairdarts_tf")
class NetworkCell(keras.layers.Layer):
    """A cell with the operations of a genotype.

    A node is the sum of the operations that lead to it. A node without inputs does not exist, nor does what would have
    read it; the output is the existing nodes, concatenated.

    Args:
        items: The cell's part of the genotype: (operation, to-node, from-node).
        filters: Channels of a node.
        reduction: Whether the edges from the two inputs have stride 2. Defaults to False.
        reduces_older: Whether the cell before this one reduced. Defaults to False.
        drop_path: ``"node"`` or ``"operation"``. Defaults to ``"node"``.

    Call arguments:
        older: Output of the cell before the last, (batch, height, width, channels).
        newer: Output of the last cell.
        training: Whether BatchNorm uses the batch's statistics, and paths are dropped.
    """

    def __init__(
        self,
        items: Sequence[GenotypeItem],
        filters: int,
        reduction: bool = False,
        reduces_older: bool = False,
        drop_path: str = "node",
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.items = [GenotypeItem(*item) for item in items]
        self.filters = filters
        self.reduction = reduction
        self.reduces_older = reduces_older
        self.drop_path = drop_path
        self.nodes = existing_nodes(self.items)
        self.kept_items = reachable_items(self.items)
        options = {"affine": True, "dtype": self.dtype_policy}
        self.align_older = (
            FactorizedReduce(filters=filters, name="align_older", **options)
            if reduces_older
            else ConvolutionBlock(filters, name="align_older", **options)
        )
        self.align_newer = ConvolutionBlock(filters, name="align_newer", **options)
        self.operations = [_operation(item, number, reduction, options) for number, item in enumerate(self.kept_items)]
        # Keyed by node or by the operation's number, as text: Keras tracks dictionaries with such keys.
        dropped = self.nodes if drop_path == "node" else _droppable(self.operations)
        self.drop_paths = {
            str(index): DropPath(name=f"drop_path_{index}", dtype=self.dtype_policy) for index in dropped
        }

    def build(self, older_shape: tuple[int | None, ...], newer_shape: tuple[int | None, ...]) -> None:
        """Builds all layers for the shapes of the two inputs."""
        self.align_older.build(tuple(older_shape))
        self.align_newer.build(tuple(newer_shape))
        for layer in [*self.operations, *self.drop_paths.values()]:
            layer.build((None, None, None, self.filters))

    def call(self, older: tf.Tensor, newer: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the existing nodes, concatenated: (batch, height, width, nodes * filters)."""
        older = self.align_older(older, training=training)
        inputs = older[0] if self.reduces_older else older, self.align_newer(newer, training=training)
        states = {number: SourceState(x, training) for number, x in enumerate(inputs)}
        for node in self.nodes:
            states[node] = SourceState(self._node(node, states, training), training)
        return tf.concat([states[node].tensor for node in self.nodes], axis=-1)

    def compute_output_shape(
        self, older_shape: tuple[int | None, ...], newer_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the output."""
        return convolutions.strided_shape(newer_shape, 2 if self.reduction else 1, len(self.nodes) * self.filters)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {
            "items": [list(item) for item in self.items],
            "filters": self.filters,
            "reduction": self.reduction,
            "reduces_older": self.reduces_older,
            "drop_path": self.drop_path,
        }

    def _node(self, node: int, states: dict[int, SourceState], training: bool | None) -> tf.Tensor:
        terms = Terms()
        for number, (item, layer) in enumerate(zip(self.kept_items, self.operations, strict=True)):
            if item.to != node:
                continue
            state = states[item.source]
            if self.drop_path == "operation" and str(number) in self.drop_paths:
                (term,) = layer.images(state)
                terms.add(self.drop_paths[str(number)](term, training=training))
            else:
                (term,) = layer.compute(state)
                terms.add(term, layer.stays_in_phases(state))
        # TFLite has no integer version of tf.add_n.
        total = terms.sum() if training else functools.reduce(tf.add, terms.images)
        return self.drop_paths[str(node)](total, training=training) if self.drop_path == "node" else total


def _operation(item: GenotypeItem, number: int, reduction: bool, options: dict[str, object]) -> Operation:
    stride = 2 if reduction and item.source < INPUTS else 1
    return operation(item.op, stride=stride, name=f"{number}_{item.op}", **options)


def _droppable(operations: Sequence[Operation]) -> list[int]:
    """Returns the numbers of all operations but the identity, which DARTS never drops."""
    return [number for number, layer in enumerate(operations) if not isinstance(layer, Identity)]
