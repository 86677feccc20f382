"""The largest eigenvalue of the Hessian in the alphas, against the whole matrix by exact differentiation in float64."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.curvature import AlphaHessian
from fairdarts_tf.genotypes import ALL_OPERATIONS
from fairdarts_tf.lanczos import largest_eigenvalue
from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam
from fairdarts_tf.spaces.darts import DartsSpace

SHAPE, CLASSES, IMAGES = (8, 8, 2), 3, 12


@given(st.integers(1, 60), st.integers(0, 10_000))
def test_lanczos_against_all_eigenvalues(size: int, seed: int):
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(size, size)))[0]
    values = random.normal(size=size)
    values[0] = 1.5 + max(values)
    products = []

    def product(vector: np.ndarray) -> np.ndarray:
        products.append(vector)
        return (basis * values) @ (basis.T @ vector)

    found = largest_eigenvalue(product, size, seed=seed)
    assert found == pytest.approx(values[0], rel=5e-3)
    assert found <= values[0] + 1e-9
    assert len(products) <= 20


def test_lanczos_of_extreme_matrices():
    assert largest_eigenvalue(lambda vector: 0 * vector, 5) == 0
    assert largest_eigenvalue(lambda vector: 3 * vector, 5) == pytest.approx(3)
    diagonal = np.array([-9.0, -1.0, 0.5])
    assert largest_eigenvalue(lambda vector: diagonal * vector, 3) == pytest.approx(0.5)


@pytest.fixture
def eager() -> Iterator[None]:
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def batch(dtype: str) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(0)
    images = random.normal(size=(IMAGES, *SHAPE))
    return tf.constant(images, dtype), tf.constant(random.integers(0, CLASSES, IMAGES), tf.int32)


def searches(operations: tuple[str, ...], dtypes: tuple[str, ...]) -> list[Search]:
    """Returns searches in several dtypes with the same weights and alphas."""
    keras.utils.set_random_seed(0)
    found: list[Search] = []
    for dtype in dtypes:
        space = DartsSpace(operations=operations, nodes=1, init_channels=2, layers=3)
        search = Search(space.supernet(SHAPE, CLASSES, dtype=dtype))
        search.compile(MomentumSGD(0.01), ReferenceAdam(), zero_one_weight=3.0)
        random = np.random.default_rng(1)
        for table in search.supernet.alphas.values():
            table.assign(random.normal(size=table.shape))
        if found:
            for variable, other in zip(search.supernet.variables, found[0].supernet.variables, strict=True):
                variable.assign(other)
        found.append(search)
    return found


def whole_hessian(search: Search) -> np.ndarray:
    """Returns the matrix by differences of exact gradients so close that no kink lies between them."""
    tables = list(search.supernet.alphas.values())
    before = np.concatenate([np.ravel(table) for table in tables])
    step = 1e-7

    def gradient(values: np.ndarray) -> np.ndarray:
        first = tables[0].numpy().size
        for table, part in zip(tables, np.split(values, [first]), strict=True):
            table.assign(part.reshape(table.shape))
        return np.concatenate([np.ravel(part) for part in search.alpha_gradients(batch("float64"))])

    columns = [
        (gradient(before + step * unit) - gradient(before - step * unit)) / (2 * step) for unit in np.eye(len(before))
    ]
    gradient(before)
    return np.array(columns)


@pytest.mark.parametrize(
    "operations",
    [("max_pool_3x3", "sep_conv_3x3"), pytest.param(ALL_OPERATIONS[1:8], marks=pytest.mark.slow)],
)
def test_products_and_the_eigenvalue_are_those_of_the_whole_matrix(eager: None, operations: tuple[str, ...]):
    (search,) = searches(operations, ("float64",))
    matrix = whole_hessian(search)
    assert np.abs(matrix - matrix.T).max() < 1e-5 * np.abs(matrix).max()
    hessian = AlphaHessian(search)
    assert hessian.size == len(matrix) == 4 * len(operations)
    vector = np.random.default_rng(2).normal(size=len(matrix))
    np.testing.assert_allclose(
        hessian.product(vector, batch("float64")), matrix @ vector, atol=1e-6 * np.abs(matrix).max() * len(matrix)
    )
    expected = np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]
    assert expected > 1e-3
    assert hessian.largest_eigenvalue(batch("float64")) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(
    "operations",
    [("avg_pool_3x3", "skip_connect", "dil_conv_3x3"), pytest.param(ALL_OPERATIONS, marks=pytest.mark.slow)],
)
def test_in_float32_within_a_graph_and_without_a_trace(operations: tuple[str, ...]):
    """As a search in float32 measures it; weights, statistics, optimizers, metrics stay."""
    exact, search = searches(operations, ("float64", "float32"))
    variables = [*search.supernet.variables, *search.optimizer.variables, *search.metrics_variables]
    before = [variable.numpy() for variable in variables]
    vector = np.random.default_rng(2).normal(size=AlphaHessian(search).size)
    found = AlphaHessian(search).product(vector, batch("float32"))
    tf.config.run_functions_eagerly(True)
    expected = AlphaHessian(exact).product(vector, batch("float64"))
    tf.config.run_functions_eagerly(False)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
