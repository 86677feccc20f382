"""Loading TensorFlow without the lines that its C++ code prints before any setting can stop it."""

from __future__ import annotations

from fairdarts_tf.silence import silent_stderr


def load_tensorflow() -> None:
    """Imports TensorFlow and finds its devices in silence; Python's own errors are raised as ever."""
    with silent_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()
