"""What happens beside the steps of a run: stopping, warming up, showing."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import keras
from tqdm import tqdm

from fairdarts_tf.workers import gather


class StopOnSignal(keras.callbacks.Callback):
    """Ends the run after the step in hand when the user or the system asks for it, on all workers alike.

    Attributes:
        received: The signal that came, here or at another worker, or None.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        super().__init__()
        self.received: signal.Signals | None = None
        self._received_here: signal.Signals | None = None
        self._previous: dict[signal.Signals, object] = {}

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Takes over the signals; outside the main thread they cannot be, and stay as they are."""
        if self._previous:
            # `fit` ended with an error and begins again.
            return
        try:
            self._previous = {number: signal.signal(number, self._receive) for number in self.SIGNALS}
        except ValueError:
            self._previous = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Lets `fit` end where a signal came."""
        self._agree()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Hands the signals back; one that came after the last step, as in a validation, counts too."""
        self.release()
        self._agree()

    def release(self) -> None:
        """Hands the signals back, also where `fit` ended with an error."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _agree(self) -> None:
        """Takes note, on all workers at once, of a signal that came at any."""
        number = max(gather(self._received_here or 0, self.model.distribute_strategy))
        self.received = signal.Signals(int(number)) if number else None
        if self.received is not None:
            self.model.stop_training = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received_here is not None:
            # The second time the user means it.
            raise KeyboardInterrupt
        self._received_here = signal.Signals(number)
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


class ProgressBar(keras.callbacks.Callback):
    """Shows how far the whole run is and how long it will take; nothing where the output is no terminal.

    Args:
        title: What runs.
        total: Steps of the whole run.
        first_step: Steps done before.
        shown: Whether there is a bar at all. Defaults to True.
    """

    def __init__(self, title: str, total: int, first_step: int, shown: bool = True) -> None:
        super().__init__()
        self.shown = shown
        self.title = title
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
                disable=None if self.shown else True,
                dynamic_ncols=True,
                smoothing=0.05,
                desc=self.title,
            )

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Advances the bar."""
        if not self.bar.disable:
            self.bar.set_postfix(loss=f"{float(logs['train_loss']):.3f}", refresh=False)
        self.bar.update()

    def go_back(self, step: int) -> None:
        """Shows that the run goes on from an earlier step."""
        if self.bar is not None:
            self.bar.n = step
            self.bar.refresh()

    def write(self, line: str, more: str = "") -> None:
        """Prints above the bar.

        Args:
            line: What belongs into a log too.
            more: Lines that only a terminal shows. Defaults to none.
        """
        tqdm.write(f"{line}\n{more}" if more and sys.stdout.isatty() else line, file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        """Removes the bar."""
        if self.bar is not None:
            self.bar.close()
