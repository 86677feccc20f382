"""The step of a training against the same step written with Keras' losses and NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import GENOTYPE

from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.optimizers import MomentumSGD
from fairdarts_tf.training.model import Training

# The rate is exact in float32, in which Keras keeps it.
RATE, MOMENTUM, DECAY, NORM, SMOOTHING, WEIGHT = 0.125, 0.9, 3e-3, 0.5, 0.1, 0.4
LABELS = np.array([0, 2, 1, 2], np.int32)
IMAGES = np.random.default_rng(0).normal(size=(4, 32, 32, 3))


def build(auxiliary: bool = True, dtype: str = "float64", scales_loss: bool = False, **options: object) -> Training:
    keras.utils.set_random_seed(0)
    network = DartsNetwork(GENOTYPE, 3, init_channels=2, layers=3, auxiliary=auxiliary, dtype=dtype, name="network")
    network.build((None, *IMAGES.shape[1:]))
    training = Training(network)
    optimizer = MomentumSGD(RATE, momentum=MOMENTUM, decay=DECAY, max_norm=NORM, scales_loss=scales_loss)
    training.compile(optimizer, auxiliary_weight=WEIGHT, label_smoothing=SMOOTHING, run_eagerly=True, **options)
    return training


def values(training: Training) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in training.network.trainable_variables]


def test_two_steps_are_those_of_the_recipe():
    ours, plain = build(), build()
    cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING, dtype="float64")
    targets = keras.utils.to_categorical(LABELS, 3).astype("float64")
    velocities = [0.0 for _ in values(plain)]
    for _ in range(2):
        logs = ours.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
        with tf.GradientTape() as tape:
            logits, auxiliary = plain.network(IMAGES, training=True)
            main_loss = cross_entropy(targets, logits)
            loss = main_loss + WEIGHT * cross_entropy(targets, auxiliary)
        variables = plain.network.trainable_variables
        gradients = [np.array(g) for g in tape.gradient(loss, [variable.value for variable in variables])]
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        assert norm > 2 * NORM, "clipping acts"
        for index, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            step = gradient * NORM / (norm + 1e-6) + DECAY * variable.numpy()
            velocities[index] = MOMENTUM * velocities[index] + step
            variable.assign(variable.numpy() - RATE * velocities[index])
        mean_of_logs = logs["loss"] if ours.optimizer.iterations == 1 else None
        if mean_of_logs is not None:
            assert float(mean_of_logs) == pytest.approx(float(main_loss), rel=1e-5)
    for found, expected in zip(values(ours), values(plain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_validation_is_plain_and_leaves_everything_alone():
    training = build()
    before = {name: np.array(variable.numpy()) for name, variable in training.state_variables().items()}
    logs = training.test_step((tf.constant(IMAGES), tf.constant(LABELS)))
    logits = training.network(IMAGES, training=False)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, logits)
    assert float(logs["loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(logs["accuracy"]) == pytest.approx(np.mean(np.argmax(logits, axis=1) == LABELS))
    assert all(np.array_equal(before[name], variable.numpy()) for name, variable in training.state_variables().items())


def test_every_state_variable_has_a_name_of_its_own():
    training = build(average_decay=0.9)
    variables = training.state_variables()
    held = [*training.network.variables, *training.optimizer.variables, *training.average.variables.values()]
    assert {id(variable) for variable in variables.values()} == {id(variable) for variable in held}


def test_the_average_follows_weights_and_statistics():
    training = build(average_decay=0.5)
    followed = {name: variable for name, variable in training.average.variables.items()}
    expected = {name: np.array(variable.numpy()) for name, variable in followed.items()}
    network = {variable.path.removeprefix("network/"): variable for variable in training.network.variables}
    for step in range(3):
        training.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
        share = min(0.5, (1 + step) / (10 + step))
        expected = {name: share * old + (1 - share) * network[name].numpy() for name, old in expected.items()}
    assert any("moving_variance" in name for name in expected)
    for name, value in training.kept_weights().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_the_average_is_what_is_validated():
    training = build(average_decay=0.9)
    for _ in range(3):
        training.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
    raw = training.network(IMAGES, training=False).numpy()
    training.average.swap()
    averaged = training.network(IMAGES, training=False).numpy()
    assert np.abs(averaged - raw).max() > 1e-3
    training.average.swap()
    np.testing.assert_array_equal(training.network(IMAGES, training=False).numpy(), raw)


class TestLossScale:
    def test_a_scaled_loss_gives_the_same_step(self):
        plain, scaled = build(), build(scales_loss=True)
        for training in (plain, scaled):
            for _ in range(2):
                training.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
        for found, expected in zip(values(scaled), values(plain), strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)

    def test_an_overflow_skips_the_step_halves_the_scale_and_is_counted(self):
        training = build(scales_loss=True)
        optimizer = training.optimizer
        training.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
        before = [*values(training), *[np.array(v.numpy()) for v in optimizer._velocities]]
        gradients = [tf.zeros_like(variable) for variable in training.network.trainable_variables]
        gradients[3] = gradients[3] + np.inf
        optimizer.apply(gradients, training.network.trainable_variables)
        after = [*values(training), *[np.array(v.numpy()) for v in optimizer._velocities]]
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
        assert float(optimizer.loss_scale.scale) == 2.0**14
        assert int(optimizer.loss_scale.skipped_steps) == 1 and int(optimizer.loss_scale.good_steps) == 0

    def test_the_scale_doubles_after_many_good_steps(self, monkeypatch):
        monkeypatch.setattr("fairdarts_tf.loss_scale.GROWTH_STEPS", 2)
        training = build(scales_loss=True)
        scales = []
        for _ in range(4):
            training.train_step((tf.constant(IMAGES), tf.constant(LABELS)))
            scales.append(float(training.optimizer.loss_scale.scale))
        assert scales == [2.0**15, 2.0**16, 2.0**16, 2.0**17]
        assert int(training.optimizer.loss_scale.skipped_steps) == 0


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_weights_statistics_and_logits_in_float32(precision):
    training = build(auxiliary=True, dtype=precision, scales_loss=precision == "mixed_float16")
    images = tf.constant(IMAGES, tf.float32)
    logs = training.train_step((images, tf.constant(LABELS)))
    assert np.isfinite(float(logs["loss"]))
    floats = [variable for variable in training.network.variables if "seed" not in variable.path]
    assert {variable.dtype for variable in floats} == {"float32"}
    logits, auxiliary = training.network(images, training=True)
    assert logits.dtype == auxiliary.dtype == tf.float32
    exact = build(auxiliary=True, dtype="float32")
    expected = exact.train_step((images, tf.constant(LABELS)))
    assert float(logs["loss"]) == pytest.approx(float(expected["loss"]), rel=0.05)
