"""The worker that measures the best that the machine makes of float32 matrices, as a yardstick."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairdarts_tf.benchmarking.channel import FIRST_STEP, Channel, serve

SIDES = {"CPU": 2048, "GPU": 8192}
"""Rows and columns of the matrices: large enough to keep all cores busy."""


def operations(device: str) -> int:
    """Returns the operations of one step: a multiplication and an addition for each multiply-add."""
    return 2 * SIDES[device] ** 3


def main(channel: Channel, device: str) -> None:
    """Multiplies matrices as it is asked to."""
    step, synchronize = _ON[device]()
    step()
    synchronize()
    channel.phase(FIRST_STEP)
    serve(channel, {"step": step}, synchronize)


def _matrices(device: str) -> list[np.ndarray]:
    side = SIDES[device]
    return [np.random.default_rng(seed).random((side, side), np.float32) for seed in range(2)]


def _on_cpu() -> tuple[Callable[[], object], Callable[[], object]]:
    # NumPy's matrices use all cores, whatever TensorFlow's threads are set to.
    left, right = _matrices("CPU")
    product = np.empty_like(left)
    return (lambda: np.matmul(left, right, out=product)), (lambda: None)


def _on_gpu() -> tuple[Callable[[], object], Callable[[], object]]:
    import tensorflow as tf

    left, right = map(tf.constant, _matrices("GPU"))
    return (lambda: tf.matmul(left, right)), tf.test.experimental.sync_devices


_ON = {"CPU": _on_cpu, "GPU": _on_gpu}
