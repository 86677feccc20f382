"""Which devices a run uses, and how TensorFlow uses the processor."""

from __future__ import annotations

import os

import tensorflow as tf

from fairdarts_tf.cluster import Cluster, read_cluster
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


def cluster_of(name: str) -> Cluster:
    """Returns the workers that a strategy runs on.

    Args:
        name: As for `strategy`.

    Raises:
        ConfigurationError: When TF_CONFIG is broken, or ``"multi_worker"`` is asked for without it.
    """
    if name not in ("auto", "multi_worker"):
        return Cluster()
    cluster = read_cluster()
    if name == "multi_worker" and not cluster.has_several:
        raise ConfigurationError(
            "--strategy=multi_worker needs several workers in the environment variable TF_CONFIG; see docs/scaling.md. "
            "For the devices of this machine, use --strategy=mirrored."
        )
    return cluster


def strategy(name: str, batch_size: int, parts: int = 1) -> tf.distribute.Strategy:
    """Returns the strategy of a run; where it has several workers, call this before TensorFlow computes anything.

    Args:
        name: ``"auto"``: all workers, where TF_CONFIG names several, else all GPUs, where there are several, else the
            one device; ``"none"``: one device; ``"mirrored"``: all GPUs, or all logical CPU devices where there is no
            GPU; ``"multi_worker"``: all workers.
        batch_size: Images of a step over all replicas.
        parts: In how many parts a replica takes its images. Defaults to 1.

    Raises:
        ConfigurationError: When the replicas cannot share a batch evenly: a smaller part would weigh too much.
    """
    if cluster_of(name).has_several:
        return _over_workers(batch_size, parts)
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if name == "none" or (name == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    devices = gpus or [device.name for device in tf.config.list_logical_devices("CPU")]
    _check_batch(batch_size, len(devices), parts)
    return tf.distribute.MirroredStrategy([_short(device) for device in devices])


def _over_workers(batch_size: int, parts: int) -> tf.distribute.Strategy:
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ConfigurationError(
            f"a run on several workers must be the first that this process does with TensorFlow ({error}). Start it in "
            "a process of its own, as bin/search and bin/train do."
        ) from error
    _check_batch(batch_size, strategy.num_replicas_in_sync, parts)
    return strategy


def _check_batch(batch_size: int, replicas: int, parts: int) -> None:
    if parts > 1 and batch_size % (replicas * parts):
        raise ConfigurationError(
            f"--batch_size={batch_size} cannot be shared evenly by {replicas} replicas that take it in {parts} parts. "
            f"Use a multiple of {replicas * parts}."
        )
    if batch_size % replicas:
        raise ConfigurationError(
            f"--batch_size={batch_size} cannot be shared evenly by {replicas} replicas. Use a multiple of {replicas}, "
            "or --strategy=none."
        )


def describe_device() -> str:
    """Returns what runs compute on, in words: GPUs, or the cores of the processor."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "of unknown kind")
        return f"one GPU, {name}" if len(gpus) == 1 else f"{len(gpus)} GPUs, {name}"
    cores = f"{_cores()} CPU cores" if _cores() > 1 else "one CPU core"
    if any(name in os.environ for name in _TPU_VARIABLES):
        return f"{cores} (a TPU is here, too, but is not used)"
    return cores


_TPU_VARIABLES = ("COLAB_TPU_ADDR", "TPU_NAME", "TPU_ACCELERATOR_TYPE")
"""Which Colab and Cloud set in the environment of machines with a TPU."""


def _cores() -> int:
    """Returns the cores that this process may use; only Linux tells fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _short(device: str) -> str:
    return device.rsplit("/device:", 1)[-1]
