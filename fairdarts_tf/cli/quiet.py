"""Loading TensorFlow without the lines that its C++ code prints before any setting can stop it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


def load_tensorflow() -> None:
    """Imports TensorFlow and finds its devices in silence; Python's own errors are raised as ever."""
    with _silent_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Points the process' standard error, below Python's, at nothing."""
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
