"""Initial values: bounds by the number of inputs, and which weights have which."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.operations import OPERATIONS, operation
from fairdarts_tf.spaces.darts import DartsSpace


@pytest.mark.parametrize("fan_in", [1, 9, 27, 144])
def test_is_uniform_within_its_bound(fan_in):
    bound = fan_in**-0.5
    values = np.asarray(FanInUniform(fan_in, seed=1)((100, 100)))
    assert np.abs(values).max() <= bound
    assert values.min() < -0.99 * bound and values.max() > 0.99 * bound
    assert abs(values.mean()) < 0.03 * bound
    assert values.var() == pytest.approx(bound**2 / 3, rel=0.03)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(dtype):
    assert keras.backend.standardize_dtype(FanInUniform(4)((2, 3), dtype=dtype).dtype) == dtype


def test_round_trip():
    initializer = FanInUniform(9, seed=3)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(initializer))
    assert copy.get_config() == {"fan_in": 9, "seed": 3}
    np.testing.assert_array_equal(copy((4, 4)), initializer((4, 4)))


def test_follows_the_global_seed():
    def draw() -> list[np.ndarray]:
        return [np.asarray(FanInUniform(4)((3, 3))) for _ in range(2)]

    keras.utils.set_random_seed(5)
    first = draw()
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(draw(), first)
    assert not np.array_equal(*first), "two weights must not start alike"


@pytest.mark.parametrize("name", OPERATIONS)
def test_kernels_of_operations(name):
    """A depthwise kernel sums over its pixels only; every other kernel also over the channels."""
    keras.utils.set_random_seed(0)
    layer = operation(name, edges=3, stride=2)
    layer.build((None, 8, 8, 6))
    for kernel in layer.trainable_weights:
        _, height, width, channels, _ = kernel.shape
        fan_in = height * width * (1 if kernel.name.startswith("depthwise") else channels)
        largest = np.abs(kernel.numpy()).max()
        assert 0.8 * fan_in**-0.5 < largest <= fan_in**-0.5, kernel.path


def test_weights_of_a_supernet_start_apart():
    keras.utils.set_random_seed(0)
    supernet = DartsSpace(nodes=1, init_channels=4, layers=3).supernet((8, 8, 3), 10)
    kernel, bias = supernet.classifier.kernel.numpy(), supernet.classifier.bias.numpy()
    assert 0.5 * kernel.shape[0] ** -0.5 < np.abs(bias).max() <= kernel.shape[0] ** -0.5
    assert not np.isin(bias, kernel).any(), "the classifier's bias repeats its kernel"
    # Drawn from one seed, two kernels would start with the same values but for their bounds.
    kernels = [weight.numpy().ravel() for weight in supernet.network_weights if "normalization" not in weight.path]
    starts = {tuple(np.round(kernel[1:4] / kernel[0], 2)) for kernel in kernels}
    assert len(starts) == len(kernels)
