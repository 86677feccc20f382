"""Where everything of a tuning is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial

PROJECT = "keras_tuner"
"""KerasTuner's own directory."""
TENSORBOARD = "tensorboard"
TABLE = "trials.csv"
BEST_FLAGS = "best.flags"
BEST_RUN = "best"

_EPOCHS, _EARLIER = "tuner/epochs", "tuner/trial_id"
"""Hyperparameters by which Hyperband says how far a trial is to go, and with which it goes on."""


class Places:
    """The directories of a tuning's trials.

    Args:
        workdir: The tuning's directory.
    """

    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir

    def of(self, trial: Trial, find: Callable[[str], Trial]) -> Path:
        """Returns the directory of a trial's runs: one that goes on with another has that one's.

        Args:
            trial: Any.
            find: Returns a trial by its id.
        """
        while _EARLIER in trial.hyperparameters.values:
            trial = find(trial.hyperparameters.values[_EARLIER])
        return self.workdir / "trials" / trial.trial_id

    def epochs_of(self, trial: Trial, whole: int) -> int:
        """Returns the last epoch of a trial, of so many."""
        return int(trial.hyperparameters.values.get(_EPOCHS, whole))

    def failure(self, trial_id: str) -> Path:
        """Returns the file that says why a trial failed."""
        return self.workdir / "trials" / trial_id / "failure.txt"
