"""The tuner: it runs what an oracle chooses, each trial in a directory where it goes on after a stop."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import keras_tuner
import tensorflow as tf
from keras_tuner.engine import base_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from fairdarts_tf.errors import GenotypeError, NotFiniteError
from fairdarts_tf.files import write_text_atomically
from fairdarts_tf.tuning.hparams_log import write_trial
from fairdarts_tf.tuning.hypermodel import RunHyperModel
from fairdarts_tf.tuning.oracles import KeptOracle
from fairdarts_tf.tuning.outcome import Judgement
from fairdarts_tf.tuning.places import PROJECT, TENSORBOARD, Places

FAILURES = (GenotypeError, NotFiniteError, tf.errors.ResourceExhaustedError)
"""What fails one trial, while others may do better: nothing derived, NaN, no memory. All else ends the tuning."""


class EndOfTuning(keras_tuner.errors.FatalError):
    """Carries what ends a tuning through KerasTuner, as its cause."""


class RunTuner(base_tuner.BaseTuner):
    """Runs the trials of an oracle.

    Args:
        oracle: Chooses them.
        hypermodel: Runs them.
        judgement: What they are judged by.
        workdir: The tuning's directory.
    """

    def __init__(self, oracle: KeptOracle, hypermodel: RunHyperModel, judgement: Judgement, workdir: Path) -> None:
        self.runs = hypermodel
        self.judgement = judgement
        self.places = Places(workdir)
        # It prints which file it reads.
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            # Without a hypermodel KerasTuner builds no network to find out what there is to choose: the oracle knows.
            super().__init__(oracle, directory=str(workdir), project_name=PROJECT)

    def on_search_begin(self) -> None:
        """Keeps the state from the start, so that also a first trial that is cut off is taken up again."""
        self.save()

    def run_trial(self, trial: Trial) -> dict[str, float]:
        """Runs a trial, or goes on with it, and returns its numbers.

        Raises:
            FailedTrialError: When it came to nothing.
            EndOfTuning: When anything else went wrong, or a signal asks for an end.
        """
        try:
            return self._run(trial)
        except FAILURES as error:
            reason = " ".join(str(error).split())
            file = self.places.failure(trial.trial_id)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomically(file, reason + "\n")
            print(f"trial {trial.trial_id} failed: {reason}", file=sys.stderr)
            raise keras_tuner.errors.FailedTrialError(reason) from error
        except Exception as error:
            raise EndOfTuning from error

    def _try_run_and_update_trial(self, trial: Trial, *fit_args: object, **fit_kwargs: object) -> None:
        """Runs a trial and says how it ended, as KerasTuner's own method, which prints a traceback of what failed."""
        try:
            self._run_and_update_trial(trial, *fit_args, **fit_kwargs)
        except keras_tuner.errors.FatalError:
            raise
        except keras_tuner.errors.FailedTrialError as failed:
            trial.status, trial.message = TrialStatus.FAILED, str(failed)
        except Exception as error:  # noqa: BLE001  (as where the chief does not answer: the oracle asks for it again)
            trial.status, trial.message = TrialStatus.INVALID, " ".join(str(error).split())
            print(f"trial {trial.trial_id} could not be recorded: {trial.message}", file=sys.stderr)
        else:
            trial.status = TrialStatus.COMPLETED

    def _run(self, trial: Trial) -> dict[str, float]:
        place = self.places.of(trial, self.oracle.get_trial)
        place.mkdir(parents=True, exist_ok=True)
        until = self.places.epochs_of(trial, self.runs.epochs)
        chosen = self.runs.chosen(trial.hyperparameters)
        print(f"trial {trial.trial_id}: {self._describe(chosen, until)}", file=sys.stderr)
        outcome = self.runs.run(trial.hyperparameters, place, until, self.judgement)
        metrics = outcome.metrics(self.judgement)
        write_trial(self.places.workdir / TENSORBOARD, trial.trial_id, chosen, metrics)
        return metrics

    def save(self) -> None:
        """Writes the state of oracle and tuner."""
        if not self._is_worker():
            self.oracle.save()
        write_text_atomically(self._get_tuner_fname(), "{}")

    def _describe(self, chosen: dict[str, object], until: int) -> str:
        shown = [f"{name}={chosen[name]}" for name in self.runs.columns]
        epochs = [] if until == self.runs.epochs else [f"until epoch {until} of {self.runs.epochs}"]
        return ", ".join([*shown, *epochs]) or f"{len(chosen)} choices"
