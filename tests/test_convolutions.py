"""Convolutions and poolings against loops over pixels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf import convolutions

TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
RANDOM = np.random.default_rng(0)


def by_loop(
    images: np.ndarray, kernel: np.ndarray, strides: tuple[int, int], dilation: int = 1, depthwise: bool = False
) -> np.ndarray:
    """Convolves with zeros beyond the edge, the kernel's centre on every stride-th pixel from the first."""
    batch, height, width, channels = images.shape
    rows, columns = kernel.shape[:2]
    outputs = np.zeros(
        (batch, -(-height // strides[0]), -(-width // strides[1]), channels if depthwise else kernel.shape[3])
    )
    for i, j in np.ndindex(outputs.shape[1:3]):
        for u, v in np.ndindex(rows, columns):
            y = i * strides[0] + (u - rows // 2) * dilation
            x = j * strides[1] + (v - columns // 2) * dilation
            if 0 <= y < height and 0 <= x < width:
                pixel, tap = images[:, y, x], kernel[u, v]
                outputs[:, i, j] += pixel * tap[:, 0] if depthwise else pixel @ tap
    return outputs


def pooled_by_loop(images: np.ndarray, stride: int, reduce: object) -> np.ndarray:
    batch, height, width, channels = images.shape
    outputs = np.zeros((batch, -(-height // stride), -(-width // stride), channels))
    for i, j in np.ndindex(outputs.shape[1:3]):
        y, x = i * stride, j * stride
        window = images[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        outputs[:, i, j] = reduce(window, axis=(1, 2))
    return outputs


def by_differences(function: object, value: np.ndarray) -> np.ndarray:
    """Central differences of a scalar function."""
    result = np.zeros_like(value)
    for place in np.ndindex(value.shape):
        step = np.zeros_like(value)
        step[place] = 1e-3
        result[place] = (float(function(value + step)) - float(function(value - step))) / 2e-3
    return result


def check_gradients(function: object, images: np.ndarray, kernel: np.ndarray) -> None:
    tensors = tf.constant(images), tf.constant(kernel)
    upstream = RANDOM.normal(size=function(*tensors).shape)
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = tf.reduce_sum(function(*tensors) * upstream)
    of_images, of_kernel = tape.gradient(loss, tensors)

    def of(x: np.ndarray, k: np.ndarray) -> tf.Tensor:
        return tf.reduce_sum(function(tf.constant(x), tf.constant(k)) * upstream)

    np.testing.assert_allclose(of_images, by_differences(lambda x: of(x, kernel), images), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(of_kernel, by_differences(lambda k: of(images, k), kernel), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (6, 9), (2, 3)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("side", "dilation"), [(3, 1), (5, 1), (7, 1), (3, 2), (5, 2)])
def test_depthwise(side, dilation, stride, size, dtype):
    images, kernel = RANDOM.normal(size=(2, *size, 3)), RANDOM.normal(size=(side, side, 3, 1))
    found = convolutions.depthwise(tf.constant(images, dtype), tf.constant(kernel, dtype), stride, dilation)
    assert found.dtype == dtype
    expected = by_loop(images, kernel, (stride, stride), dilation, depthwise=True)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCES[dtype], atol=10 * TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2), (2, 1)])
@pytest.mark.parametrize("sides", [(1, 1), (3, 3), (1, 7), (7, 1)])
def test_convolution(sides, strides, size, dtype):
    images, kernel = RANDOM.normal(size=(2, *size, 3)), RANDOM.normal(size=(*sides, 3, 4))
    found = convolutions.convolution(tf.constant(images, dtype), tf.constant(kernel, dtype), strides)
    assert found.dtype == dtype
    expected = by_loop(images, kernel, strides)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCES[dtype], atol=10 * TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_pointwise(dtype):
    images, kernel = RANDOM.normal(size=(2, 5, 4, 3)), RANDOM.normal(size=(1, 1, 3, 4))
    found = convolutions.pointwise(tf.constant(images, dtype), tf.constant(kernel, dtype))
    np.testing.assert_allclose(found, images @ kernel[0, 0], rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


@pytest.mark.parametrize("size", [(6, 6), (5, 4)])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_gradients_of_depthwise(stride, dilation, size):
    images, kernel = RANDOM.normal(size=(1, *size, 2)), RANDOM.normal(size=(3, 3, 2, 1))
    check_gradients(lambda x, k: convolutions.depthwise(x, k, stride, dilation), images, kernel)


@pytest.mark.parametrize("strides", [(1, 1), (1, 2), (2, 2)])
def test_gradients_of_convolution(strides):
    images, kernel = RANDOM.normal(size=(1, 5, 6, 2)), RANDOM.normal(size=(1, 3, 2, 2))
    check_gradients(lambda x, k: convolutions.convolution(x, k, strides), images, kernel)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_gradients_of_depthwise_in_float32(stride, dilation):
    """The fast kernels of a CPU serve float32 alone, so their gradients are measured by those of float64."""
    images, kernel = RANDOM.normal(size=(2, 8, 8, 3)), RANDOM.normal(size=(5, 5, 3, 1))
    gradients = {}
    for dtype in TOLERANCES:
        tensors = tf.constant(images, dtype), tf.constant(kernel, dtype)
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            loss = tf.reduce_sum(convolutions.depthwise(*tensors, stride, dilation) ** 2)
        gradients[dtype] = tape.gradient(loss, tensors)
    for found, expected in zip(gradients["float32"], gradients["float64"], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_max_pool_of_negative_images(stride, size, dtype):
    images = -1.0 - RANDOM.random((2, *size, 3))
    found = convolutions.max_pool_3x3(tf.constant(images, dtype), stride)
    np.testing.assert_allclose(found, pooled_by_loop(images, stride, np.max), rtol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
def test_average_pool_does_not_count_the_padding(stride, size, dtype):
    images = 1.0 + RANDOM.random((2, *size, 3))
    found = convolutions.average_pool_3x3(tf.constant(images, dtype), stride)
    np.testing.assert_allclose(found, pooled_by_loop(images, stride, np.mean), rtol=TOLERANCES[dtype])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    side=st.sampled_from([3, 5, 7]),
    channels=st.integers(1, 6),
    stride=st.sampled_from([1, 2]),
    dilation=st.sampled_from([1, 2]),
)
def test_depthwise_of_any_shape(size, side, channels, stride, dilation):
    random = np.random.default_rng(0)
    images, kernel = random.normal(size=(1, *size, channels)), random.normal(size=(side, side, channels, 1))
    found = convolutions.depthwise(tf.constant(images), tf.constant(kernel), stride, dilation)
    np.testing.assert_allclose(found, by_loop(images, kernel, (stride, stride), dilation, True), atol=1e-11)
