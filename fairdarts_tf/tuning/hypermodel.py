"""What every hypermodel of this package offers, beside what KerasTuner asks of one.

Each builds the compiled Keras model of a trial, for KerasTuner's own tuners, and runs a whole trial in a directory of
its own, where it goes on after any stop, for `fairdarts_tf.tuning.run.run_tuning`.
"""

from __future__ import annotations

import signal
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner

from fairdarts_tf.latency_table import FORMS
from fairdarts_tf.tuning.outcome import Judgement, Outcome, TrialStopped


class RunHyperModel(keras_tuner.HyperModel):
    """A hypermodel whose trials are runs in directories.

    Attributes:
        command: The command that its best flags are for.
        columns: What the table of trials shows of a trial's hyperparameters.
        latency: File of latencies and what runs a network, where latency counts.
        defaults: The flags' defaults, for directories of before there was one.
    """

    command: str
    columns: tuple[str, ...] = ()
    latency: tuple[str, str] = ("", FORMS[0])
    defaults: Mapping[str, str] = {}

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Tells KerasTuner of all that may be chosen, building nothing."""
        self.chosen(hp)

    @property
    @abstractmethod
    def epochs(self) -> int:
        """Epochs of a whole trial: what Hyperband divides."""

    @abstractmethod
    def chosen(self, hp: keras_tuner.HyperParameters) -> Mapping[str, Any]:
        """Returns what is chosen in a trial, by its name in TensorBoard."""

    @abstractmethod
    def run(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int, judgement: Judgement) -> Outcome:
        """Runs a trial, or goes on with it.

        Args:
            hp: Of the trial.
            place: Its directory.
            until_epoch: The last epoch that it runs, of `epochs`.
            judgement: Which cost counts.

        Raises:
            GenotypeError: When nothing can be derived of a whole search.
            NotFiniteError: When a number became NaN or infinite.
            TrialStopped: When a signal ended it.
            FairDartsError: When data or directory are unfit.
        """

    @abstractmethod
    def best_settings(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int) -> dict[str, str]:
        """Returns the flags of `command` that repeat a trial at its whole length; arguments as of `run`."""

    @abstractmethod
    def genotype_of(self, place: Path, until_epoch: int) -> Path | None:
        """Returns the file of the genotype that a trial found, or None where it finds none."""

    @abstractmethod
    def as_flags(self) -> dict[str, str]:
        """Returns all that decides its trials besides the hyperparameters, as a flagfile holds it."""


def raise_if_asked_to_stop(by: signal.Signals | None) -> None:
    """Raises a TrialStopped where a signal came during a run, also where that was complete: what follows is not."""
    if by is not None:
        raise TrialStopped(by)
