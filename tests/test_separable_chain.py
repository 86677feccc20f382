"""The chains that are computed again for their gradient, against TensorFlow's own gradients of the plain chains."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf import convolutions
from fairdarts_tf.cells import SupernetCell
from fairdarts_tf.genotypes import ALL_OPERATIONS
from fairdarts_tf.mixed_op import MixedOp
from fairdarts_tf.separable_chain import Stage, separable_chain

EPSILON = 1e-5
few = settings(max_examples=25, deadline=None)


def gradients(compute: Callable[..., list], tensors: list[np.ndarray], dtype: str, seed: int) -> list[np.ndarray]:
    """Returns outputs and the gradients of all tensors, for random upstream gradients."""
    variables = [tf.constant(tensor, dtype) for tensor in tensors]

    @tf.function(autograph=False)
    def run(*variables: tf.Tensor) -> tuple[list, list]:
        with tf.GradientTape() as tape:
            tape.watch(variables)
            outputs = compute(*variables)
            random = np.random.default_rng(seed)
            loss = tf.add_n([tf.reduce_sum(y * tf.constant(random.normal(size=y.shape), y.dtype)) for y in outputs])
        return outputs, tape.gradient(loss, variables)

    outputs, found = run(*variables)
    return [tensor.numpy() for tensor in [*outputs, *found]]


@few
@given(
    st.integers(2, 21),
    st.integers(2, 21),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([3, 5, 7]),
    st.sampled_from([1, 2]),
    st.integers(1, 2),
)
def test_chain(height: int, width: int, channels: int, edges: int, side: int, stride: int, count: int):
    """Outputs, statistics and all gradients of one and two stages, against the plain chain in float64."""
    random = np.random.default_rng(height)
    shapes = [(side, side, channels, 1), (1, 1, channels, channels), (channels,), (channels,)]
    weights = [random.normal(size=(edges, *shape)) for _ in range(count) for shape in shapes]
    tensors = [random.normal(size=(3, height, width, channels)), *weights]

    def stages(weights: tuple[tf.Tensor, ...]) -> list[Stage]:
        return [Stage(*weights[4 * i : 4 * i + 4]) for i in range(count)]

    def fast(images: tf.Tensor, *weights: tf.Tensor) -> list:
        outputs, statistics = separable_chain(images, stages(weights), stride, EPSILON)
        return [*outputs, *[tf.stop_gradient(t) for batch in statistics for t in [*batch.means, *batch.variances]]]

    def plain(images: tf.Tensor, *weights: tf.Tensor) -> list:
        outputs, statistics = [images] * edges, []
        for index, stage in enumerate(stages(weights)):
            outputs = [tf.nn.relu(x) for x in outputs] if index else outputs
            step = 1 if index else stride
            outputs = [
                convolutions.pointwise(convolutions.depthwise(x, stage.depthwise[e], step), stage.pointwise[e])
                for e, x in enumerate(outputs)
            ]
            moments = [tf.nn.moments(x, [0, 1, 2]) for x in outputs]
            pixels = np.prod(outputs[0].shape[:3])
            statistics += [mean for mean, _ in moments] + [v * pixels / max(pixels - 1, 1) for _, v in moments]
            outputs = [
                tf.nn.batch_normalization(x, *moments[e], stage.beta[e], stage.gamma[e], EPSILON)
                for e, x in enumerate(outputs)
            ]
        return [*outputs, *map(tf.stop_gradient, statistics)]

    assert_close_but_for_flips(
        gradients(fast, tensors, "float32", seed=1), gradients(plain, tensors, "float64", seed=1)
    )


def layer_gradients(layer: keras.layers.Layer, inputs: list[np.ndarray], training: bool = True) -> list[np.ndarray]:
    dtype = layer.variable_dtype
    variables = [tf.constant(x, dtype) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        outputs = tf.nest.flatten(layer(*variables, training=training))
        random = np.random.default_rng(5)
        loss = tf.add_n([tf.reduce_sum(y * tf.constant(random.normal(size=y.shape), dtype)) for y in outputs])
    weights = [weight.value for weight in layer.trainable_weights]
    found = tape.gradient(loss, [*variables, *weights], unconnected_gradients="zero")
    running = layer.non_trainable_weights
    return [np.asarray(tensor) for tensor in [*outputs, *found, *running]]


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([(8, 8), (16, 16), (14, 14), (7, 7), (9, 6), (28, 28)]),
    st.integers(1, 3),
    st.lists(st.sampled_from(ALL_OPERATIONS), min_size=1, max_size=4, unique=True),
    st.integers(1, 3),
    st.sampled_from([1, 2]),
)
def test_mixed_operation(size: tuple[int, int], channels: int, operations: list[str], edges: int, stride: int):
    """float64 takes the plain chains: outputs, gradients and running statistics agree to float32's precision."""
    random = np.random.default_rng(channels)
    inputs = [random.normal(size=(2, *size, 2 * channels)), random.uniform(size=(edges, len(operations)))]
    fast = MixedOp(operations, edges=edges, stride=stride)
    plain = MixedOp(operations, edges=edges, stride=stride, dtype="float64")
    for layer in (fast, plain):
        layer.build(inputs[0].shape)
    for one, other in zip(fast.weights, plain.weights, strict=True):
        other.assign(one)
    assert_close_but_for_flips(layer_gradients(fast, inputs), layer_gradients(plain, inputs))


@pytest.mark.parametrize("reduction", [False, True])
def test_a_cell_sums_what_its_mixed_operations_return(reduction: bool):
    """The terms of all edges of a node, phases and images, come to the sum of its mixed operations."""
    random = np.random.default_rng(0)
    cell = SupernetCell(ALL_OPERATIONS, filters=4, nodes=3, reduction=reduction, dtype="float64")
    older, newer = (random.normal(size=(2, 12, 12, 8)) for _ in range(2))
    weights = random.uniform(size=(9, len(ALL_OPERATIONS)))
    cell.build(older.shape, newer.shape)
    states = [cell.align_older(older, training=True), cell.align_newer(newer, training=True)]
    for node in range(3):
        of_edges = [
            op(states[i], weights[cell.edges_from[i]], training=True) for i, op in enumerate(cell.mixed_ops[: node + 2])
        ]
        states.append(tf.add_n([edges[node - max(i - 1, 0)] for i, edges in enumerate(of_edges)]))
    found = cell(older, newer, weights, training=True)
    np.testing.assert_allclose(found, tf.concat(states[2:], axis=-1), rtol=1e-12, atol=1e-12)


def assert_close_but_for_flips(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Compares norms: a ReLU's input that is rounding error, or a tie of a maximum, may go the other way.

    BatchNorm does not see the scale of the kernels before it, so that their gradients are small differences of large
    terms: with one channel nothing but epsilon is left. Rounding is therefore measured by the largest gradient too.
    """
    largest = max(np.linalg.norm(other) for other in expected)
    for one, other in zip(found, expected, strict=True):
        assert np.linalg.norm(one - other) <= 1e-4 * max(1, np.linalg.norm(other)) + 1e-6 * largest
