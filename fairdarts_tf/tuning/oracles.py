"""KerasTuner's oracles, which choose the trials: with files that a kill leaves whole, and told of every end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles
from keras_tuner.engine.trial import Trial

from fairdarts_tf.files import write_text_atomically
from fairdarts_tf.tuning.outcome import OBJECTIVE
from fairdarts_tf.tuning.settings import TuningSettings

NO_LIMIT = 10**9


class KeptOracle(keras_tuner.Oracle):
    """What KerasTuner's oracles are given besides: files written at once or not at all, and word of every trial's end.

    Attributes:
        on_end: Called when a trial has ended and is on disk. Defaults to nothing.
    """

    on_end: Callable[[], object] = staticmethod(lambda: None)

    def save(self) -> None:
        """Writes the state of the tuning."""
        write_text_atomically(self._get_oracle_fname(), json.dumps(self.get_state()))

    def _save_trial(self, trial: Trial) -> None:
        write_text_atomically(f"{self._get_trial_dir(trial.trial_id)}/trial.json", json.dumps(trial.get_state()))

    def reload(self) -> None:
        """Reads the state of the tuning; a trial that was on disk before it has not begun."""
        super().reload()
        for trial_id in set(self.trials) - set(self.start_order):
            del self.trials[trial_id]

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        """Ends a trial."""
        super().end_trial(trial)
        self.on_end()


class RandomOracle(KeptOracle, oracles.RandomSearchOracle):
    """Random search."""


class BayesianOracle(KeptOracle, oracles.BayesianOptimizationOracle):
    """Bayesian optimisation with a Gaussian process."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Chooses a trial; where the search for its maximum begins depends on no earlier start of this process."""
        self._random_state = np.random.RandomState(self.seed + len(self.trials))
        return super().populate_space(trial_id)


class HyperbandOracle(KeptOracle, oracles.HyperbandOracle):
    """Hyperband (Li et al., JMLR 18, 2018)."""


def oracle_for(settings: TuningSettings, hyperparameters: keras_tuner.HyperParameters, epochs: int) -> KeptOracle:
    """Returns the oracle that settings name.

    Args:
        settings: Of the tuning.
        hyperparameters: All that is chosen.
        epochs: Of a whole trial.
    """
    kinds: dict[str, tuple[type[KeptOracle], dict[str, Any]]] = {
        "random": (RandomOracle, {"max_trials": settings.trials}),
        "bayesian": (
            BayesianOracle,
            {"max_trials": settings.trials, "num_initial_points": settings.initial_trials or None},
        ),
        "hyperband": (
            HyperbandOracle,
            {
                "max_epochs": epochs,
                "factor": settings.hyperband_factor,
                "hyperband_iterations": settings.hyperband_iterations,
            },
        ),
    }
    kind, options = kinds[settings.tuner]
    return kind(
        objective=keras_tuner.Objective(OBJECTIVE, "max"),
        hyperparameters=hyperparameters,
        seed=_spread(settings.tuner_seed),
        # A trial whose word did not reach the chief is asked again: its run is complete by then.
        max_retries_per_trial=1,
        max_consecutive_failed_trials=NO_LIMIT,
        **options,
    )


def _spread(seed: int) -> int:
    """Returns a seed far from those of other tunings: KerasTuner counts up from its seed, one for each value drawn."""
    return int(np.random.RandomState(seed).randint(1, 2**31 - 1))
