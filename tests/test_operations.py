"""Every operation against the same operation built of Keras' own layers, in float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_testing import check_layer, copy_weights, with_random_weights

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import ALL_OPERATIONS
from fairdarts_tf.normalization import BatchNormalization
from fairdarts_tf.operations import OPERATIONS, FactorizedReduce, Operation, Pooling, operation
from fairdarts_tf.source_state import SourceState

CASES = [((8, 8), 6, 1), ((7, 5), 6, 3), ((8, 5), 1, 3), ((5, 5), 1, 1)]
every_operation = pytest.mark.parametrize("name", OPERATIONS)
every_stride = pytest.mark.parametrize("stride", [1, 2])


def images(size: tuple[int, int] = (6, 6), channels: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, *size, channels))


def randomized(name: str, x: np.ndarray, **kwargs: object) -> Operation:
    return with_random_weights(operation(name, dtype="float64", **kwargs), (x,))


class Oracle:
    """Computes one edge of an operation from its weights, by Keras' layers with explicit padding."""

    def __init__(self, layer: Operation, edge: int, training: bool) -> None:
        self.layer, self.edge, self.training = layer, edge, training

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray:
        stride, relu = self.layer.stride, keras.layers.ReLU(dtype="float64")
        family, _, size = name.rpartition("_")
        match family:
            case "":
                return np.zeros_like(x)[:, ::stride, ::stride]
            case "max_pool" | "avg_pool":
                pooled = _pool(x, stride, np.nanmax if family == "max_pool" else np.nanmean)
                return pooled if self.layer.affine else self.normalize("normalization", pooled)
            case "skip":
                return x if stride == 1 else self.reduce(relu(x))
            case "sep_conv":
                x = self.convolve("depthwise_1", relu(x), stride)
                x = self.normalize("normalization_1", self.convolve("pointwise_1", x))
                x = self.convolve("depthwise_2", relu(x))
                return self.normalize("normalization_2", self.convolve("pointwise_2", x))
            case "dil_conv":
                # Every second pixel of the result at stride 1: no library has to join stride and dilation.
                x = self.convolve("depthwise", relu(x), dilation=2)[:, ::stride, ::stride]
                return self.normalize("normalization", self.convolve("pointwise", x))
            case "conv_7x1":
                x = self.convolve("kernel_1x7", relu(x), (1, stride))
                return self.normalize("normalization", self.convolve("kernel_7x1", x, (stride, 1)))
        raise AssertionError(f"no oracle for {name}")

    def row(self, owner: object, name: str) -> np.ndarray:
        return getattr(owner, name).numpy()[self.edge]

    def convolve(self, name: str, x: np.ndarray, stride: int | tuple[int, int] = 1, dilation: int = 1) -> np.ndarray:
        kernel = self.row(self.layer, name)
        sides = kernel.shape[:2]
        x = keras.layers.ZeroPadding2D([dilation * (side // 2) for side in sides], dtype="float64")(x)
        options = {"strides": stride, "dilation_rate": dilation, "use_bias": False, "dtype": "float64"}
        if name.startswith("depthwise"):
            convolution = keras.layers.DepthwiseConv2D(sides, **options)
        else:
            convolution = keras.layers.Conv2D(kernel.shape[3], sides, **options)
        convolution.build(x.shape)
        convolution.set_weights([kernel])
        return convolution(x).numpy()

    def normalize(self, name: str, x: np.ndarray) -> np.ndarray:
        layer = getattr(self.layer, name)
        mean, variance = self.row(layer, "moving_mean"), self.row(layer, "moving_variance")
        if self.training:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        x = (x - mean) / np.sqrt(variance + 1e-5)
        return x * self.row(layer, "gamma") + self.row(layer, "beta") if layer.affine else x

    def reduce(self, x: np.ndarray) -> np.ndarray:
        shifted = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), dtype="float64")(x)[:, 1:, 1:]
        halves = [self.convolve("kernel_1", x, 2)] if self.layer.kernel_1.shape[-1] else []
        return self.normalize("normalization", np.concatenate([*halves, self.convolve("kernel_2", shifted, 2)], -1))


def _pool(x: np.ndarray, stride: int, reduce: object) -> np.ndarray:
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return reduce(windows[:, ::stride, ::stride], axis=(-2, -1))


def check_against_oracle(name: str, layer: Operation, x: np.ndarray) -> None:
    before = [variable.numpy() for variable in layer.variables]
    for training in (False, True):
        outputs = layer(tf.constant(x), training=training)
        assert len(outputs) == layer.edges
        # The running statistics moved, but what a batch is normalised by did not.
        for variable, value in zip(layer.variables, before, strict=True):
            variable.assign(value)
        for edge, output in enumerate(outputs):
            expected = Oracle(layer, edge, training)(name, x)
            height, width = (-(-side // layer.stride) for side in x.shape[1:3])
            assert output.shape == (len(x), height, width, x.shape[-1])
            np.testing.assert_allclose(output, expected, rtol=1e-9, atol=1e-10, err_msg=f"training={training}")


@pytest.mark.parametrize(("size", "channels", "edges"), CASES)
@every_stride
@every_operation
def test_equals_keras_layers(name, stride, size, channels, edges):
    x = images(size, channels)
    check_against_oracle(name, randomized(name, x, edges=edges, stride=stride), x)


@every_stride
@every_operation
def test_of_a_final_network_equals_keras_layers(name, stride):
    x = images()
    layer = randomized(name, x, stride=stride, affine=True)
    assert all(bn.affine for bn in layer._flatten_layers() if isinstance(bn, BatchNormalization))
    check_against_oracle(name, layer, x)


@every_stride
@every_operation
def test_is_a_proper_layer(name, stride, tmp_path):
    check_layer(lambda **kwargs: operation(name, edges=2, stride=stride, **kwargs), (images(),), tmp_path)


@pytest.mark.parametrize("name", ["max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7"])
def test_of_a_final_network_is_a_proper_layer(name, tmp_path):
    check_layer(lambda **kwargs: operation(name, stride=2, affine=True, **kwargs), (images(),), tmp_path)


@every_stride
@every_operation
def test_edges_are_as_many_operations(name, stride):
    x = tf.constant(images((7, 6)))
    together = randomized(name, x, edges=3, stride=stride)
    alone = [operation(name, stride=stride, dtype="float64") for _ in range(3)]
    for edge, layer in enumerate(alone):
        layer.build(x.shape)
        copy_weights(layer, together, edge)
    for training in (False, True):
        outputs = together(x, training=training)
        for edge, layer in enumerate(alone):
            np.testing.assert_allclose(layer(x, training=training)[0], outputs[edge], rtol=1e-12, atol=1e-12)
            for ours, all_edges in zip(layer.weights, together.weights, strict=True):
                np.testing.assert_allclose(ours[0], all_edges[edge], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("affine", [False, True])
@every_stride
@every_operation
def test_scales_multiply_and_have_the_gradient_of_a_product(name, stride, affine):
    random = np.random.default_rng(3)
    x = tf.constant(images())
    layer = randomized(name, x, edges=2, stride=stride, affine=affine)
    plain = layer(x, training=True)
    scales = [tf.constant(random.random(4)) for _ in range(2)]
    upstream = [random.normal(size=output.shape) for output in plain]
    with tf.GradientTape() as tape:
        tape.watch(scales)
        outputs = layer(x, scales=scales, training=True)
        loss = tf.add_n([tf.reduce_sum(output * u) for output, u in zip(outputs, upstream, strict=True)])
    gradients = tape.gradient(loss, scales, unconnected_gradients="zero")
    for output, value, scale, gradient, u in zip(outputs, plain, scales, gradients, upstream, strict=True):
        np.testing.assert_allclose(output, value * scale, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(gradient, (value * u).numpy().sum((0, 1, 2)), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("training", [False, True])
@every_stride
@every_operation
def test_shares_a_state_with_others(name, stride, training):
    """What one operation leaves in a shared state is what the next would have computed."""
    x = tf.constant(images())
    state = SourceState(x, training)
    for other in OPERATIONS:
        randomized(other, x, edges=1, stride=stride).compute(state)
    layer = randomized(name, x, edges=2, stride=stride)
    for one, expected in zip(layer.images(state), layer(x, training=training), strict=True):
        np.testing.assert_array_equal(one, expected)


@every_operation
def test_float32_follows_float64(name):
    """The kernels of float32 are others than those of float64: gradients of every weight must agree all the same."""
    x = images((8, 8))
    exact = randomized(name, x, edges=2, stride=2)
    layer = operation(name, edges=2, stride=2, dtype="float32")
    layer.build(x.shape)
    copy_weights(layer, exact)
    gradients = {}
    for candidate in (exact, layer):
        with tf.GradientTape() as tape:
            outputs = candidate(tf.constant(x, candidate.compute_dtype), training=True)
            loss = tf.add_n([tf.reduce_sum(output**3) for output in outputs])
        gradients[candidate] = tape.gradient(loss, [variable.value for variable in candidate.trainable_variables])
    for found, expected in zip(gradients[layer], gradients[exact], strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())


def test_pooling_is_normalised_in_a_supernet_only():
    assert operation("max_pool_3x3").normalize
    assert not operation("max_pool_3x3", affine=True).normalize
    assert operation("max_pool_3x3", affine=True, normalize=True).normalize


@pytest.mark.parametrize("filters", [2, 5, 8])
def test_factorized_reduce_to_other_channels(filters, tmp_path):
    x = images((6, 4), channels=3)
    layer = with_random_weights(FactorizedReduce(filters=filters, dtype="float64"), (x,))
    (output,) = layer(tf.constant(x))
    np.testing.assert_allclose(output, Oracle(layer, 0, False).reduce(np.maximum(x, 0)), rtol=1e-10, atol=1e-12)
    assert output.shape == (2, 3, 2, filters)
    check_layer(lambda **kwargs: FactorizedReduce(filters=filters, **kwargs), (x,), tmp_path)


def test_factorized_reduce_reads_the_diagonal():
    """Of each 2x2 block the first half of the channels sees the upper left pixel, the second the lower right."""
    layer = FactorizedReduce(dtype="float64")
    x = np.zeros((1, 4, 4, 2))
    x[0, :, :, 0] = np.arange(1, 17).reshape(4, 4)
    layer.build(x.shape)
    layer.kernel_1.assign([[[[[1.0], [0.0]]]]])
    layer.kernel_2.assign([[[[[1.0], [0.0]]]]])
    (output,) = layer(tf.constant(x))
    np.testing.assert_allclose(output[0, :, :, 0], np.array([[1, 3], [9, 11]]) / np.sqrt(1 + 1e-5))
    np.testing.assert_allclose(output[0, :, :, 1], np.array([[6, 8], [14, 16]]) / np.sqrt(1 + 1e-5))


def test_registry_holds_every_operation_of_genotypes():
    assert set(OPERATIONS) == set(ALL_OPERATIONS)
    for name in OPERATIONS:
        assert operation(name).name == name
        assert operation(name, name="other").name == "other"


def test_unknown_operation():
    with pytest.raises(ConfigurationError, match="Did you mean 'sep_conv_3x3'"):
        operation("sep_conv_3x")
    with pytest.raises(ConfigurationError, match="Did you mean 'average'"):
        Pooling("averag")


@pytest.mark.parametrize("arguments", [{"edges": 0}, {"stride": 3}, {"stride": 0}])
def test_refuses(arguments):
    with pytest.raises(ConfigurationError, match="at least 1 edge and stride 1 or 2"):
        operation("none", **arguments)
