"""Going on where a run stopped: from its newest checkpoint, and within an epoch too."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf.checkpoints import CorruptCheckpointError, load_latest
from fairdarts_tf.distribution import distribute
from fairdarts_tf.errors import RunError
from fairdarts_tf.model_state import read_state, write_state
from fairdarts_tf.runs import Run
from fairdarts_tf.workers import arrays_from_chief


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Steps done.
        history: What its epochs recorded, as arrays; None where no checkpoint was.
        metrics: The metrics' sums, for a step within an epoch.
        seconds: What the epoch in hand took so far.
        retries: What sent the run back, one entry for each time; each halved the learning rates.
    """

    step: int = 0
    history: Mapping[str, np.ndarray] | None = None
    metrics: list[np.ndarray] | None = None
    seconds: float = 0.0
    retries: tuple[Mapping[str, object], ...] = ()


def restore(run: Run, model: keras.Model, steps_per_epoch: int, before: int | None = None) -> Progress:
    """Sets a model to the newest checkpoint of its run, if there is one; on all workers to what the chief read.

    One that is damaged is named, renamed and passed over.

    Args:
        run: Whose checkpoints.
        model: To be set.
        steps_per_epoch: Steps of an epoch.
        before: Only checkpoints of fewer steps count. Defaults to None: all.

    Raises:
        RunError: When there are checkpoints and none is whole, or it does not fit the model.
    """
    arrays = arrays_from_chief(_newest(run, before) if run.writes else None, model.distribute_strategy)
    if arrays is None:
        return Progress()
    write_state(model, _under("state/", arrays))
    step = int(arrays["step"])
    metrics = _under("metrics/", arrays)
    return Progress(
        step,
        _under("history/", arrays),
        [metrics[str(i)] for i in range(len(metrics))] if step % steps_per_epoch else None,
        float(arrays["seconds_in_epoch"]),
        # Checkpoints of earlier versions know of none.
        tuple(json.loads(bytes(arrays["retries"]).decode())) if "retries" in arrays else (),
    )


def share_state(model: keras.Model) -> None:
    """Sets the model to the chief's state, on all workers."""
    write_state(model, arrays_from_chief(read_state(model), model.distribute_strategy))


def fit_from(
    step: int,
    model: keras.Model,
    batches_from: Callable[[int], tf.data.Dataset],
    *,
    epochs: int,
    steps_per_epoch: int,
    **options: object,
) -> None:
    """Runs `fit`, first for the rest of an epoch that was begun before, if there is one, then for the others.

    Args:
        step: Steps done before.
        model: To be fitted.
        batches_from: Returns the endless batches of the run from a step on.
        epochs: Of the whole run.
        steps_per_epoch: Of a whole epoch.
        options: Of `keras.Model.fit`.
    """
    epoch, done = divmod(step, steps_per_epoch)
    if done:
        rest, batches = steps_per_epoch - done, distribute(batches_from(step), model.distribute_strategy)
        model.fit(batches, initial_epoch=epoch, epochs=epoch + 1, steps_per_epoch=rest, **options)
        epoch += 1
        if model.stop_training:
            return
    if epoch < epochs:
        batches = distribute(batches_from(epoch * steps_per_epoch), model.distribute_strategy)
        model.fit(batches, initial_epoch=epoch, epochs=epochs, steps_per_epoch=steps_per_epoch, **options)


def _newest(run: Run, before: int | None) -> dict[str, np.ndarray] | None:
    arrays, passed_over = load_latest(run.checkpoints, before)
    for error in passed_over:
        print(f"warning: {error} Going on from the one before it.{_set_aside(error)}", file=sys.stderr)
    return arrays


def _set_aside(error: RunError) -> str:
    """Renames a damaged checkpoint, so that it does not count as the one that is kept, and says so."""
    if not isinstance(error, CorruptCheckpointError):
        return ""
    try:
        return f" It is now named {error.set_aside().name}."
    except OSError:
        return ""


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
