"""What every run records: its epochs, and checkpoints from which it goes on to the bit."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

import keras
import numpy as np

from fairdarts_tf.checkpoints import list_checkpoints, save_checkpoint, step_of
from fairdarts_tf.failed_step import FailedStepError
from fairdarts_tf.files import write_text_atomically
from fairdarts_tf.history import Row, pack_rows, rows_as_csv
from fairdarts_tf.model_state import read_metrics, read_state, write_metrics
from fairdarts_tf.resuming import RETRY_COLUMNS, Progress
from fairdarts_tf.runs import Run


class Recorder(keras.callbacks.Callback):
    """Records each epoch in the run's files, and saves checkpoints. What an epoch comes to, a subclass says.

    Args:
        run: Where to.
        steps_per_epoch: Steps of an epoch.
        checkpoint_steps: Steps between checkpoints within an epoch; 0 for none.
        progress: Where the run stands.
        interrupted: Whether the run is being stopped, so that an epoch's end may be no end.

    Attributes:
        history: What is recorded so far; extended in place.
        step: Steps done.
        retries: What sent the run back, one row of `RETRY_COLUMNS` for each time.
        on_epoch: Called with the row of each epoch once it is on disk, where this process writes.
    """

    def __init__(
        self,
        run: Run,
        steps_per_epoch: int,
        checkpoint_steps: int,
        progress: Progress,
        interrupted: Callable[[], bool],
    ) -> None:
        super().__init__()
        self.run = run
        self.history = progress.history
        self.steps_per_epoch = steps_per_epoch
        self.checkpoint_steps = checkpoint_steps
        self.interrupted = interrupted
        self.on_epoch: list[Callable[[Row, Recorder], None]] = []
        self._began = 0.0
        self.retries: list[Row] = [dict(row) for row in progress.retries]
        self._stand_at(progress)

    @property
    def rate_factor(self) -> float:
        """What the learning rates of the settings are multiplied by: each retry halves them."""
        return 0.5 ** len(self.retries)

    def record(self, epoch: int, logs: Mapping[str, float], seconds: float) -> None:
        """Appends an epoch to the history; a checkpoint follows.

        Args:
            epoch: Counted from 0.
            logs: The metrics' means.
            seconds: What it took.
        """
        raise NotImplementedError

    def write_files(self) -> None:
        """Writes the files that follow from the history; raises a RunError where it cannot."""
        raise NotImplementedError

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts the clock and, within an epoch that was begun before, puts the metrics back."""
        self._began = time.perf_counter()
        if self._resumed_metrics is not None:
            write_metrics(self.model, self._resumed_metrics)
            self._resumed_metrics = None

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Counts the step and saves where a checkpoint is due.

        Raises:
            FailedStepError: When its loss or gradient is NaN or infinite; nothing of it is saved.
        """
        self.step += 1
        not_finite = self.model.finite_check.found()
        if not_finite:
            raise FailedStepError(self.step, not_finite)
        due = self.checkpoint_steps and self.step % self.checkpoint_steps == 0
        within_epoch = self.step % self.steps_per_epoch != 0
        if within_epoch and (due or self.interrupted()):
            self.save(self._seconds())

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Records the epoch, unless it was broken off."""
        if self.step % self.steps_per_epoch != 0:
            return
        seconds = self._seconds()
        self._seconds_before = 0.0
        self.record(epoch, logs or {}, seconds)
        self.save(0.0)
        if not self.run.writes:
            return
        self.write_files()
        for notify in self.on_epoch:
            notify(self.history.rows[-1], self)

    def save(self, seconds_in_epoch: float) -> None:
        """Writes a checkpoint of the run as it stands; all workers must call it, to read the state together."""
        arrays = {f"state/{name}": value for name, value in read_state(self.model).items()}
        arrays |= {f"history/{name}": value for name, value in self.history.to_arrays().items()}
        arrays |= {f"metrics/{i}": value for i, value in enumerate(read_metrics(self.model))}
        arrays["seconds_in_epoch"] = np.float64(seconds_in_epoch)
        arrays["retries"] = pack_rows(self.retries)
        if not self.run.writes:
            return
        try:
            save_checkpoint(self.run.checkpoints, self.step, arrays)
            if self.retries:
                write_text_atomically(self.run.workdir / "retries.csv", rows_as_csv(RETRY_COLUMNS, self.retries))
        except OSError as error:
            raise self.run.cannot_write(error) from error

    def go_back(self, progress: Progress, failed: FailedStepError) -> None:
        """Goes on from a checkpoint, to which the model is set already, with half the learning rates.

        That is saved at once, so that it outlives a stop; checkpoints of later steps are removed.

        Args:
            progress: What the checkpoint says.
            failed: The step that was not finite.
        """
        self._stand_at(progress)
        for field in dataclasses.fields(progress.history):
            getattr(self.history, field.name)[:] = getattr(progress.history, field.name)
        row = {"failed_step": failed.step, "what": failed.what[0], "went_back_to": self.step}
        self.retries.append(row | {"rate_factor": self.rate_factor / 2})
        self.model.finite_check.reset()
        self.save(self._seconds_before)
        for path in list_checkpoints(self.run.checkpoints):
            if step_of(path) > self.step:
                path.unlink(missing_ok=True)

    def _stand_at(self, progress: Progress) -> None:
        self.step = progress.step
        self._resumed_metrics = progress.metrics
        self._seconds_before = progress.seconds

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._began
