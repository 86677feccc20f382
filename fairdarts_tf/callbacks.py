"""What happens beside the steps of a search: saving, showing, logging and stopping."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

import keras
import numpy as np
from tqdm import tqdm

from fairdarts_tf.checkpoints import save_checkpoint
from fairdarts_tf.errors import FairDartsError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.history import History, Row, count_operations
from fairdarts_tf.runs import Run
from fairdarts_tf.search_state import read_metrics, read_state, write_metrics
from fairdarts_tf.settings import SearchSettings


class StopOnSignal(keras.callbacks.Callback):
    """Ends the search after the step in hand when the user or the system asks for it.

    Attributes:
        received: The signal that came, or None.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        super().__init__()
        self.received: signal.Signals | None = None
        self._previous: dict[signal.Signals, object] = {}

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Takes over the signals; outside the main thread they cannot be, and stay as they are."""
        try:
            self._previous = {number: signal.signal(number, self._receive) for number in self.SIGNALS}
        except ValueError:
            self._previous = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Lets `fit` end where a signal came."""
        if self.received is not None:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Hands the signals back."""
        self.release()

    def release(self) -> None:
        """Hands the signals back, also where `fit` ended with an error."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            # The second time the user means it.
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        print("stopping after this step; once more to stop at once without saving", file=sys.stderr)


class WarmUp(keras.callbacks.Callback):
    """Lets the first epochs update the weights alone.

    Args:
        epochs: How many.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Switches the updates of the alphas on or off; the step is traced anew where that changes it."""
        updates_alphas = epoch >= self.epochs
        if updates_alphas != self.model.updates_alphas:
            self.model.updates_alphas = updates_alphas
            self.model.make_train_function(force=True)


class Recorder(keras.callbacks.Callback):
    """Records each epoch in the run's files, and saves checkpoints.

    Args:
        run: Where to.
        settings: The search's.
        history: What is recorded so far; extended in place.
        derive: From mixing weights to a genotype; raises a FairDartsError where there is none.
        steps_per_epoch: Steps of an epoch.
        first_step: Steps done before.
        interrupted: Whether the search is being stopped, so that an epoch's end may be no end.
        resumed_metrics: The metrics' sums at the first step, if it lies within an epoch.
        resumed_seconds: Seconds that this epoch took before.

    Attributes:
        genotype: What was derived after the last epoch, or None.
        step: Steps done.
        on_epoch: Called with the row of each epoch once it is on disk.
    """

    def __init__(
        self,
        run: Run,
        settings: SearchSettings,
        history: History,
        derive: Callable[[dict[str, np.ndarray]], Genotype],
        steps_per_epoch: int,
        first_step: int,
        interrupted: Callable[[], bool],
        resumed_metrics: list[np.ndarray] | None = None,
        resumed_seconds: float = 0.0,
    ) -> None:
        super().__init__()
        self.run = run
        self.settings = settings
        self.history = history
        self.derive = derive
        self.steps_per_epoch = steps_per_epoch
        self.step = first_step
        self.interrupted = interrupted
        self.genotype: Genotype | None = None
        self.on_epoch: list[Callable[[Row, Recorder], None]] = []
        self._resumed_metrics = resumed_metrics
        self._seconds_before = resumed_seconds
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts the clock and, within an epoch that was begun before, puts the metrics back."""
        self._began = time.perf_counter()
        if self._resumed_metrics is not None:
            write_metrics(self.model, self._resumed_metrics)
            self._resumed_metrics = None

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Counts the step and saves where a checkpoint is due."""
        self.step += 1
        every = self.settings.checkpoint_steps
        due = every and self.step % every == 0
        within_epoch = self.step % self.steps_per_epoch != 0
        if within_epoch and (due or self.interrupted()):
            self.save(self._seconds())

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Records the epoch, unless it was broken off."""
        if self.step % self.steps_per_epoch != 0:
            return
        seconds = self._seconds()
        self._seconds_before = 0.0
        mixing_weights = self.model.mixing_weights()
        self.try_to_derive(mixing_weights)
        row = self._row(epoch, logs or {}, seconds)
        row |= count_operations(mixing_weights, self.settings.operations, self.settings.threshold, self.genotype)
        self.history.append(row, self.model.alphas())
        self.save(0.0)
        self.write_files()
        for notify in self.on_epoch:
            notify(self.history.rows[-1], self)

    def save(self, seconds_in_epoch: float) -> None:
        """Writes a checkpoint of the search as it stands."""
        arrays = {f"state/{name}": value for name, value in read_state(self.model).items()}
        arrays |= {f"history/{name}": value for name, value in self.history.to_arrays().items()}
        arrays |= {f"metrics/{i}": value for i, value in enumerate(read_metrics(self.model))}
        arrays["seconds_in_epoch"] = np.float64(seconds_in_epoch)
        try:
            save_checkpoint(self.run.checkpoints, self.step, arrays)
        except OSError as error:
            raise self.run.cannot_write(error) from error

    def write_files(self) -> None:
        """Writes the files that follow from the history."""
        try:
            self.run.write_epoch(self.history, self.genotype)
        except OSError as error:
            raise self.run.cannot_write(error) from error

    def try_to_derive(self, mixing_weights: dict[str, np.ndarray]) -> FairDartsError | None:
        """Sets `genotype` to what mixing weights give, or to None where there is none; then returns the reason."""
        try:
            self.genotype = self.derive(mixing_weights)
        except FairDartsError as error:
            self.genotype = None
            return error
        return None

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._began

    def _row(self, epoch: int, logs: dict[str, float], seconds: float) -> Row:
        halves = 1 if self.settings.single_level or epoch < self.settings.warmup_epochs else 2
        images = halves * self.settings.batch_size * self.steps_per_epoch
        row: Row = {name: float(value) for name, value in logs.items() if name in ("train_loss", "train_accuracy")}
        if halves == 2:
            row |= {name: float(logs[name]) for name in ("search_loss", "search_accuracy")}
        if epoch >= self.settings.warmup_epochs:
            row["zero_one"] = float(logs["zero_one"])
        return row | {
            "epoch": epoch + 1,
            "learning_rate": self.settings.learning_rate_at(epoch),
            "seconds": seconds,
            "images_per_second": images / seconds,
        }


class ProgressBar(keras.callbacks.Callback):
    """Shows how far the whole search is and how long it will take; nothing where the output is no terminal.

    Args:
        total: Steps of the whole search.
        first_step: Steps done before.
    """

    def __init__(self, total: int, first_step: int) -> None:
        super().__init__()
        self.total = total
        self.first_step = first_step
        self.bar: tqdm | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Opens the bar."""
        if self.bar is None:
            self.bar = tqdm(
                total=self.total,
                initial=self.first_step,
                unit="step",
                disable=None,
                dynamic_ncols=True,
                smoothing=0.05,
                desc="search",
            )

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Advances the bar."""
        if not self.bar.disable:
            self.bar.set_postfix(loss=f"{float(logs['train_loss']):.3f}", refresh=False)
        self.bar.update()

    def write(self, text: str) -> None:
        """Prints above the bar."""
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        """Removes the bar."""
        if self.bar is not None:
            self.bar.close()
