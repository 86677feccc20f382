"""The update rules against PyTorch's documented ones, written out in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam

# Learning rates are float32 variables.
RATES = [float(np.float32(rate)) for rate in (0.1, 0.1, 0.05, 0.02, 0.01, 0.001)]


def follow(optimizer: keras.optimizers.Optimizer) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Applies random gradients at falling rates; returns first value, gradients and last value."""
    random = np.random.default_rng(0)
    first = random.normal(size=(3, 4))
    variable = keras.Variable(first, dtype="float64")
    gradients = [random.normal(size=(3, 4)) * 3 for _ in RATES]
    for rate, gradient in zip(RATES, gradients, strict=True):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return first, gradients, variable.numpy()


def clip(gradient: np.ndarray, max_norm: float) -> np.ndarray:
    return gradient * min(max_norm / (np.linalg.norm(gradient) + 1e-6), 1.0)


@pytest.mark.parametrize("max_norm", [None, 5.0])
def test_momentum_sgd(max_norm):
    value, gradients, found = follow(MomentumSGD(0.1, momentum=0.9, decay=0.01, max_norm=max_norm))
    velocity = np.zeros_like(value)
    for rate, gradient in zip(RATES, gradients, strict=True):
        gradient = gradient if max_norm is None else clip(gradient, max_norm)
        velocity = 0.9 * velocity + gradient + 0.01 * value
        value = value - rate * velocity
    np.testing.assert_allclose(found, value, rtol=1e-12)


def test_clipping_acts_here():
    gradients = follow(MomentumSGD(0.1))[1]
    assert any(np.linalg.norm(gradient) > 5 for gradient in gradients)


def test_keras_sgd_parts_when_the_rate_changes():
    ours = follow(MomentumSGD(0.1, decay=0.0, max_norm=None))[2]
    theirs = follow(keras.optimizers.SGD(0.1, momentum=0.9))[2]
    assert np.abs(ours - theirs).max() > 0.01


def test_reference_adam():
    value, gradients, found = follow(ReferenceAdam(0.1, beta_1=0.5, epsilon=0.1, decay=0.01))
    first = second = np.zeros_like(value)
    for step, (rate, gradient) in enumerate(zip(RATES, gradients, strict=True), start=1):
        gradient = gradient + 0.01 * value
        first = 0.5 * first + 0.5 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        value = value - rate * (first / (1 - 0.5**step)) / (np.sqrt(second / (1 - 0.999**step)) + 0.1)
    np.testing.assert_allclose(found, value, rtol=1e-12)


@pytest.mark.parametrize("optimizer", [MomentumSGD(0.1, 0.8, 0.1, 3.0), ReferenceAdam(0.1, 0.4, 0.99, 1e-7, 0.1, 2.0)])
def test_configuration(optimizer):
    config = optimizer.get_config()
    assert type(optimizer).from_config(config).get_config() == config
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert copy.get_config() == config
