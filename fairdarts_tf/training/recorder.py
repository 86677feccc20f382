"""What a training records after each epoch: numbers, and the weights of the best epoch and of the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from fairdarts_tf.files import write_text_atomically
from fairdarts_tf.found_network import save_weights
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.resuming import Progress
from fairdarts_tf.runs import Run
from fairdarts_tf.training.settings import TrainSettings


class TrainRecorder(Recorder):
    """Records the epochs of a training.

    Args:
        run: Where to.
        settings: The training's.
        steps_per_epoch: Steps of an epoch.
        progress: Where the training stands.
        interrupted: Whether the training is being stopped.

    Attributes:
        confusion: The confusion matrix of the held-back images after the last epoch, (classes, classes), rows by label;
            None before it, and where none are held back.
    """

    def __init__(
        self,
        run: Run,
        settings: TrainSettings,
        steps_per_epoch: int,
        progress: Progress,
        interrupted: Callable[[], bool],
    ) -> None:
        super().__init__(run, steps_per_epoch, settings.checkpoint_steps, progress, interrupted)
        self.settings = settings
        self.confusion: np.ndarray | None = None
        self._seconds_of_training: float | None = None

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Stops the clock, as validation comes after the training of an epoch, and begins to count confusions."""
        self._seconds_of_training = self._seconds()
        self.model.confusion.reset()

    def record(self, epoch: int, logs: Mapping[str, float], seconds: float) -> None:
        """Appends the epoch's row and keeps its weights.

        They are written before the checkpoint that counts the epoch: a kill in between repeats the epoch, and loses
        none.
        """
        seconds, self._seconds_of_training = self._seconds_of_training or seconds, None
        loss_scale = self.model.optimizer.loss_scale
        self.history.append(
            {
                "epoch": epoch + 1,
                "train_loss": float(logs["loss"]),
                "train_accuracy": float(logs["accuracy"]),
                "validation_loss": _number(logs, "val_loss"),
                "validation_accuracy": _number(logs, "val_accuracy"),
                "learning_rate": self.settings.learning_rate_at(epoch) * self.rate_factor,
                "drop_path": self.settings.drop_path_rate_at(epoch),
                "skipped_steps": None if loss_scale is None else int(loss_scale.skipped_steps.numpy()),
                "seconds": seconds,
                "images_per_second": self.settings.batch_size * self.steps_per_epoch / seconds,
            }
        )
        # All workers read them together.
        weights = self.model.kept_weights()
        if epoch + 1 == self.settings.epochs and "val_loss" in logs:
            self.confusion = self.model.confusion.read()
        if not self.run.writes:
            return
        try:
            if self.history.best_epoch() == epoch + 1:
                save_weights(self.run.workdir, "best", weights)
            save_weights(self.run.workdir, "last", weights)
        except OSError as error:
            raise self.run.cannot_write(error) from error

    def write_files(self) -> None:
        """Writes the history."""
        try:
            write_text_atomically(self.run.workdir / "history.csv", self.history.csv())
        except OSError as error:
            raise self.run.cannot_write(error) from error


def _number(logs: Mapping[str, float], name: str) -> float | None:
    return float(logs[name]) if name in logs else None
