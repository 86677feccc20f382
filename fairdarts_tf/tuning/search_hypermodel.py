"""KerasTuner's hypermodel of a search."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from fairdarts_tf import data
from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.random_search.settings import SHORT_TRAINING
from fairdarts_tf.search_run import build_search, complete_search, raise_if_underived
from fairdarts_tf.sensitivity import load_weights
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.tuning.hypermodel import RunHyperModel, raise_if_asked_to_stop
from fairdarts_tf.tuning.outcome import Judgement, Outcome, seconds_of
from fairdarts_tf.tuning.plan import check_search_tuning, train_settings
from fairdarts_tf.tuning.short_training import DEFAULTS, prefixed, train_shortly
from fairdarts_tf.tuning.tuned import Tuned, tuned_values


class SearchHyperModel(RunHyperModel):
    """A search, judged by a short training of what it derives.

    Args:
        settings: The search's, but for what is tuned.
        tuned: What is tuned. Defaults to `fairdarts_tf.tuning.tuned.SEARCH_TUNED`, as far as the space has it.
        training: Settings of the short training in place of those of a random search's candidates. Its images, seed
            and precision are the search's.

    Raises:
        ConfigurationError: When settings are unfit, or would be within the bounds.
    """

    command = "search"
    defaults = DEFAULTS

    def __init__(self, settings: SearchSettings, tuned: Sequence[Tuned] | None = None, **training: object) -> None:
        super().__init__()
        self.settings = settings
        self.tuned = check_search_tuning(settings, tuned)
        self.columns = tuple(one.name for one in self.tuned)
        self.training = {**SHORT_TRAINING, **training}
        train_settings(settings, self.training)  # Refuses what is unfit.
        self.latency = (settings.latency_table, settings.latency_form)

    @property
    def epochs(self) -> int:
        """Epochs of the search."""
        return self.settings.epochs

    def chosen(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Returns the tuned flags."""
        return tuned_values(self.tuned, hp, SearchSettings)

    def settings_of(self, hp: keras_tuner.HyperParameters) -> SearchSettings:
        """Returns the settings of a trial's search."""
        return dataclasses.replace(self.settings, **self.chosen(hp))

    def build(self, hp: keras_tuner.HyperParameters) -> Search:
        """Returns the compiled search of a trial, which `fit` drives with pairs of batches."""
        settings = self.settings_of(hp)
        images, _ = data.load_halves(settings)
        return build_search(settings, images.image_shape, images.num_classes)[0]

    def run(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int, judgement: Judgement) -> Outcome:
        """Searches, derives, and trains what was derived for a short time.

        Where a search is broken off before its end, as Hyperband does, and its alphas do not reach the threshold yet,
        DARTS' method derives what is trained.
        """
        settings = self.settings_of(hp)
        # The names of variables, under which checkpoints keep them, must not depend on what ran before.
        keras.utils.clear_session()
        result = complete_search(settings, place / "search", until_epoch=until_epoch)
        raise_if_asked_to_stop(result.asked_to_stop)
        raise_if_underived(result)
        genotype = result.genotype or _by_darts(settings, place / "search")
        outcome = train_shortly(settings, self.training, genotype, place, f"_{until_epoch}", None, judgement)
        seconds = outcome.seconds + seconds_of(place / "search")
        return dataclasses.replace(outcome, seconds=seconds, own_method=result.genotype is not None)

    def best_settings(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int) -> dict[str, str]:
        """Returns the flags of the trial's search."""
        return self.settings_of(hp).as_flags()

    def genotype_of(self, place: Path, until_epoch: int) -> Path:
        """Returns the file of the derived genotype."""
        return place / f"genotype_{until_epoch}.json"

    def as_flags(self) -> dict[str, str]:
        """Returns the search's flags, and those of the short training with a prefix."""
        return self.settings.as_flags() | prefixed(train_settings(self.settings, self.training))


def _by_darts(settings: SearchSettings, search_dir: Path) -> AnyGenotype:
    derivation = dataclasses.replace(settings.derivation, method="darts")
    try:
        return derivation.derive(load_weights(search_dir, derivation))
    except (GenotypeError, ConfigurationError) as error:
        raise GenotypeError(f"{search_dir}: {error}") from error
