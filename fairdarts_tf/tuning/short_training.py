"""The short training of a genotype, by which searches and genotypes are judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import keras

from fairdarts_tf.found_network import read_description
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.prices import cost_size
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_checks import default_flags
from fairdarts_tf.training.run import run_training
from fairdarts_tf.training.settings import TrainSettings
from fairdarts_tf.tuning.hypermodel import raise_if_asked_to_stop
from fairdarts_tf.tuning.outcome import Judgement, Outcome, of_training
from fairdarts_tf.tuning.plan import OF_SHORT_TRAINING, PREFIX, train_settings

DEFAULTS = default_flags(SearchSettings) | {
    f"{PREFIX}{name}": value for name, value in default_flags(TrainSettings).items() if name in OF_SHORT_TRAINING
}
"""The defaults of the flags of a search and of the short training after it."""


def train_shortly(
    search: SearchSettings,
    training: Mapping[str, object],
    genotype: AnyGenotype,
    place: Path,
    ending: str,
    until_epoch: int | None,
    judgement: Judgement,
) -> Outcome:
    """Trains a genotype in a trial's directory; the cost is that of the network whose cost the search's settings mean.

    Args:
        search: Settings of the search.
        training: Settings of the training that differ from the defaults.
        genotype: What is trained.
        place: The trial's directory.
        ending: Of the names of the genotype's file and of the training's directory.
        until_epoch: The last epoch; None: that of the settings.
        judgement: Which cost counts.
    """
    file = place / f"genotype{ending}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    genotype.save(file)
    workdir = place / f"training{ending}"
    keras.utils.clear_session()
    result = run_training(train_settings(search, training, str(file)), workdir, until_epoch=until_epoch)
    raise_if_asked_to_stop(result.asked_to_stop)
    outcome = of_training(result.history, workdir)
    if judgement.cost == "none":
        return outcome
    document = read_description(workdir)
    size = cost_size(search, tuple(document["image_shape"]), len(document["class_names"]))
    return dataclasses.replace(outcome, cost=judgement.price_of(genotype, size))


def prefixed(settings: TrainSettings) -> dict[str, str]:
    """Returns the flags of a short training, with their prefix."""
    flags = settings.as_flags()
    return {f"{PREFIX}{name}": flags[name] for name in OF_SHORT_TRAINING}
