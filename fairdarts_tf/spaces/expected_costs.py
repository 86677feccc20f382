"""The expected cost of the network that will be derived, as a differentiable function of the mixing weights.

A mixing weight is read as the probability that its operation is on (see `fairdarts_tf.gates`). At weights of 0 and 1
where the derivation keeps exactly the ones, the expectation is the cost of what is derived, exactly.

All is computed in float64: a cost of 500 million has more digits than float32.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from fairdarts_tf.alphas import edge_endpoints, nodes_of
from fairdarts_tf.derivation import Method
from fairdarts_tf.gates import any_on, count_distribution, drawn, expected_kept, strengths
from fairdarts_tf.genotypes import INPUTS
from fairdarts_tf.spaces.cell_prices import Alignment, CellPrices


class ExpectedCost(Protocol):
    """A function of the mixing weights, (rows, operations) by kind, to a float64 scalar."""

    def __call__(self, weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the expected cost."""


class ExpectedLayerCost:
    """The expected cost of a chain of layers, each of which has one operation.

    ``fixed + sum over layers and operations of cost * s / (sum over the layer's operations of s)``, with the strengths
    ``s`` of `fairdarts_tf.gates.strengths`, in proportion to exp(alpha): with the softmax the shares are the mixing
    weights themselves (ProxylessNAS, Cai, Zhu and Han, ICLR 2019, section 3.3).

    Args:
        fixed: The cost of what every network has.
        costs: Of each operation, (layers, operations), by kind; where an operation does not exist its weight must be 0.
        competing: Whether the mixing weights of a layer sum to 1. Defaults to False.
    """

    def __init__(self, fixed: float, costs: Mapping[str, np.ndarray], competing: bool = False) -> None:
        self._fixed = fixed
        self._costs = dict(costs)
        self._competing = competing

    def __call__(self, weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the expected cost, a float64 scalar."""
        total = tf.constant(self._fixed, tf.float64)
        for kind, costs in self._costs.items():
            drawn_once = drawn(strengths(tf.cast(weights[kind], tf.float64), self._competing), 1)
            total += tf.reduce_sum(drawn_once * costs)
        return total


class ExpectedCellCost:
    """The expected cost of networks of cells.

    Operations, additions, and what becomes of a cell's output and inputs count with the probability of being there: of
    an operation that it is kept and that its source exists; of a number of nodes that so many exist, the output
    having that many times a node's channels.

    Args:
        prices: What each choice costs.
        columns: The columns of the tables of weights that the prices' operations have: all but ``none``.
        method: How the network will be derived.
        competing: Whether the mixing weights of an edge sum to 1. Defaults to False.
    """

    def __init__(self, prices: CellPrices, columns: Sequence[int], method: Method, competing: bool = False) -> None:
        self._prices = prices
        self._columns = list(columns)
        self._method = method
        self._competing = competing

    def __call__(self, weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the expected cost, a float64 scalar."""
        prices = self._prices
        cells = {kind: self._cell(weights[kind]) for kind in prices.operations}
        total = tf.constant(prices.fixed, tf.float64)
        for kind, cell in cells.items():
            total += tf.reduce_sum(cell.operations * prices.operations[kind])
            total += (tf.reduce_sum(cell.operations) - tf.add_n(cell.nodes)) * prices.sums[kind]
            total += tf.reduce_sum(cell.counts * prices.outputs[kind])
        return total + tf.add_n([_of_alignment(alignment, cells) for alignment in prices.alignments])

    def _cell(self, weights: tf.Tensor) -> _Cell:
        """Returns the probabilities of what a cell may hold."""
        of_edges = self._edges(tf.cast(tf.gather(weights, self._columns, axis=1), tf.float64))
        exists = [tf.ones([], tf.float64)] * INPUTS
        kept, read = [], [[] for _ in range(INPUTS)]
        places = edge_endpoints(nodes_of(int(weights.shape[0])))
        for _, of_node in itertools.groupby(range(len(places)), key=lambda edge: places[edge][0]):
            edges = list(of_node)
            operations, on, has_input = self._node(
                *(tf.gather(values, edges) for values in of_edges), tf.stack(exists[: len(edges)])
            )
            kept.append(operations)
            for source in range(INPUTS):
                read[source].append(on[source])
            exists.append(has_input)
        nodes = exists[INPUTS:]
        return _Cell(
            operations=tf.concat(kept, axis=0),
            nodes=nodes,
            counts=count_distribution(tf.stack(nodes)),
            read=[any_on(tf.stack(edges)) for edges in read],
        )

    def _edges(self, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns, edge by edge, what is kept of its operations if the edge is, and how it stands in its node.

        That is the probability that an operation is on and kept, (edges, operations); that of the edge to have one; and
        its strength: the strongest of several operations with Gumbel noise is as strong as the sum of their strengths.
        Without a threshold every edge has an operation.
        """
        of_operations = strengths(weights, self._competing)
        of_edges = tf.reduce_sum(of_operations, axis=1)
        if self._method.has_threshold:
            return expected_kept(weights, of_operations, self._method.operations_kept), any_on(weights), of_edges
        return drawn(of_operations, self._method.operations_kept), tf.ones_like(of_edges), of_edges

    def _node(
        self, operations: tf.Tensor, on: tf.Tensor, of_edges: tf.Tensor, exists: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the probabilities of a node's operations, of its edges, and of the node.

        Args:
            operations: See `_edges`, of the node's edges.
            on: See `_edges`.
            of_edges: Strengths; see `_edges`.
            exists: Probability that each edge's source exists.
        """
        edges = expected_kept(on, of_edges, self._method.edges_kept) * exists
        share = tf.math.divide_no_nan(edges, on)
        return operations * share[:, tf.newaxis], edges, any_on(on * exists)


class _Cell(NamedTuple):
    """Probabilities of what a cell holds.

    Attributes:
        operations: Of each operation on each edge, (edges, operations).
        nodes: Of each node.
        counts: Of each number of nodes, from 0 to all.
        read: Of each input, that an operation reads it.
    """

    operations: tf.Tensor
    nodes: list[tf.Tensor]
    counts: tf.Tensor
    read: list[tf.Tensor]


def _of_alignment(alignment: Alignment, cells: Mapping[str, _Cell]) -> tf.Tensor:
    read = cells[alignment.reader].read[alignment.place]
    if alignment.source is None:
        # The stem's output is the same whatever the cells are.
        return alignment.unread[-1] + read * alignment.read[-1]
    counts = cells[alignment.source].counts
    return tf.reduce_sum(counts * (alignment.unread + read * alignment.read))
