"""Going on where a run stopped: from its newest checkpoint, and within an epoch too."""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Mapping
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf.checkpoints import CorruptCheckpointError, load_latest, path_of
from fairdarts_tf.distribution import distribute
from fairdarts_tf.errors import RunError
from fairdarts_tf.history import Row, read_rows
from fairdarts_tf.model_state import read_state, write_state
from fairdarts_tf.runs import Run
from fairdarts_tf.workers import arrays_from_chief

RETRY_COLUMNS = ("failed_step", "what", "went_back_to", "rate_factor")
"""Columns of retries.csv: the step that was not finite, what of it, the step that the run went on from, and what the
learning rates of the settings are multiplied by since then."""


class Recorded(Protocol):
    """A history of epochs: a dataclass of lists, which are empty at first."""

    rows: list[Row]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns all of it as arrays."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Recorded:
        """Reads what `to_arrays` returned; raises a KeyError or a ValueError where it is something else."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        history: What its epochs recorded.
        step: Steps done.
        metrics: The metrics' sums, for a step within an epoch.
        seconds: What the epoch in hand took so far.
        retries: What sent the run back, one row of `RETRY_COLUMNS` for each time; each halved the learning rates.
    """

    history: Recorded
    step: int = 0
    metrics: list[np.ndarray] | None = None
    seconds: float = 0.0
    retries: tuple[Row, ...] = ()


def restore(
    run: Run, model: keras.Model, recorded: type[Recorded], steps_per_epoch: int, before: int | None = None
) -> Progress:
    """Sets a model to the newest checkpoint of its run, if there is one; on all workers to what the chief read.

    One that is damaged is named, renamed and passed over.

    Args:
        run: Whose checkpoints.
        model: To be set.
        recorded: The kind of the run's history.
        steps_per_epoch: Steps of an epoch.
        before: Only checkpoints of fewer steps count. Defaults to None: all.

    Raises:
        RunError: When there are checkpoints and none is whole, or it does not fit the model.
    """
    arrays = arrays_from_chief(_newest(run, before) if run.writes else None, model.distribute_strategy)
    if arrays is None:
        return Progress(recorded())
    try:
        progress = _read_progress(arrays, model, recorded, steps_per_epoch)
        write_state(model, _under("state/", arrays))
    except RunError as error:
        raise RunError(f"{path_of(run.checkpoints, int(arrays['step']))}: {error}") from None
    return progress


def _read_progress(
    arrays: Mapping[str, np.ndarray], model: keras.Model, recorded: type[Recorded], steps_per_epoch: int
) -> Progress:
    """Reads all of a checkpoint but the model's state.

    Raises:
        RunError: When something of it is missing, or is what no run of this model saves.
    """
    step = int(arrays["step"])
    try:
        tables = _under("history/", arrays)
        _check_tables(tables, model)
        history = recorded.from_arrays(tables)
        if len(history.rows) != step // steps_per_epoch:
            raise ValueError(f"{len(history.rows)} epochs after {step} steps, of which {steps_per_epoch} make one")
        seconds = float(arrays["seconds_in_epoch"])
        if not 0 <= seconds < math.inf:
            raise ValueError(f"an epoch of {seconds} seconds")
        return Progress(
            history,
            step,
            _metrics(arrays, model) if step % steps_per_epoch else None,
            seconds,
            # Checkpoints of earlier versions know of none.
            tuple(read_rows(arrays["retries"], RETRY_COLUMNS, words=("what",))) if "retries" in arrays else (),
        )
    except (KeyError, ValueError, TypeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise RunError(
            f"the checkpoint is undamaged, but no run of these settings on these data saves such a one: {reason:.200}. "
            "Restore the data, if they have changed; or delete it, and the run goes on from the one before it."
        ) from None


def _check_tables(history: Mapping[str, np.ndarray], model: keras.Model) -> None:
    """Checks that alphas of epochs, where there are any, are of the model's own shape."""
    tables = {name: value.shape[1:] for name, value in history.items() if name not in ("rows", "epoch")}
    expected = {kind: table.shape for kind, table in model.alphas_of_last_step().items()}
    if tables and tables != expected:
        raise ValueError(f"alphas of shape {tables}, and not {expected}")


def _metrics(arrays: Mapping[str, np.ndarray], model: keras.Model) -> list[np.ndarray]:
    found = _under("metrics/", arrays)
    values = [found[str(i)] for i in range(len(model.metrics_variables))]
    for value, variable in zip(values, model.metrics_variables, strict=True):
        if value.shape != tuple(variable.shape):
            raise ValueError(f"a metric of shape {value.shape}")
    return values


def share_state(model: keras.Model) -> None:
    """Sets the model to the chief's state, on all workers."""
    write_state(model, arrays_from_chief(read_state(model), model.distribute_strategy))


def fit_from(
    step: int,
    model: keras.Model,
    batches_from: Callable[..., tf.data.Dataset],
    *,
    epochs: int,
    steps_per_epoch: int,
    **options: object,
) -> None:
    """Runs `fit`, first for the rest of an epoch that was begun before, if there is one, then for the others.

    Args:
        step: Steps done before.
        model: To be fitted.
        batches_from: Returns the endless batches of the run from a step on, or those ``parts`` of each that it is
            asked for.
        epochs: Of the whole run.
        steps_per_epoch: Of a whole epoch.
        options: Of `keras.Model.fit`.
    """
    epoch, done = divmod(step, steps_per_epoch)
    if done:
        batches = distribute(functools.partial(batches_from, step), model.distribute_strategy)
        rest = steps_per_epoch - done
        model.fit(batches, initial_epoch=epoch, epochs=epoch + 1, steps_per_epoch=rest, **options)
        epoch += 1
        if model.stop_training:
            return
    if epoch < epochs:
        batches = distribute(functools.partial(batches_from, epoch * steps_per_epoch), model.distribute_strategy)
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
