"""Checks that every layer of this project passes, in the manner of KerasHub's ``run_layer_test``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import tree

POLICIES = ("float32", "float64", "mixed_bfloat16", "mixed_float16")
TOLERANCES = {"float32": 1e-4, "mixed_bfloat16": 0.1, "mixed_float16": 0.02}
"""Largest norm of the error in each dtype, as a share of the norm of the result in float64."""


def check_layer(
    create: Callable[..., keras.layers.Layer],
    inputs: tuple[object, ...],
    folder: Path,
    policies: tuple[str, ...] = POLICIES,
) -> None:
    """Checks configuration, saving, shapes, dtypes and gradients of a layer.

    Args:
        create: Returns a new layer, given ``dtype``.
        inputs: What the layer is called with: arrays, or lists of arrays.
        folder: Where to save a model.
        policies: The dtype policies to check.
    """
    layer = with_random_weights(create(dtype="float64"), inputs)
    expected = call(layer, inputs)
    _check_config(layer)
    _check_copy(keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)), layer, inputs)
    _check_saved_model(layer, inputs, folder / "model.keras")
    _check_shapes(layer, inputs, expected)
    _check_gradients(layer, inputs)
    for policy in policies:
        _check_dtypes(create(dtype=policy), layer, inputs, expected)


def with_random_weights(layer: keras.layers.Layer, inputs: tuple[object, ...], seed: int = 0) -> keras.layers.Layer:
    """Returns the layer, built, with values of its own in every weight and every running statistic."""
    call(layer, inputs)
    random = np.random.default_rng(seed)
    for variable in layer.variables:
        if "seed_generator" in variable.path:
            continue
        shape = variable.shape
        positive = variable.name in ("moving_variance", "gamma")
        variable.assign(random.uniform(0.5, 2.0, shape) if positive else random.normal(0.0, 0.3, shape))
    return layer


def copy_weights(target: keras.layers.Layer, source: keras.layers.Layer, edge: int | None = None) -> None:
    """Gives a layer the values of another one, or those of one of its edges."""
    for to, values in zip(target.weights, source.weights, strict=True):
        to.assign(values.numpy() if edge is None else values.numpy()[edge : edge + 1])


def call(layer: keras.layers.Layer, inputs: tuple[object, ...], training: bool = False) -> list[tf.Tensor]:
    """Returns the layer's outputs as a list; inputs are cast to what the layer computes in."""
    cast = tree.map_structure(lambda array: tf.constant(array, layer.compute_dtype), inputs)
    return tree.flatten(layer(*cast, training=training))


def _check_config(layer: keras.layers.Layer) -> None:
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config))).get_config()
    assert json.dumps(again) == json.dumps(config)
    own = set(inspect.signature(type(layer).__init__).parameters) - {"self", "args", "kwargs"}
    assert own <= set(config), f"get_config forgets {own - set(config)}"


def _check_copy(copy: keras.layers.Layer, layer: keras.layers.Layer, inputs: tuple[object, ...]) -> None:
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()
    call(copy, inputs)
    copy_weights(copy, layer)
    for found, expected in zip(call(copy, inputs), call(layer, inputs), strict=True):
        np.testing.assert_array_equal(found, expected)


def _check_saved_model(layer: keras.layers.Layer, inputs: tuple[object, ...], path: Path) -> None:
    model = layer
    if not isinstance(layer, keras.Model):
        symbols = tree.map_structure(
            lambda array: keras.Input(array.shape[1:], array.shape[0], dtype="float64"), inputs
        )
        model = keras.Model(tree.flatten(symbols), layer(*symbols))
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert [variable.path for variable in loaded.weights] == [variable.path for variable in model.weights]
    for found, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(found, expected, err_msg=expected.path)
    arguments = inputs[0] if model is layer else tree.flatten(inputs)
    for found, expected in zip(tree.flatten(loaded(arguments)), call(layer, inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def _check_shapes(layer: keras.layers.Layer, inputs: tuple[object, ...], outputs: list[tf.Tensor]) -> None:
    count = len(inspect.signature(layer.compute_output_shape).parameters)
    shapes = tree.map_structure(lambda array: array.shape, inputs[:count])
    unknown = tree.map_structure_up_to(inputs[:count], lambda shape: (None, *shape[1:]), shapes)
    for given, batch in ((shapes, outputs[0].shape[0]), (unknown, None)):
        found = tree.flatten(tree.map_shape_structure(lambda shape: [tuple(shape)], layer.compute_output_shape(*given)))
        width = len(outputs[0].shape)
        found = [tuple(found[start : start + width]) for start in range(0, len(found), width)]
        assert found == [(batch, *output.shape[1:]) for output in outputs]


def _check_gradients(layer: keras.layers.Layer, inputs: tuple[object, ...]) -> None:
    """Every trainable weight has a part in the training output."""
    random = np.random.default_rng(1)
    statistics = [variable.numpy() for variable in layer.non_trainable_variables]
    with tf.GradientTape() as tape:
        outputs = call(layer, inputs, training=True)
        loss = tf.add_n([tf.reduce_sum(output * random.normal(size=output.shape)) for output in outputs])
    for variable, gradient in zip(
        layer.trainable_variables, tape.gradient(loss, [v.value for v in layer.trainable_variables]), strict=True
    ):
        assert gradient is not None, f"{variable.path} has no gradient"
        assert np.isfinite(gradient).all(), variable.path
        assert np.any(gradient), f"the gradient of {variable.path} is 0"
    for variable, value in zip(layer.non_trainable_variables, statistics, strict=True):
        variable.assign(value)


def _check_dtypes(
    layer: keras.layers.Layer, exact: keras.layers.Layer, inputs: tuple[object, ...], expected: list[tf.Tensor]
) -> None:
    """Computes in the policy's dtype, keeps variables in float32 or float64, and comes near the exact result."""
    policy = layer.dtype_policy.name
    call(layer, inputs)
    copy_weights(layer, exact)
    outputs = call(layer, inputs)
    wide = "float64" if policy == "float64" else "float32"
    own = wide if isinstance(layer, keras.Model) else layer.compute_dtype
    for output, value in zip(outputs, expected, strict=True):
        assert output.dtype == own, policy
        error = np.linalg.norm(tf.cast(output, "float64") - value) / max(np.linalg.norm(value), 1e-9)
        assert error <= TOLERANCES.get(policy, 1e-12), f"{policy}: {error:.1e}"
    for output in call(layer, inputs, training=True):
        assert output.dtype == own, policy
        assert np.isfinite(tf.cast(output, "float64")).all(), policy
    assert {keras.backend.standardize_dtype(variable.dtype) for variable in layer.variables} <= {wide}
