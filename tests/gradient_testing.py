"""Outputs and gradients of fast forms of the supernet's arithmetic, to be compared with the plain ones."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


def gradients(compute: Callable[..., list], tensors: list[np.ndarray], dtype: str) -> list[np.ndarray]:
    """Returns outputs and the gradients of all tensors, for random upstream gradients."""
    variables = [tf.constant(tensor, dtype) for tensor in tensors]

    @tf.function(autograph=False)
    def run(*variables: tf.Tensor) -> tuple[list, list]:
        with tf.GradientTape() as tape:
            tape.watch(variables)
            outputs = compute(*variables)
            random = np.random.default_rng(1)
            loss = tf.add_n([tf.reduce_sum(y * tf.constant(random.normal(size=y.shape), y.dtype)) for y in outputs])
        return outputs, tape.gradient(loss, variables)

    outputs, found = run(*variables)
    return [tensor.numpy() for tensor in [*outputs, *found]]


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


def assert_as_exact(found: list[np.ndarray], expected: list[np.ndarray], plain: list[np.ndarray] | None = None) -> None:
    """Compares norms with those of float64: a ReLU's input that is rounding error may go the other way.

    BatchNorm does not see the scale of the kernels before it, so that their gradients are small differences of large
    terms: with one channel nothing but epsilon is left. Rounding is therefore measured by the largest gradient too, and
    by what the plain form in float32 loses.
    """
    largest = max(np.linalg.norm(other) for other in expected)
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.shape == other.shape
        lost = 0 if plain is None else np.linalg.norm(plain[index] - other)
        bound = 1e-4 * max(1, np.linalg.norm(other)) + 1e-6 * largest + 3 * lost
        assert np.linalg.norm(one - other) <= bound, index
