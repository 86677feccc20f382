"""The fast forms of mixed operations and cells against the plain one, which float64 takes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf
from gradient_testing import assert_as_exact, layer_gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf.cells import SupernetCell
from fairdarts_tf.genotypes import ALL_OPERATIONS
from fairdarts_tf.kernels.library import library, portable_graph
from fairdarts_tf.mixed_op import MixedOp
from fairdarts_tf.network_cells import NetworkCell
from fairdarts_tf.random_genotypes import random_genotype

few = settings(max_examples=10, deadline=None, derandomize=True)
sizes = st.sampled_from([(8, 8), (16, 16), (14, 14), (7, 7), (9, 6), (28, 28)])
operation_sets = st.lists(st.sampled_from(ALL_OPERATIONS), min_size=1, max_size=4, unique=True)


@pytest.fixture(scope="module", params=["compiled", "portable"])
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both fast forms: kernels compiled here, and TensorFlow's own operations."""
    if request.param == "compiled" and library() is None:
        pytest.skip("the kernels cannot be compiled here")
    with portable_graph(request.param == "portable"):
        yield request.param


def agree(create: Callable[..., keras.layers.Layer], inputs: list[np.ndarray], states: int) -> None:
    """Compares outputs, gradients of inputs and weights, and running statistics; the first inputs are the states."""
    fast, plain = create(dtype="float32"), create(dtype="float64")
    for layer in (fast, plain):
        layer.build(*[x.shape for x in inputs[:states]])
    for one, other in zip(fast.weights, plain.weights, strict=True):
        other.assign(one)
    assert_as_exact(layer_gradients(fast, inputs), layer_gradients(plain, inputs))


@few
@given(sizes, st.sampled_from([2, 4, 16]), operation_sets, st.integers(1, 3), st.sampled_from([1, 2]))
def test_mixed_operation(
    path: str, size: tuple[int, int], channels: int, operations: list[str], edges: int, stride: int
):
    random = np.random.default_rng(channels)
    inputs = [random.normal(size=(2, *size, channels)), random.uniform(size=(edges, len(operations)))]
    agree(functools.partial(MixedOp, operations, edges=edges, stride=stride), inputs, states=1)


@few
@given(sizes, st.sampled_from([2, 6]), operation_sets, st.integers(1, 3), st.booleans())
def test_supernet_cell(
    path: str, size: tuple[int, int], filters: int, operations: list[str], nodes: int, reduction: bool
):
    random = np.random.default_rng(filters)
    edges = nodes * (nodes + 3) // 2
    weights = random.uniform(size=(edges, len(operations)))
    inputs = [*random.normal(size=(2, 2, *size, 5)), weights]
    create = functools.partial(SupernetCell, operations, filters=filters, nodes=nodes, reduction=reduction)
    agree(create, inputs, states=2)


@few
@given(sizes, st.sampled_from([2, 6]), st.integers(0, 99), st.booleans())
def test_network_cell(path: str, size: tuple[int, int], filters: int, seed: int, reduction: bool):
    items = random_genotype(seed, [name for name in ALL_OPERATIONS if name != "none"]).normal
    inputs = list(np.random.default_rng(seed).normal(size=(2, 2, *size, 5)))
    agree(functools.partial(NetworkCell, items, filters=filters, reduction=reduction), inputs, states=2)


@pytest.mark.parametrize("reduction", [False, True])
def test_a_cell_sums_what_its_mixed_operations_return(path: str, reduction: bool):
    """The terms of all edges of a node, whatever their form, come to the sum of its mixed operations."""
    random = np.random.default_rng(0)
    cell = SupernetCell(ALL_OPERATIONS, filters=4, nodes=3, reduction=reduction)
    older, newer = random.normal(size=(2, 2, 12, 12, 8)).astype("float32")
    weights = random.uniform(size=(9, len(ALL_OPERATIONS))).astype("float32")
    cell.build(older.shape, newer.shape)
    states = [cell.align_older(older, training=True), cell.align_newer(newer, training=True)]
    for node in range(3):
        of_edges = [
            op(states[i], weights[cell.edges_from[i]], training=True) for i, op in enumerate(cell.mixed_ops[: node + 2])
        ]
        states.append(tf.add_n([edges[node - max(i - 1, 0)] for i, edges in enumerate(of_edges)]))
    found = cell(older, newer, weights, training=True)
    np.testing.assert_allclose(found, tf.concat(states[2:], axis=-1), rtol=1e-4, atol=1e-4)
