"""A profile of some steps of a run, which TensorBoard's profiler shows."""

from __future__ import annotations

import keras
import tensorflow as tf

from fairdarts_tf.event_files import readable_errors
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.runs import Run
from fairdarts_tf.settings_checks import profiled_steps


class StepProfiler(keras.callbacks.Callback):
    """Profiles the steps that a setting names, into ``plugins/profile`` of the run's ``tensorboard`` directory.

    Of several workers only the chief does.

    Args:
        run: Whose directory.
        steps: As `fairdarts_tf.settings_checks.profiled_steps` reads them; empty for none.
        recorder: What counts the steps; before this among the callbacks.
    """

    def __init__(self, run: Run, steps: str, recorder: Recorder) -> None:
        super().__init__()
        self._run = run
        self._steps = profiled_steps(steps) if run.writes else range(0)
        self._recorder = recorder
        self._is_on = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Begins with the first of the steps, or, in a run that goes on among them, with the next.

        Raises:
            RunError: When the directory cannot be written.
        """
        if self._is_on or self._recorder.step + 1 not in self._steps:
            return
        with readable_errors(self._run):
            options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
            tf.profiler.experimental.start(str(self._run.tensorboard), options=options)
        self._is_on = True

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Ends after the last of the steps; raises a RunError where nothing can be written."""
        if self._recorder.step + 1 not in self._steps:
            self.release()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Ends where the run does; raises a RunError where nothing can be written."""
        self.release()

    def release(self) -> None:
        """Ends, also where `fit` ended with an error.

        Raises:
            RunError: When the directory cannot be written.
        """
        if not self._is_on:
            return
        self._is_on = False
        with readable_errors(self._run):
            tf.profiler.experimental.stop()
