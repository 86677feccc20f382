"""Writing TensorBoard's event files: what those of every run hold, and errors that people can read."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf.history import Row
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.runs import FREE_TO_CHANGE, Run

MOST_HISTOGRAMS = 100
"""How often the histograms of weights are written in a run, so that its files stay small."""

_HOW_IT_RAN = frozenset({"learning_rate", "drop_path", "skipped_steps", "seconds", "images_per_second"})
"""Numbers of an epoch that say nothing of what a run came to."""


class EventLog:
    """Writes each epoch's numbers, now and then histograms of the weights, and a run's settings and final numbers.

    The settings and the scalars ``final/...`` are what TensorBoard's tab HParams compares runs by. A subclass says what
    else an epoch has to show.

    Args:
        run: Whose ``tensorboard`` directory is written.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    def write_epoch(self, row: Row, recorder: Recorder, is_last: bool) -> None:
        """Writes what else is shown of an epoch; its step is set.

        Args:
            row: The epoch's row of the history.
            recorder: What recorded it.
            is_last: Whether the run is complete with it.
        """
        raise NotImplementedError

    def weights(self, recorder: Recorder) -> Mapping[str, np.ndarray]:
        """Returns the weights that histograms are of, by the part of the network that they belong to."""
        raise NotImplementedError

    def is_last(self, row: Row, recorder: Recorder) -> bool:
        """Returns whether a run is complete with an epoch."""
        return row["epoch"] == recorder.settings.epochs

    def final_row(self, recorder: Recorder) -> Row:
        """Returns the row of the history that a complete run is judged by."""
        raise NotImplementedError

    @functools.cached_property
    def _writer(self) -> tf.summary.SummaryWriter:
        """Made with the first epoch, as making it leaves a file."""
        return tf.summary.create_file_writer(str(self.run.tensorboard))

    def __call__(self, row: Row, recorder: Recorder) -> None:
        """Writes one epoch.

        Raises:
            RunError: When the files cannot be written.
        """
        with readable_errors(self.run):
            is_first = "_writer" not in self.__dict__
            with self._writer.as_default(step=int(row["epoch"])):
                if is_first:
                    _write_settings(recorder.settings, float(row["seconds"] or 0.0))
                self._write(row, recorder)
            self._writer.flush()

    def close(self) -> None:
        """Closes the file, if there is one; each epoch is in it already."""
        if "_writer" in self.__dict__:
            with contextlib.suppress(tf.errors.OpError):
                self._writer.close()

    def _write(self, row: Row, recorder: Recorder) -> None:
        is_last = self.is_last(row, recorder)
        write_row(row)
        if is_last or row["epoch"] % -(-recorder.settings.epochs // MOST_HISTOGRAMS) == 0:
            for part, values in self.weights(recorder).items():
                tf.summary.histogram(f"weights/{part}", values)
        self.write_epoch(row, recorder, is_last)
        if is_last:
            final = self.final_row(recorder)
            write_row({name: value for name, value in final.items() if name not in _HOW_IT_RAN}, "final/")
            _write_end()


@contextlib.contextmanager
def readable_errors(run: Run) -> Iterator[None]:
    """Raises a RunError where TensorFlow cannot write a run's event files."""
    try:
        yield
    except tf.errors.OpError as error:
        # TensorFlow's message: the operation, the file, "; ", the system's reason, then what followed from it.
        reason = error.message.splitlines()[0].rsplit("; ", 1)[-1]
        raise run.cannot_write(OSError(reason)) from error


def write_row(row: Row, prefix: str = "") -> None:
    """Writes all numbers of an epoch that were measured.

    Args:
        row: A row of a history.
        prefix: Of the scalars' names. Defaults to none.
    """
    for name, value in row.items():
        if name != "epoch" and value is not None:
            tf.summary.scalar(f"{prefix}{name}", value)


def hyperparameters(settings: Any) -> dict[str, bool | int | float | str]:
    """Returns the settings that decide what a run computes, as TensorBoard's tab HParams takes them."""
    flags = settings.as_flags()
    values = {name: getattr(settings, name) for name in flags if name not in FREE_TO_CHANGE}
    return {name: flags[name] if isinstance(value, tuple) else value for name, value in values.items()}


def by_part(variables: Iterable[keras.Variable], network: str) -> dict[str, np.ndarray]:
    """Returns all values of variables, flat, by the part of a network that they belong to, as ``cell_3``.

    Args:
        variables: Its variables.
        network: Its name.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for variable in variables:
        names = variable.path.split("/")
        part = names[1] if names[0] == network and len(names) > 2 else names[0]
        parts.setdefault(part, []).append(np.ravel(variable.numpy()).astype(np.float32))
    return {part: np.concatenate(values) for part, values in parts.items()}


def _write_settings(settings: Any, seconds_ago: float) -> None:
    from tensorboard.plugins.hparams import api

    api.hparams(hyperparameters(settings), start_time_secs=time.time() - seconds_ago)


def _write_end() -> None:
    from tensorboard.plugins.hparams import api_pb2, summary

    end = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
    tf.summary.experimental.write_raw_pb(end.SerializeToString())
