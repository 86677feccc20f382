"""The cell of a supernet: its graph, computed again edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_testing import check_layer, copy_weights, with_random_weights

from fairdarts_tf.cells import ConvolutionBlock, SupernetCell, edges_by_source
from fairdarts_tf.mixed_op import MixedOp

OPERATIONS = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
FILTERS = 4


def inputs(nodes: int, reduces_older: bool, size: tuple[int, int] = (6, 4)) -> tuple[np.ndarray, ...]:
    """Returns an older and a newer state of unlike channels, and mixing weights."""
    random = np.random.default_rng(nodes)
    factor = 2 if reduces_older else 1
    older = random.normal(size=(2, factor * size[0], factor * size[1], 3))
    newer = random.normal(size=(2, *size, 5))
    return older, newer, random.random((nodes * (nodes + 3) // 2, len(OPERATIONS)))


def cell(nodes: int, reduction: bool, reduces_older: bool, **kwargs: object) -> SupernetCell:
    return SupernetCell(OPERATIONS, FILTERS, nodes, reduction, reduces_older, **kwargs)


def aligned(block: ConvolutionBlock, x: np.ndarray) -> np.ndarray:
    """ReLU, 1x1 convolution, BatchNorm at inference."""
    x = np.maximum(x, 0) @ block.kernel.numpy()[0, 0]
    mean, variance = block.normalization.moving_mean[0].numpy(), block.normalization.moving_variance[0].numpy()
    return (x - mean) / np.sqrt(variance + 1e-5)


def edge_by_edge(layer: SupernetCell, older: np.ndarray, newer: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Computes the cell as the paper writes it: node i sums a mixed operation of one edge from each j < i."""
    if layer.reduces_older:
        states = [layer.align_older(tf.constant(older))[0].numpy()]
    else:
        states = [aligned(layer.align_older, older)]
    states.append(aligned(layer.align_newer, newer))
    edge = 0
    for node in range(2, 2 + layer.nodes):
        total = 0.0
        for source in range(node):
            mixed_op = MixedOp(OPERATIONS, stride=2 if layer.reduction and source < 2 else 1, dtype="float64")
            mixed_op.build(states[source].shape)
            copy_weights(mixed_op, layer.mixed_ops[source], edge=node - max(2, source + 1))
            total = total + mixed_op(tf.constant(states[source]), weights[edge : edge + 1])[0].numpy()
            edge += 1
        states.append(total)
    return np.concatenate(states[2:], axis=-1)


@pytest.mark.parametrize("reduces_older", [False, True])
@pytest.mark.parametrize("reduction", [False, True])
@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5])
def test_equals_the_sum_over_edges(nodes, reduction, reduces_older):
    arrays = inputs(nodes, reduces_older)
    layer = with_random_weights(cell(nodes, reduction, reduces_older, dtype="float64"), arrays)
    output = layer(*map(tf.constant, arrays))
    assert output.shape == ((2, 3, 2) if reduction else (2, 6, 4)) + (nodes * FILTERS,)
    np.testing.assert_allclose(output, edge_by_edge(layer, *arrays), rtol=1e-9, atol=1e-9)


def test_sides_that_are_odd():
    arrays = inputs(2, False, size=(7, 5))
    layer = with_random_weights(cell(2, True, False, dtype="float64"), arrays)
    output = layer(*map(tf.constant, arrays))
    assert output.shape == (2, 4, 3, 2 * FILTERS)
    np.testing.assert_allclose(output, edge_by_edge(layer, *arrays), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("reduction", "reduces_older"), [(False, False), (True, False), (False, True)])
def test_is_a_proper_layer(reduction, reduces_older, tmp_path):
    check_layer(lambda **kwargs: cell(2, reduction, reduces_older, **kwargs), inputs(2, reduces_older), tmp_path)


@pytest.mark.parametrize(
    "arguments", [{}, {"kernel_size": 3, "stride": 2, "activate": False, "affine": True}], ids=["aligns", "stem"]
)
def test_convolution_block_is_a_proper_layer(arguments, tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 3))
    check_layer(lambda **kwargs: ConvolutionBlock(5, **arguments, **kwargs), (x,), tmp_path)


def test_each_edge_has_its_own_weight():
    """The output of a node moves with the weights of its own edges and of those before it, with no others."""
    older, newer, weights = inputs(3, False)
    layer = with_random_weights(cell(3, False, False, dtype="float64"), (older, newer, weights))
    plain = layer(*map(tf.constant, (older, newer, weights))).numpy()
    reached = []
    for edge in range(9):
        changed = weights.copy()
        changed[edge] += 0.5
        difference = np.abs(layer(*map(tf.constant, (older, newer, changed))).numpy() - plain)
        reached.append([bool(part.max() > 1e-9) for part in np.split(difference, 3, axis=-1)])
    assert reached == [[True] * 3] * 2 + [[False, True, True]] * 3 + [[False, False, True]] * 4


def test_edges_by_source_in_the_written_order():
    """Rows: 2 from 0, 1; 3 from 0, 1, 2; 4 from 0, 1, 2, 3; 5 from 0, 1, 2, 3, 4."""
    assert edges_by_source(1) == [[0], [1]]
    assert edges_by_source(2) == [[0, 2], [1, 3], [4]]
    assert edges_by_source(3) == [[0, 2, 5], [1, 3, 6], [4, 7], [8]]
    assert edges_by_source(4) == [[0, 2, 5, 9], [1, 3, 6, 10], [4, 7, 11], [8, 12], [13]]


@settings(deadline=None, derandomize=True)
@given(nodes=st.integers(1, 12))
def test_every_edge_leaves_one_state(nodes):
    edges = edges_by_source(nodes)
    assert len(edges) == nodes + 1
    assert sorted(sum(edges, [])) == list(range(nodes * (nodes + 3) // 2))
