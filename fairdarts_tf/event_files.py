"""Writing TensorBoard's event files: numbers of an epoch, and errors that people can read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from fairdarts_tf.history import Row
from fairdarts_tf.runs import Run


@contextlib.contextmanager
def readable_errors(run: Run) -> Iterator[None]:
    """Raises a RunError where TensorFlow cannot write a run's event files."""
    try:
        yield
    except tf.errors.OpError as error:
        # TensorFlow's message: the operation, the file, "; ", the system's reason, then what followed from it.
        reason = error.message.splitlines()[0].rsplit("; ", 1)[-1]
        raise run.cannot_write(OSError(reason)) from error


def write_row(row: Row) -> None:
    """Writes all numbers of an epoch that were measured."""
    for name, value in row.items():
        if name != "epoch" and value is not None:
            tf.summary.scalar(name, value)
