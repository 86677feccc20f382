"""All that decides a tuning besides what is tuned: how trials are chosen, and what they are judged by."""

from __future__ import annotations

import dataclasses

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.prices import UNITS
from fairdarts_tf.settings_checks import as_flags, check_settings

TARGETS = ("search", "train", "genotype")
TUNERS = ("random", "bayesian", "hyperband")


@dataclasses.dataclass(frozen=True)
class TuningSettings:
    """The settings of a tuning; each field is a flag of the same name.

    Args:
        what: ``search`` (its flags, judged by a short training of what it derives), ``train`` (flags of a training), or
            ``genotype`` (the genotype itself, without a search: the control).
        tuner: KerasTuner's ``random``, ``bayesian`` or ``hyperband``.
        trials: How many trials there are, with random and bayesian; more than a tuning had go on with it.
        tune: What is tuned: NAME with known bounds, NAME:LEAST:MOST, with :log for a logarithmic scale or :STEP behind,
            or NAME:VALUE|VALUE; comma-separated. None: what docs/tuning.md lists.
        objective_cost: What the accuracy is weighed against: ``macs``, ``params``, ``latency`` or ``none``.
        objective_cost_weight: What a million multiply-adds or parameters, or a millisecond, take from the accuracy.
        initial_trials: Random trials before the bayesian tuner makes use of them; 0: three for each tuned flag.
        hyperband_factor: Of how many trials Hyperband goes on with one, and by what its epochs grow then.
        hyperband_iterations: How often Hyperband does all of its brackets.
        tuner_seed: Chooses the trials. What else is left to chance, the runs' own seed decides.

    Raises:
        ConfigurationError: When a value is outside its range.

    Example:
        >>> settings = fd.TuningSettings(tuner="hyperband", objective_cost="macs", objective_cost_weight=0.001)
        >>> settings.trials, settings.hyperband_factor
        (10, 3)
    """

    what: str = "search"
    tuner: str = "random"
    trials: int = 10
    tune: tuple[str, ...] = ()
    objective_cost: str = "none"
    objective_cost_weight: float = 0.0
    initial_trials: int = 0
    hyperband_factor: int = 3
    hyperband_iterations: int = 1
    tuner_seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self, CHOICES, _RANGES)
        if self.objective_cost_weight and self.objective_cost == "none":
            raise ConfigurationError(
                f"--objective_cost_weight={self.objective_cost_weight:g} of which cost? Name it with --objective_cost."
            )

    def as_flags(self) -> dict[str, str]:
        """Returns every setting as text, by its flag's name, as a flagfile holds it."""
        return as_flags(self)


CHOICES = {"what": TARGETS, "tuner": TUNERS, "objective_cost": ("none", *UNITS)}
"""The names that a setting may have."""

_RANGES: dict[str, tuple[float, float]] = {
    "trials": (1, 100_000),
    "objective_cost_weight": (0, 1e6),
    "initial_trials": (0, 100_000),
    "hyperband_factor": (2, 100),
    "hyperband_iterations": (1, 1000),
    "tuner_seed": (0, 2**31 - 2),
}
