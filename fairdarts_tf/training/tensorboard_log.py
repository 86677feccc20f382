"""What TensorBoard shows of a training: its numbers by epoch."""

from __future__ import annotations

import contextlib
import functools

import tensorflow as tf

from fairdarts_tf.event_files import readable_errors, write_row
from fairdarts_tf.history import Row
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.runs import Run


class TensorBoardLog:
    """Writes each epoch's numbers to event files.

    Args:
        run: Whose ``tensorboard`` directory is written.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    @functools.cached_property
    def _writer(self) -> tf.summary.SummaryWriter:
        """Made with the first epoch, as making it leaves a file."""
        return tf.summary.create_file_writer(str(self._run.tensorboard))

    def __call__(self, row: Row, recorder: Recorder) -> None:
        """Writes one epoch.

        Raises:
            RunError: When the files cannot be written.
        """
        with readable_errors(self._run), self._writer.as_default(step=int(row["epoch"])):
            write_row(row)
            self._writer.flush()

    def close(self) -> None:
        """Closes the file, if there is one; each epoch is in it already."""
        if "_writer" in self.__dict__:
            with contextlib.suppress(tf.errors.OpError):
                self._writer.close()
