"""What a study computes for a configuration and a seed, each once: search, derivation, gap, training, random search.

Searches and trainings are directories as the commands leave them, and go on by themselves. What a stage came to is kept
as a file of JSON beside them, with the settings that it holds for; a stage with such a file is not computed again.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from fairdarts_tf.errors import GenotypeError, RunError
from fairdarts_tf.files import open_file, write_text_atomically
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.random_search.run import run_random_search
from fairdarts_tf.random_search.settings import SHORT_TRAINING, RandomSearchSettings
from fairdarts_tf.runs import FREE_TO_CHANGE
from fairdarts_tf.search_run import complete_search, raise_if_underived
from fairdarts_tf.sensitivity import load_weights
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.studies.gap import discretisation_gap
from fairdarts_tf.studies.plan import Plan
from fairdarts_tf.studies.study import Configuration
from fairdarts_tf.training.run import run_training
from fairdarts_tf.training.settings import TrainSettings

Outcome = dict[str, float | int | str | None]

_MAX_BYTES = 1_000_000


class StudyStopped(Exception):  # noqa: N818 (no error: a signal asked for it)
    """A signal came during a search or training of a study, which has saved itself.

    Args:
        signal: The signal.
    """

    def __init__(self, stopped_by: signal.Signals) -> None:
        super().__init__(stopped_by)
        self.signal = stopped_by


@dataclasses.dataclass(frozen=True)
class Stages:
    """The stages of one configuration with one seed.

    Attributes:
        plan: Where, at which scale and on which data.
        configuration: What is searched.
        seed: The seed of search and training.
    """

    plan: Plan
    configuration: Configuration
    seed: int

    @property
    def settings(self) -> SearchSettings:
        """The settings of the search."""
        return self.plan.search_settings(self.configuration, self.seed)

    @property
    def search_dir(self) -> Path:
        """Where the search is."""
        return self.plan.place((self.configuration.search_of or self.configuration).name, self.seed) / "search"

    @property
    def place(self) -> Path:
        """Where everything but the search is."""
        return self.plan.place(self.configuration.name, self.seed)

    def search(self) -> Outcome:
        """Searches. A search from whose alphas no genotype can be derived is a result like others."""
        settings = self.settings

        def compute() -> Outcome:
            _announce(f"{self.configuration.label}, seed {self.seed}: search")
            result = complete_search(settings, self.search_dir)
            _raise_if_asked_to_stop(result.asked_to_stop)
            try:
                raise_if_underived(result)
            except GenotypeError as error:
                print(f"note: {error}", file=sys.stderr)
                return {"derived": 0}
            return {"derived": 1}

        return kept(self.search_dir.with_name("search.json"), settings.as_flags(), compute)

    def genotype(self) -> tuple[Genotype, str]:
        """Returns the derived genotype and the method: the search's own or, where that leaves a cell empty, DARTS'."""
        derivation = dataclasses.replace(self.settings.derivation, **self.configuration.derivation)
        weights = load_weights(self.search_dir, derivation)
        try:
            return derivation.derive(weights), derivation.method
        except GenotypeError:
            return dataclasses.replace(derivation, method="darts").derive(weights), "darts"

    def gap(self) -> Outcome:
        """Measures supernet and derived network, with the supernet's weights, on test images."""

        def compute() -> Outcome:
            _announce(f"{self.configuration.label}, seed {self.seed}: discretisation gap")
            return discretisation_gap(self.search_dir, self.genotype()[0], self.settings, self.plan.scale.gap_images)

        flags = self.settings.as_flags() | {"gap_images": str(self.plan.scale.gap_images)}
        return kept(self.place / "gap.json", flags, compute)

    def train(self) -> Outcome:
        """Trains the derived network and measures it on the test images.

        A network that another derivation of the same search leads to as well is not trained again.
        """
        genotype, _ = self.genotype()
        if self.configuration.search_of is not None:
            original = dataclasses.replace(self, configuration=self.configuration.search_of)
            if original.genotype()[0] == genotype:
                return original.train()
        path = self.place / "genotype.json"

        def compute() -> Outcome:
            path.parent.mkdir(parents=True, exist_ok=True)
            genotype.save(path)
            _announce(f"{self.configuration.label}, seed {self.seed}: training")
            settings = self.plan.train_settings(str(path), self.seed)
            result = run_training(settings, self.place / "training")
            _raise_if_asked_to_stop(result.asked_to_stop)
            best = result.history.rows[result.history.best_epoch() - 1]
            accuracy = self.plan.test_accuracy(self.place / "training")
            return {"validation_accuracy": best["validation_accuracy"], "test_accuracy": accuracy}

        flags = self.plan.train_settings(str(path), self.seed).as_flags() | {"genotype": genotype.to_json()}
        return kept(self.place / "training.json", flags, compute)


def train_random_cells(plan: Plan, skips: int) -> list[tuple[Genotype, Outcome]]:
    """Draws and trains random cells, and returns each with what its training came to."""
    place = plan.place("random", 0)
    settings = RandomSearchSettings(
        candidates=plan.scale.candidates,
        skips=skips,
        operations=plan.scale.operations,
        nodes=plan.scale.search.get("nodes", SearchSettings.nodes),
    )
    # What a random search leaves out to be short, searched cells have: both are trained alike.
    alike = {name: getattr(TrainSettings, name) for name in SHORT_TRAINING}
    training = alike | plan.training_options(0)

    def compute() -> Outcome:
        _announce(f"random cells with {skips} skip connections")
        result = run_random_search(settings, place / "random_search", **training)
        _raise_if_asked_to_stop(result.stopped_by)
        return {
            f"{what}_{row['candidate']}": value
            for row in result.ranking
            for what, value in (
                ("validation_accuracy", row["validation_accuracy"]),
                ("test_accuracy", plan.test_accuracy(place / "random_search" / f"candidate_{row['candidate']}")),
            )
        }

    flags = settings.as_flags() | {name: str(value) for name, value in training.items()}
    outcome = kept(place / "random_search.json", flags, compute)
    numbers = range(1, settings.candidates + 1)
    genotypes = [Genotype.load(place / "random_search" / f"candidate_{number}") for number in numbers]
    return [
        (genotype, {what: outcome[f"{what}_{number}"] for what in ("validation_accuracy", "test_accuracy")})
        for number, genotype in zip(numbers, genotypes, strict=True)
    ]


def kept(path: Path, flags: Mapping[str, str], compute: Callable[[], Outcome]) -> Outcome:
    """Returns what a stage came to: as its file says, or, without one for these settings, computed and then kept.

    Raises:
        RunError: When the file cannot be read.
    """
    decisive = {name: value for name, value in flags.items() if name not in FREE_TO_CHANGE}
    if path.exists():
        document = _read(path)
        if document["settings"] == decisive:
            return document["outcome"]
    # The names of variables, under which checkpoints keep them, must not depend on what ran before.
    keras.utils.clear_session()
    outcome = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, json.dumps({"settings": decisive, "outcome": outcome}, indent=2) + "\n")
    return outcome


def _read(path: Path) -> dict[str, dict]:
    try:
        with open_file(path) as file:
            document = json.loads(file.read(_MAX_BYTES))
        if isinstance(document["settings"], dict) and isinstance(document["outcome"], dict):
            return document
        reason = "it holds something else"
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = str(error)
    raise RunError(f"{path} cannot be read ({reason}). Remove it, and start the study again.")


def _raise_if_asked_to_stop(by: signal.Signals | None) -> None:
    if by is not None:
        raise StudyStopped(by)


def _announce(what: str) -> None:
    print(f"== {what}", file=sys.stderr)
