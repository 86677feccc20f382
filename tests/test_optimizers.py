"""The optimizers against PyTorch's documented rules, written out in NumPy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam, clip_by_global_norm

# Learning rates are float32 variables.
RATES = [float(np.float32(rate)) for rate in (0.1, 0.1, 0.05, 0.2, 0.01, 0.03, 0.03)]
SHAPES = ((3, 2), (4,))


def draws(seed: int, scale: float = 1.0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [scale * random.normal(size=shape) for shape in SHAPES]


def clipped(gradients: list[np.ndarray], max_norm: float | None) -> list[np.ndarray]:
    """As ``torch.nn.utils.clip_grad_norm_``."""
    if max_norm is None:
        return gradients
    norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
    return [gradient * min(1.0, max_norm / (norm + 1e-6)) for gradient in gradients]


class Sgd:
    """As ``torch.optim.SGD`` with momentum and weight decay, dampening 0."""

    def __init__(self, momentum: float, decay: float) -> None:
        self.momentum, self.decay = momentum, decay
        self.buffers: dict[int, np.ndarray] = {}

    def step(self, values: list[np.ndarray], gradients: list[np.ndarray], rate: float) -> list[np.ndarray]:
        result = []
        for index, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
            gradient = gradient + self.decay * value
            buffer = self.momentum * self.buffers[index] + gradient if index in self.buffers else gradient
            self.buffers[index] = buffer
            result.append(value - rate * buffer)
        return result


class Adam:
    """As ``torch.optim.Adam`` with weight decay."""

    def __init__(self, betas: tuple[float, float], epsilon: float, decay: float) -> None:
        self.betas, self.epsilon, self.decay = betas, epsilon, decay
        self.moments = [(np.zeros(shape), np.zeros(shape)) for shape in SHAPES]
        self.steps = 0

    def step(self, values: list[np.ndarray], gradients: list[np.ndarray], rate: float) -> list[np.ndarray]:
        self.steps += 1
        result = []
        for index, (value, gradient) in enumerate(zip(values, gradients, strict=True)):
            gradient = gradient + self.decay * value
            first = self.betas[0] * self.moments[index][0] + (1 - self.betas[0]) * gradient
            second = self.betas[1] * self.moments[index][1] + (1 - self.betas[1]) * gradient**2
            self.moments[index] = first, second
            denominator = np.sqrt(second) / np.sqrt(1 - self.betas[1] ** self.steps) + self.epsilon
            result.append(value - rate / (1 - self.betas[0] ** self.steps) * first / denominator)
        return result


def variables(dtype: str) -> list[keras.Variable]:
    return [keras.Variable(value, dtype=dtype) for value in draws(0)]


def apply(optimizer: keras.optimizers.Optimizer, weights: list[keras.Variable], gradients: list[np.ndarray]) -> None:
    optimizer.apply([tf.constant(g, w.dtype) for g, w in zip(gradients, weights, strict=True)], weights)


def check(
    optimizer: keras.optimizers.Optimizer, rule: Sgd | Adam, max_norm: float | None, dtype: str, scale: float = 1.0
) -> None:
    weights, values = variables(dtype), draws(0)
    optimizer.build(weights)
    for step, rate in enumerate(RATES):
        optimizer.learning_rate = rate
        # Norms lie on both sides of the bound.
        gradients = draws(step + 1, scale * (4.0 if step % 2 else 0.2))
        apply(optimizer, weights, gradients)
        values = rule.step(values, clipped(gradients, max_norm), rate)
        for weight, value in zip(weights, values, strict=True):
            tolerance = 1e-5 if dtype == "float32" else 1e-11
            np.testing.assert_allclose(weight, value, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [None, 5.0, 1.0])
@pytest.mark.parametrize("decay", [0.0, 3e-4, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_momentum_sgd(momentum, decay, max_norm, dtype):
    check(MomentumSGD(momentum=momentum, decay=decay, max_norm=max_norm), Sgd(momentum, decay), max_norm, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [None, 1.0])
@pytest.mark.parametrize("decay", [0.0, 1e-3, 0.3])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.999)])
def test_reference_adam(betas, decay, max_norm, dtype):
    optimizer = ReferenceAdam(beta_1=betas[0], beta_2=betas[1], decay=decay, max_norm=max_norm)
    check(optimizer, Adam(betas, 1e-8, decay), max_norm, dtype)


def test_adam_adds_epsilon_after_the_bias_correction():
    """With gradients as small as epsilon the place of epsilon shows."""
    optimizer = ReferenceAdam(epsilon=1e-3, decay=0.0)
    check(optimizer, Adam((0.9, 0.999), 1e-3, 0.0), None, "float64", scale=1e-3)


def test_clips_before_the_decay():
    (weight,) = weights = [keras.Variable(np.array([10.0]), dtype="float64")]
    optimizer = MomentumSGD(learning_rate=1.0, momentum=0.0, decay=0.5, max_norm=1.0)
    optimizer.build(weights)
    apply(optimizer, weights, [np.array([100.0])])
    # The clipped gradient is 1, the decay 5: clipped together they would be 1.
    np.testing.assert_allclose(weight, [10.0 - 1.0 - 5.0], rtol=1e-6)


def test_clips_the_common_norm():
    gradients = (tf.constant([3.0, 0.0]), tf.constant([[4.0]]))
    for max_norm, factor in ((10.0, 1.0), (5.1, 1.0), (1.0, 0.2), (None, 1.0)):
        for found, gradient in zip(clip_by_global_norm(gradients, max_norm), gradients, strict=True):
            np.testing.assert_allclose(found, factor * gradient, rtol=1e-5)
    for found in clip_by_global_norm((tf.zeros([2]), tf.zeros([1])), 5.0):
        np.testing.assert_array_equal(found, np.zeros_like(found))


@pytest.mark.parametrize("changes", [False, True])
def test_parts_from_keras_only_when_the_rate_changes(changes):
    ours, theirs = variables("float64"), variables("float64")
    optimizers = MomentumSGD(0.1, 0.9, 0.0, None), keras.optimizers.SGD(0.1, 0.9)
    for step in range(4):
        for optimizer, weights in zip(optimizers, (ours, theirs), strict=True):
            if changes:
                optimizer.learning_rate = 0.1 / 2**step
            apply(optimizer, weights, draws(step + 1))
    difference = max(np.abs(a.numpy() - b.numpy()).max() for a, b in zip(ours, theirs, strict=True))
    assert difference > 1e-2 if changes else difference < 1e-6


def test_defaults_are_fairdarts():
    assert MomentumSGD().get_config().items() >= {"momentum": 0.9, "decay": 3e-4, "max_norm": 5.0}.items()
    assert float(MomentumSGD().learning_rate) == pytest.approx(0.005)
    adam = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "decay": 1e-3, "max_norm": None}
    assert ReferenceAdam().get_config().items() >= adam.items()
    assert float(ReferenceAdam().learning_rate) == pytest.approx(3e-3)


@pytest.mark.parametrize(
    "optimizer",
    [
        MomentumSGD(0.3, 0.8, 0.01, 2.0),
        MomentumSGD(max_norm=None),
        MomentumSGD(keras.optimizers.schedules.CosineDecay(0.025, 10)),
        ReferenceAdam(0.3, 0.5, 0.9, 1e-4, 0.02, 1.0),
    ],
)
def test_round_trip(optimizer):
    config = keras.saving.serialize_keras_object(optimizer)
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert keras.saving.serialize_keras_object(copy) == config
    results = []
    for each in (optimizer, copy):
        weights = variables("float64")
        apply(each, weights, draws(1))
        results.append([weight.numpy() for weight in weights])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_follows_a_schedule():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.05, 0.01])
    optimizer, rule = MomentumSGD(schedule, max_norm=None), Sgd(0.9, 3e-4)
    weights, values = variables("float64"), draws(0)
    for step, rate in enumerate((0.1, 0.1, 0.05, 0.05, 0.01)):
        apply(optimizer, weights, draws(step + 1))
        values = rule.step(values, draws(step + 1), rate)
    for weight, value in zip(weights, values, strict=True):
        np.testing.assert_allclose(weight, value, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", [MomentumSGD, ReferenceAdam])
def test_state_can_be_saved(kind, tmp_path):
    """A search continues where it stood: momentum, moments and the count of steps are variables."""
    weights, optimizer = variables("float32"), kind()
    for step in range(3):
        apply(optimizer, weights, draws(step))
    copy, own = kind(), [keras.Variable(weight.numpy()) for weight in weights]
    copy.build(own)
    saved = tf.train.Checkpoint(optimizer=optimizer).write(str(tmp_path / "state"))
    tf.train.Checkpoint(optimizer=copy).read(saved).assert_consumed()
    for each, values in ((optimizer, weights), (copy, own)):
        apply(each, values, draws(9))
    for found, expected in zip(own, weights, strict=True):
        np.testing.assert_array_equal(found, expected)


REPLICAS = """
    import json
    import sys

    import keras
    import tensorflow as tf

    from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    given = json.load(sys.stdin)
    result = {}
    for kind in (MomentumSGD, ReferenceAdam):
        with strategy.scope():
            weights = [keras.Variable(value, dtype="float64") for value in given["values"]]
            optimizer = kind(learning_rate=0.1, decay=0.1, max_norm=1.0)
            optimizer.build(weights)
        for step in given["steps"]:

            @tf.function
            def update(step=step, weights=weights, optimizer=optimizer):
                replica = tf.distribute.get_replica_context().replica_id_in_sync_group
                pairs = [[tf.constant(gradient, tf.float64) for gradient in pair] for pair in zip(*step, strict=True)]
                optimizer.apply([tf.where(tf.equal(replica, 0), *pair) for pair in pairs], weights)

            strategy.run(update)
        result[kind.__name__] = [weight.numpy().tolist() for weight in weights]
    assert strategy.num_replicas_in_sync == 2
    json.dump(result, sys.stdout)
"""


def test_replicas_together_take_the_step_of_one_device():
    """Gradients are summed first and then clipped; clipped on each replica they would come out twice as long."""
    steps = [[draws(10 + step), draws(20 + step, 3.0)] for step in range(3)]
    given = {"values": draws(0), "steps": steps}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(REPLICAS)],
        input=json.dumps(given, default=np.ndarray.tolist),
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).resolve().parents[1],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for kind in (MomentumSGD, ReferenceAdam):
        weights = variables("float64")
        optimizer = kind(learning_rate=0.1, decay=0.1, max_norm=1.0)
        for first, second in steps:
            apply(optimizer, weights, [a + b for a, b in zip(first, second, strict=True)])
        for weight, value in zip(weights, found[kind.__name__], strict=True):
            np.testing.assert_allclose(value, weight, rtol=1e-9)
