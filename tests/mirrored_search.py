"""Run as a program: two replicas against one device, on batches of two equal halves. Prints the largest differences."""

from __future__ import annotations

import json

import numpy as np
import tensorflow as tf

from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam
from fairdarts_tf.search import Search
from fairdarts_tf.spaces.darts import DartsSpace

STEPS, BATCH = 3, 8
MAX_NORM = 0.05


def build(strategy: tf.distribute.Strategy) -> Search:
    space = DartsSpace(("max_pool_3x3", "skip_connect", "sep_conv_3x3"), nodes=2, init_channels=4, layers=3)
    with strategy.scope():
        search = Search(space.supernet((8, 8, 3), 5))
        search.compile(MomentumSGD(0.05, max_norm=MAX_NORM), ReferenceAdam())
    return search


def batches() -> tf.data.Dataset:
    random = np.random.default_rng(0)

    def twice(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array, array], axis=1)

    def half() -> tuple[np.ndarray, np.ndarray]:
        images = random.normal(size=(STEPS, BATCH // 2, 8, 8, 3)).astype(np.float32)
        return twice(images), twice(random.integers(0, 5, (STEPS, BATCH // 2)).astype(np.int32))

    return tf.data.Dataset.from_tensor_slices((half(), half()))


def state(search: Search) -> list[np.ndarray]:
    """Returns alphas, weights, running means and both optimizers' states.

    Running variances are left out: they are the unbiased ones, and n / (n - 1) differs between n and 2n pixels.
    """
    means = [variable for variable in search.supernet.non_trainable_variables if variable.name == "moving_mean"]
    optimizers = [*search.optimizer.variables, *search.alpha_optimizer.variables]
    return [np.array(v.numpy()) for v in [*search.supernet.trainable_variables, *means, *optimizers]]


def main() -> None:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    one = build(tf.distribute.get_strategy())
    two = build(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    for source, target in zip(one.supernet.variables, two.supernet.variables, strict=True):
        target.assign(source.numpy())
    first = next(iter(batches()))
    statistics = [variable.numpy() for variable in one.supernet.non_trainable_variables]
    norm = float(tf.linalg.global_norm(one.weight_gradients(first[0])))
    for variable, value in zip(one.supernet.non_trainable_variables, statistics, strict=True):
        variable.assign(value)
    one.reset_metrics()
    logs = [search.fit(batches(), epochs=1, verbose=0, shuffle=False).history for search in (one, two)]
    differences = [float(np.abs(a - b).max()) for a, b in zip(state(one), state(two), strict=True)]
    zeros = [table.numpy() for table in one.supernet.alphas.values()]
    print(
        json.dumps(
            {
                "state": max(differences),
                "logs": max(abs(logs[0][name][0] - logs[1][name][0]) for name in logs[0]),
                "clipped": norm > MAX_NORM,
                "steps": int(two.optimizer.iterations.numpy()),
                "moved": float(max(np.abs(table).max() for table in zeros)),
                "names": sorted(logs[0]),
            }
        )
    )


if __name__ == "__main__":
    main()
