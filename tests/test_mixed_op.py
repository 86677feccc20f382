"""The mixed operation against the sum of its candidates, each a layer of its own."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_testing import check_layer, copy_weights, with_random_weights

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import ALL_OPERATIONS, DARTS_OPERATIONS, FAIRDARTS_OPERATIONS
from fairdarts_tf.mixed_op import MixedOp
from fairdarts_tf.operations import operation
from fairdarts_tf.relaxations import relaxation

RANDOM = np.random.default_rng(0)


def images(size: tuple[int, int] = (6, 6), channels: int = 4) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, *size, channels))


def mixed(operations: tuple[str, ...], edges: int, stride: int, x: np.ndarray) -> MixedOp:
    weights = np.ones((edges, len(operations)))
    return with_random_weights(MixedOp(operations, edges, stride, dtype="float64"), (x, weights))


def each_alone(layer: MixedOp, x: np.ndarray, training: bool) -> list[list[np.ndarray]]:
    """Returns the output of every operation on every edge, by layers of one edge without any mixing weight."""
    outputs = []
    for edge in range(layer.edges):
        row = []
        for name, candidate in zip(layer.operations, layer.candidates, strict=True):
            alone = operation(name, stride=layer.stride, dtype="float64")
            alone.build(x.shape)
            copy_weights(alone, candidate, edge)
            row.append(alone(tf.constant(x), training=training)[0].numpy())
        outputs.append(row)
    return outputs


def check_sum(layer: MixedOp, x: np.ndarray, weights: np.ndarray) -> None:
    for training in (False, True):
        expected = each_alone(layer, x, training)
        outputs = layer(tf.constant(x), tf.constant(weights), training=training)
        assert len(outputs) == layer.edges
        for output, terms, row in zip(outputs, expected, weights, strict=True):
            total = sum(weight * term for weight, term in zip(row, terms, strict=True))
            np.testing.assert_allclose(output, total, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("operations", [FAIRDARTS_OPERATIONS, DARTS_OPERATIONS, ALL_OPERATIONS])
def test_is_the_weighted_sum(operations, stride):
    x = images()
    check_sum(mixed(operations, 3, stride, x), x, RANDOM.random((3, len(operations))))


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    operations=st.lists(st.sampled_from(ALL_OPERATIONS), min_size=1, max_size=4, unique=True),
    edges=st.integers(1, 3),
    stride=st.sampled_from([1, 2]),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    channels=st.sampled_from([2, 5]),
)
def test_is_the_weighted_sum_of_any_operations(operations, edges, stride, size, channels):
    x = images(size, channels)
    weights = np.random.default_rng(2).normal(size=(edges, len(operations)))
    check_sum(mixed(tuple(operations), edges, stride, x), x, weights)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradient_of_the_weights(stride, training):
    x, operations = images(), DARTS_OPERATIONS
    layer = mixed(operations, 3, stride, x)
    terms = each_alone(layer, x, training)
    weights = tf.constant(RANDOM.random((3, len(operations))))
    upstream = [RANDOM.normal(size=row[0].shape) for row in terms]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        outputs = layer(tf.constant(x), weights, training=training)
        loss = tf.add_n([tf.reduce_sum(output * u) for output, u in zip(outputs, upstream, strict=True)])
    expected = [[(term * u).sum() for term in row] for row, u in zip(terms, upstream, strict=True)]
    gradient = tape.gradient(loss, weights)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(gradient[:, 0], 0.0)


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_gradient_reaches_the_alphas(name):
    """Softmax lets operations compete: the gradients of an edge sum to 0. Sigmoid leaves each its own."""
    x, operations = images(), FAIRDARTS_OPERATIONS
    layer = mixed(operations, 2, 1, x)
    alphas = tf.constant(RANDOM.normal(size=(2, len(operations))))
    terms = np.array(each_alone(layer, x, training=True))
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        outputs = layer(tf.constant(x), relaxation(name).of_tensor(alphas), training=True)
        loss = tf.add_n([tf.reduce_sum(output**2) for output in outputs]) / 2
    values = relaxation(name).of_array(alphas.numpy())
    totals = np.einsum("eo,eobhwc->ebhwc", values, terms)
    by_weight = np.einsum("ebhwc,eobhwc->eo", totals, terms)
    if name == "sigmoid":
        expected = by_weight * values * (1 - values)
    else:
        expected = values * (by_weight - (by_weight * values).sum(-1, keepdims=True))
    gradient = tape.gradient(loss, alphas).numpy()
    np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-8)
    assert np.allclose(gradient.sum(-1), 0, atol=1e-9) == (name == "softmax")


@pytest.mark.parametrize("stride", [1, 2])
def test_is_a_proper_layer(stride, tmp_path):
    operations = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
    check_layer(
        lambda **kwargs: MixedOp(operations, edges=2, stride=stride, **kwargs),
        (images(), RANDOM.uniform(0.2, 1.0, (2, len(operations)))),
        tmp_path,
    )


def test_is_the_identity_alone():
    x = images()
    layer = MixedOp(["skip_connect"], dtype="float64")
    (output,) = layer(tf.constant(x), tf.constant([[0.5]], tf.float64))
    np.testing.assert_array_equal(output, 0.5 * x)


def test_none_alone_is_nothing():
    (output,) = MixedOp(["none"], stride=2)(tf.ones([1, 5, 4, 2]), tf.ones([1, 1]))
    np.testing.assert_array_equal(output, np.zeros((1, 3, 2, 2)))


def test_unknown_operation():
    with pytest.raises(ConfigurationError, match="Did you mean 'skip_connect'"):
        MixedOp(["skip_conect"])
