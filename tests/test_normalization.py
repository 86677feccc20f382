"""Batch normalisation against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_testing import check_layer

from fairdarts_tf.normalization import BatchNormalization

AXES = (0, 1, 2)
TOLERANCES = {"float32": 1e-5, "float64": 1e-12}


def batches(rows: int, shape: tuple[int, ...] = (3, 4, 5, 2), seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(loc=row, scale=1.0 + row, size=shape) for row in range(rows)]


def tensors(arrays: list[np.ndarray], dtype: str) -> list[tf.Tensor]:
    return [tf.constant(array, dtype) for array in arrays]


def normalized(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return (x - mean) / np.sqrt(variance + 1e-5)


def built(rows: int, dtype: str, channels: int = 2, **kwargs: object) -> BatchNormalization:
    layer = BatchNormalization(rows=rows, dtype=dtype, **kwargs)
    layer.build([(None, None, None, channels)] * rows)
    return layer


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_is_a_proper_layer(rows, affine, tmp_path):
    check_layer(
        lambda **kwargs: BatchNormalization(rows=rows, affine=affine, momentum=0.8, epsilon=1e-4, **kwargs),
        (batches(rows),),
        tmp_path,
    )


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("rows", [1, 3])
def test_training(rows, dtype):
    layer = built(rows, dtype)
    inputs = batches(rows)
    outputs = layer(tensors(inputs, dtype), training=True)
    for x, output in zip(inputs, outputs, strict=True):
        expected = normalized(x, x.mean(AXES), x.var(AXES))
        np.testing.assert_allclose(output, expected, atol=10 * TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_running_statistics(dtype):
    layer = built(2, dtype)
    mean, variance = np.zeros((2, 2)), np.ones((2, 2))
    for seed in range(3):
        inputs = batches(2, seed=seed)
        layer(tensors(inputs, dtype), training=True)
        mean = 0.9 * mean + 0.1 * np.stack([x.mean(AXES) for x in inputs])
        variance = 0.9 * variance + 0.1 * np.stack([x.var(AXES, ddof=1) for x in inputs])
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_inference_uses_the_running_statistics_and_keeps_them(dtype):
    layer = built(2, dtype)
    mean, variance = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[4.0, 0.25], [1.0, 9.0]])
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
    inputs = batches(2)
    for training in (False, None):
        outputs = layer(tensors(inputs, dtype), training=training)
        for row, (x, output) in enumerate(zip(inputs, outputs, strict=True)):
            np.testing.assert_allclose(output, normalized(x, mean[row], variance[row]), atol=10 * TOLERANCES[dtype])
    np.testing.assert_array_equal(layer.moving_mean, mean)
    np.testing.assert_array_equal(layer.moving_variance, variance)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_affine_and_scales(dtype, training):
    layer = built(2, dtype, affine=True)
    gamma, beta = np.array([[2.0, 3.0], [0.5, -1.0]]), np.array([[1.0, 0.0], [-4.0, 2.0]])
    scales = np.array([[0.25, 0.5], [0.75, 2.0]])
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    inputs = batches(2)
    outputs = layer(tensors(inputs, dtype), scales=tensors(list(scales), dtype), training=training)
    for row, (x, output) in enumerate(zip(inputs, outputs, strict=True)):
        mean, variance = (x.mean(AXES), x.var(AXES)) if training else (0.0, 1.0)
        expected = scales[row] * (gamma[row] * normalized(x, mean, variance) + beta[row])
        np.testing.assert_allclose(output, expected, rtol=TOLERANCES[dtype], atol=100 * TOLERANCES[dtype])


@pytest.mark.parametrize("training", [False, True])
def test_gradients_in_float32_equal_those_in_float64(training):
    inputs, scales = batches(2), [np.array([0.3, 0.7]), np.array([0.2, 0.9])]
    upstream = batches(2, seed=9)
    gradients = {}
    for dtype in TOLERANCES:
        layer = built(2, dtype, affine=True)
        x, factors = tensors(inputs, dtype), tensors(scales, dtype)
        with tf.GradientTape() as tape:
            tape.watch([x, factors])
            outputs = layer(x, scales=factors, training=training)
            loss = tf.add_n([tf.reduce_sum(y * tf.constant(u, dtype)) for y, u in zip(outputs, upstream, strict=True)])
        gradients[dtype] = tape.gradient(loss, [*x, *factors, layer.gamma.value, layer.beta.value])
    for found, expected in zip(gradients["float32"], gradients["float64"], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_statistics_are_float32_whatever_the_inputs(policy):
    layer = built(1, policy, affine=True)
    x = tf.cast(batches(1)[0], layer.compute_dtype)
    (output,) = layer([x], training=True)
    assert output.dtype == layer.compute_dtype
    assert {variable.dtype for variable in layer.variables} == {"float32"}
    # bfloat16 has no 0.1 of this mean: only float32 keeps it.
    exact = tf.cast(x, tf.float64).numpy()
    np.testing.assert_allclose(layer.moving_mean[0], 0.1 * exact.mean(AXES), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance[0], 0.9 + 0.1 * exact.var(AXES, ddof=1), rtol=1e-4)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(1, 7)),
    rows=st.integers(1, 3),
    offset=st.floats(-3.0, 3.0),
    momentum=st.floats(0.0, 1.0),
)
def test_fused_float32_equals_float64(shape, rows, offset, momentum):
    inputs = [x + offset for x in batches(rows, shape)]
    layers = {dtype: built(rows, dtype, shape[-1], momentum=momentum) for dtype in TOLERANCES}
    outputs = {dtype: layer(tensors(inputs, dtype), training=True) for dtype, layer in layers.items()}
    if np.prod(shape[:3]) > 3:
        # So few values may lie so close together that rounding is all that is left of their differences.
        np.testing.assert_allclose(outputs["float32"], outputs["float64"], atol=5e-4, rtol=1e-4)
    for found, expected in zip(layers["float32"].variables, layers["float64"].variables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
