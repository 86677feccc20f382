"""What of a tuning can be checked before TensorFlow is loaded: the tuned flags, and the short training of a trial."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import SPACES, search_space, space_of
from fairdarts_tf.training.settings import TrainSettings
from fairdarts_tf.tuning.tuned import SEARCH_TUNED, TRAIN_TUNED, Tuned, check_corners

PREFIX = "train_"
"""Of the flags of a trial's short training, beside those of its search."""

FROM_SEARCH = (
    "dataset",
    "data_dir",
    "download",
    "image_size",
    "resize_size",
    "classes",
    "storage",
    "cache_dir",
    "crop",
    "color_jitter",
    "precision",
    "xla",
    "seed",
    "strategy",
    "sync_batch_norm",
    "checkpoint_steps",
    "on_nan",
    "profile_steps",
)
"""What a short training has from the search before it: the images, and how things are computed."""

OF_SHORT_TRAINING = tuple(
    field.name
    for field in dataclasses.fields(TrainSettings)
    if field.name not in (*FROM_SEARCH, "genotype", "init_from")
)
"""What it has flags of its own for."""


def train_settings(
    search: SearchSettings, training: Mapping[str, object], genotype: str = "FairDARTS_a"
) -> TrainSettings:
    """Returns the settings of the short training after a search.

    Args:
        search: The search's.
        training: Those of the training that differ from the defaults.
        genotype: What is trained. Defaults to any, where only the other settings matter.

    Raises:
        ConfigurationError: When a setting is unfit, or not the training's own, or nothing is held back to judge it by.
    """
    others = [name for name in training if name not in OF_SHORT_TRAINING]
    if others:
        raise ConfigurationError(
            f"{others[0]} is no setting of the short training of a trial, which has its images, seed and precision "
            "from the search. Set it there."
        )
    shared = {name: getattr(search, name) for name in FROM_SEARCH}
    with _with_prefix():
        settings = TrainSettings(genotype=genotype, **shared, **training)
        check_held_back(settings)
    return settings


@contextlib.contextmanager
def _with_prefix() -> Iterator[None]:
    """Lets an error name the short training's flags as they are called here."""
    try:
        yield
    except ConfigurationError as error:
        own = "|".join(sorted(OF_SHORT_TRAINING, key=len, reverse=True))
        raise ConfigurationError(re.sub(rf"--({own})\b", rf"--{PREFIX}\1", str(error))) from error


def check_held_back(settings: TrainSettings) -> None:
    """Checks that a training measures what trials are judged by.

    Raises:
        ConfigurationError: When it does not.
    """
    if not settings.validation_portion:
        raise ConfigurationError(
            "--validation_portion is 0, but trials are judged by the images held back from training. Use 0.1."
        )


def check_search_tuning(settings: SearchSettings, tuned: Sequence[Tuned] | None = None) -> tuple[Tuned, ...]:
    """Returns what of a search is tuned, checked with all that the bounds allow.

    Args:
        settings: The search's.
        tuned: Defaults to None: the table's, without what is of another search space.

    Raises:
        ConfigurationError: When no search can have some of it.
    """
    if tuned is None:
        fields = {name: {field.name for field in dataclasses.fields(search_space(name))} for name in SPACES}
        own = {field.name for field in dataclasses.fields(search_space(settings.space))}
        others = set().union(*fields.values()) - own
        tuned = tuple(one for one in SEARCH_TUNED if one.name not in others)
    return check_corners(tuned, SearchSettings, lambda values: space_of(dataclasses.replace(settings, **values)))


def check_train_tuning(settings: TrainSettings, tuned: Sequence[Tuned] | None = None) -> tuple[Tuned, ...]:
    """Returns what of a training is tuned, checked with all that the bounds allow.

    Args:
        settings: The training's.
        tuned: Defaults to None: the table's, without sizes that the genotype's space does not leave open.

    Raises:
        ConfigurationError: When no training can have some of it, or nothing is held back to judge it by.
        GenotypeError: When the genotype cannot be read.
    """
    sizes = search_space(load_genotype(settings.named_genotype).space).size_names
    if tuned is None:
        tuned = tuple(one for one in TRAIN_TUNED if one.name != "init_channels" or one.name in sizes)
    found = check_corners(tuned, TrainSettings, lambda values: dataclasses.replace(settings, **values))
    check_held_back(settings)
    return found
