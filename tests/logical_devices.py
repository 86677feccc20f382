"""Programs on several logical devices of one processor, which must be set before TensorFlow starts."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

PROJECT = Path(__file__).resolve().parents[1]
Arrays = dict[str, np.ndarray]


def run_program(file: str, folder: Path, *arguments: str) -> dict[str, Arrays]:
    """Runs a test file as a program; returns the arrays that it saved by `save`, by way and by name."""
    output = folder / "found.npz"
    path = os.pathsep.join([str(PROJECT), str(PROJECT / "tests")])
    environment = os.environ | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, file, str(output), *arguments], env=environment, check=True)
    ways: dict[str, Arrays] = {}
    with np.load(output) as arrays:
        for name in arrays.files:
            way, name_in_way = name.split("|")
            ways.setdefault(way, {})[name_in_way] = arrays[name]
    return ways


def save(output: str, found: dict[str, Arrays]) -> None:
    np.savez(output, **{f"{way}|{name}": value for way, values in found.items() for name, value in values.items()})


def set_logical_devices(count: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


@functools.cache
def replicas(count: int) -> tf.distribute.Strategy:
    """Returns the one strategy of that many logical devices; of one device, none."""
    if count == 1:
        return tf.distribute.get_strategy()
    # Else TensorFlow numbers the groups of devices of each strategy alike, and takes their exchanges for each other's.
    tf.distribute.MirroredStrategy._collective_key_base = 1000 * count
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(count)])
    assert strategy.num_replicas_in_sync == count
    return strategy
