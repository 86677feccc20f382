"""A training on two replicas, by `fit`, against one device: weights, averages, momenta and logs.

Batches are made of two equal halves, so that each replica's BatchNorm sees the statistics of the whole batch. Only the
running variance then differs, by the known factor between the unbiased variances of n and of 2 n values.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_training import GENOTYPE

from fairdarts_tf import devices
from fairdarts_tf.training.run import build_training
from fairdarts_tf.training.settings import TrainSettings

PROJECT = Path(__file__).resolve().parents[1]
SHAPE, CLASSES, BATCH, STEPS = (32, 32, 3), 5, 8, 3
SETTINGS = TrainSettings(
    genotype="given",
    init_channels=2,
    layers=3,
    batch_size=BATCH,
    learning_rate=0.05,
    gradient_clip=0.5,
    label_smoothing=0.1,
    average_decay=0.9,
)
Arrays = dict[str, np.ndarray]


def batches() -> tf.data.Dataset:
    random = np.random.default_rng(0)
    images = random.normal(size=(STEPS, BATCH // 2, *SHAPE)).astype(np.float32)
    labels = random.integers(0, CLASSES, (STEPS, BATCH // 2)).astype(np.int32)
    return tf.data.Dataset.from_tensor_slices((np.concatenate([images] * 2, 1), np.concatenate([labels] * 2, 1)))


def validation() -> tf.data.Dataset:
    """Returns batches of 8 and of 5, which two replicas cannot share evenly."""
    random = np.random.default_rng(1)
    images = random.normal(size=(13, *SHAPE)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((images, random.integers(0, CLASSES, 13).astype(np.int32))).batch(8)


def run_steps(strategy: tf.distribute.Strategy) -> Arrays:
    training = build_training(SETTINGS, GENOTYPE, SHAPE, CLASSES, strategy)
    logs = training.fit(batches(), validation_data=validation(), verbose=0, shuffle=False).history
    state = {name: np.array(variable.numpy()) for name, variable in training.state_variables().items()}
    return state | {f"log/{name}": np.array(values[0]) for name, values in logs.items()}


def main(output: str) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    found = {name: run_steps(devices.strategy(name, BATCH)) for name in ("none", "mirrored")}
    np.savez(output, **{f"{way}|{name}": value for way, values in found.items() for name, value in values.items()})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    """Runs this file as a program: logical devices must be set before TensorFlow starts."""
    output = tmp_path_factory.mktemp("replicas") / "found.npz"
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, __file__, str(output)], env=environment, check=True)
    with np.load(output) as arrays:
        return {
            way: {name.split("|")[1]: arrays[name] for name in arrays.files if name.startswith(f"{way}|")}
            for way in ("none", "mirrored")
        }


def test_state_and_logs_are_those_of_one_device(found):
    expected = found["none"]
    # With the network's running variance differ what is validated by it, and its average.
    names = [name for name in expected if "variance" not in name and not name.startswith("log/val")]
    assert sum("velocity" in name for name in names) > 10
    assert sum(name.startswith("average/") for name in names) > 10
    assert {"log/loss", "log/accuracy"} <= set(names)
    assert set(found["mirrored"]) == set(expected)
    for name in names:
        np.testing.assert_allclose(found["mirrored"][name], expected[name], rtol=0, atol=1e-5, err_msg=name)


def test_every_validation_image_counts_once(found):
    accuracies = [found[way]["log/val_accuracy"] * 13 for way in found]
    assert all(abs(accuracy - round(float(accuracy))) < 1e-4 for accuracy in accuracies)
    assert found["mirrored"]["log/val_loss"] == pytest.approx(found["none"]["log/val_loss"], rel=0.05)


if __name__ == "__main__":
    main(sys.argv[1])
