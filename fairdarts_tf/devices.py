"""Which devices a search runs on, and how TensorFlow uses the processor."""

from __future__ import annotations

import os

import tensorflow as tf

from fairdarts_tf.errors import ConfigurationError


def configure_runtime() -> None:
    """Tunes TensorFlow for supernets; call it before anything else touches TensorFlow.

    A supernet is a wide graph of small operations. On a CPU it runs fastest with one thread inside an operation and as
    many operations at once as there are cores. Grappler's meta-optimizer takes long over such a graph and gains
    nothing. What the environment or an earlier call has set stays.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if tf.config.list_physical_devices("GPU"):
        return
    try:
        if not tf.config.threading.get_intra_op_parallelism_threads():
            tf.config.threading.set_intra_op_parallelism_threads(1)
        if not tf.config.threading.get_inter_op_parallelism_threads():
            tf.config.threading.set_inter_op_parallelism_threads(_cores())
    except RuntimeError:
        # TensorFlow already runs, as in a notebook: its threads can no longer be chosen.
        return


def strategy(name: str, batch_size: int) -> tf.distribute.Strategy:
    """Returns the strategy of a search.

    Args:
        name: ``"auto"``: all GPUs, where there are several, else the one device; ``"none"``: one device;
            ``"mirrored"``: all GPUs, or all logical CPU devices where there is no GPU.
        batch_size: Images of a step over all replicas.

    Raises:
        ConfigurationError: When the replicas cannot share a batch evenly: a smaller part would weigh too much.
    """
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if name == "none" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    devices = gpus or [device.name for device in tf.config.list_logical_devices("CPU")]
    if batch_size % len(devices):
        raise ConfigurationError(
            f"--batch_size={batch_size} cannot be shared evenly by {len(devices)} replicas. Use a multiple of "
            f"{len(devices)}, or --strategy=none."
        )
    return tf.distribute.MirroredStrategy([_short(device) for device in devices])


def _cores() -> int:
    """Returns the cores that this process may use; only Linux tells fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _short(device: str) -> str:
    return device.rsplit("/device:", 1)[-1]
