"""What the workers of a cluster tell each other between steps; a process alone tells itself."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from fairdarts_tf.errors import ConfigurationError, GenotypeError, NotFiniteError, WorkerLostError

_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)

_OF_MACHINES = frozenset({"data_dir", "cache_dir", "download"})
"""Settings that may differ from machine to machine."""


def gather(value: float, strategy: tf.distribute.Strategy) -> np.ndarray:
    """Returns a number that each worker has, from all of them: (replicas,), float64."""
    numbers = np.zeros(strategy.num_replicas_in_sync)
    return _sum(strategy, lambda replica: np.where(np.arange(len(numbers)) == replica, value, numbers))


def arrays_from_chief(
    arrays: Mapping[str, np.ndarray] | None, strategy: tf.distribute.Strategy
) -> dict[str, np.ndarray] | None:
    """Returns the arrays that the chief has, or None where it has none; those of other workers do not matter."""
    if not is_over_workers(strategy):
        return None if arrays is None else dict(arrays)
    sent = b"" if arrays is None else _packed(arrays)
    size = int(gather(len(sent), strategy)[0])
    if not size:
        return None
    words = np.zeros(-(-size // 4) * 4, np.uint8)
    words[: len(sent)] = np.frombuffer(sent, np.uint8)[: len(words)]
    words = words.view(np.int32)
    found = _sum(strategy, lambda replica: words if replica == 0 else np.zeros_like(words)).view(np.uint8)
    return _unpacked(found.tobytes()[:size])


def check_agreement(settings: Mapping[str, str], strategy: tf.distribute.Strategy) -> None:
    """Checks that all workers were started alike; all of them raise where they were not.

    Args:
        settings: Every setting as text, by name.
        strategy: Of all replicas.

    Raises:
        ConfigurationError: When another worker has other settings.
    """
    different = [
        name for name, value in sorted(settings.items()) if name not in _OF_MACHINES and _differs(value, strategy)
    ]
    if different:
        wait_for_all(strategy)
        raise ConfigurationError(
            f"the workers were started with different values of --{', --'.join(different)}. Give all the same command."
        )


def is_over_workers(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a strategy's replicas belong to several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns once all workers have come here: whoever ends must not take along what another still waits for."""
    with contextlib.suppress(*_LOST):
        gather(0.0, strategy)


@contextlib.contextmanager
def among_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Runs what all workers do together, to an end that they come to alike.

    Raises:
        WorkerLostError: In place of what TensorFlow raises when another worker is gone.
    """
    try:
        try:
            yield
        except (GenotypeError, NotFiniteError):
            wait_for_all(strategy)
            raise
        wait_for_all(strategy)
    except _LOST as error:
        if not is_over_workers(strategy):
            raise
        raise WorkerLostError(
            f"another worker stopped or cannot be reached ({_reason(error)}). Start all workers again with the same "
            "command: the run goes on from its last checkpoint."
        ) from error


def _reason(error: tf.errors.OpError) -> str:
    """Returns the line of TensorFlow's message that says what happened."""
    lines = [line.strip() for line in error.message.splitlines()]
    telling = [
        line for line in lines if line and not line.startswith(("Graph execution error", "Detected at", "File "))
    ]
    return telling[0][:200] if telling else type(error).__name__


def _differs(text: str, strategy: tf.distribute.Strategy) -> bool:
    return len(set(gather(zlib.crc32(text.encode(errors="surrogateescape")), strategy))) > 1


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _sum(strategy: tf.distribute.Strategy, value_of: Callable[[int], np.ndarray]) -> np.ndarray:
    if not is_over_workers(strategy):
        return value_of(0)
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(value_of(context.replica_id_in_sync_group))
    )
    total = _all_reduce(strategy, parts)
    return strategy.experimental_local_results(total)[0].numpy()


@tf.function(autograph=False, reduce_retracing=True)
def _all_reduce(strategy: tf.distribute.Strategy, parts: object) -> object:
    def sum_up(part: tf.Tensor) -> tf.Tensor:
        # An argument itself lies on no device, and so has no place to be summed on.
        part = tf.identity(part)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, part)

    return strategy.run(sum_up, args=(parts,))
