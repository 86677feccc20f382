"""What a search records after each epoch: losses, alphas, and the genotype so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from fairdarts_tf.early_stopping import find_stop
from fairdarts_tf.errors import FairDartsError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import Row, count_operations
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.resuming import Progress
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings

_ZERO_ONE_AND_PENALTIES = ("zero_one", "node_penalty", "cost_penalty")


class SearchRecorder(Recorder):
    """Records the epochs of a search.

    Args:
        run: Where to.
        settings: The search's.
        derive: From mixing weights to a genotype; raises a FairDartsError where there is none.
        steps_per_epoch: Steps of an epoch.
        progress: Where the search stands.
        interrupted: Whether the search is being stopped.

    Attributes:
        genotype: What was derived after the last epoch, or None.
        stop: How the search stopped early, or None.
        measures: Called with the steps done after each epoch; they return what else its row holds.
    """

    def __init__(
        self,
        run: Run,
        settings: SearchSettings,
        derive: Callable[[dict[str, np.ndarray]], AnyGenotype],
        steps_per_epoch: int,
        progress: Progress,
        interrupted: Callable[[], bool],
    ) -> None:
        super().__init__(run, steps_per_epoch, settings.checkpoint_steps, progress, interrupted)
        self.settings = settings
        self.derive = derive
        self.genotype: AnyGenotype | None = None
        self.stop = find_stop(self.history, settings)
        self.measures: list[Callable[[int], Row]] = []

    def record(self, epoch: int, logs: Mapping[str, float], seconds: float) -> None:
        """Appends the epoch's row and its alphas."""
        self.history.append(self._row(epoch, logs, seconds), self.model.alphas())
        self.try_to_derive()
        self.history.rows[-1] |= count_operations(
            self.model.mixing_weights(), self.settings.derivation.space.in_play, self.settings.threshold, self.genotype
        )
        for measure in self.measures:
            self.history.rows[-1] |= measure(self.step)
        self.stop = find_stop(self.history, self.settings)
        if self.stop is not None:
            self.try_to_derive()
            self.model.stop_training = True

    def write_files(self) -> None:
        """Writes history, alphas and genotype, and how the search stopped early if it did."""
        try:
            self.run.write_epoch(self.history, self.genotype, self.stop.counts if self.stop else None)
            if self.stop is not None:
                self.stop.save(self.run.workdir)
        except OSError as error:
            raise self.run.cannot_write(error) from error

    def weights_that_decide(self) -> dict[str, np.ndarray]:
        """Returns the mixing weights that the genotype is derived from, (edges, operations) by kind of cell."""
        end = self.stop.counts if self.stop else None
        return self.settings.derivation.weights_after(
            {kind: tables[:end] for kind, tables in self.history.tables().items()}
        )

    def try_to_derive(self) -> FairDartsError | None:
        """Sets `genotype` to what the recorded alphas give, or to None where there is none; then returns the reason."""
        try:
            self.genotype = self.derive(self.weights_that_decide())
        except FairDartsError as error:
            self.genotype = None
            return error
        return None

    def _row(self, epoch: int, logs: Mapping[str, float], seconds: float) -> Row:
        halves = 1 if self.settings.single_level or epoch < self.settings.warmup_epochs else 2
        images = halves * self.settings.batch_size * self.steps_per_epoch
        row: Row = {name: float(value) for name, value in logs.items() if name in ("train_loss", "train_accuracy")}
        if halves == 2:
            row |= {name: float(logs[name]) for name in ("search_loss", "search_accuracy")}
        if epoch >= self.settings.warmup_epochs:
            row |= {name: float(logs[name]) for name in _ZERO_ONE_AND_PENALTIES if name in logs}
        return row | {
            "epoch": epoch + 1,
            "learning_rate": self.settings.learning_rate_at(epoch) * self.rate_factor,
            "skipped_steps": self.model.skipped_steps,
            "seconds": seconds,
            "images_per_second": images / seconds,
        }
