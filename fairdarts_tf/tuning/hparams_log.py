"""What TensorBoard's HParams shows of a tuning: what each trial chose, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api

from fairdarts_tf.errors import RunError


def write_trial(folder: Path, trial_id: str, chosen: Mapping[str, object], metrics: Mapping[str, float]) -> None:
    """Writes a trial's choices and numbers.

    Args:
        folder: Of the tuning's event files; the trial's go to a folder of its own there.
        trial_id: Of the trial.
        chosen: Numbers, truth values or texts, by name.
        metrics: By name.

    Raises:
        RunError: When they cannot be written.
    """
    try:
        writer = tf.summary.create_file_writer(str(folder / trial_id))
        with writer.as_default(step=0):
            api.hparams(dict(chosen), trial_id=trial_id)
            for name, value in metrics.items():
                tf.summary.scalar(name, value)
        writer.close()
    except tf.errors.OpError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: tf.errors.OpError) -> RunError:
    return RunError(f"cannot write to {folder}: {error.message.splitlines()[0]}. Check the free space.")
