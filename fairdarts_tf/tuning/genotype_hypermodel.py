"""KerasTuner's hypermodel of genotypes that it chooses itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from fairdarts_tf import data
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.random_search.settings import SHORT_TRAINING
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import space_of
from fairdarts_tf.spaces.space import SearchSpace
from fairdarts_tf.training.model import Training
from fairdarts_tf.training.run import build_training
from fairdarts_tf.tuning.genotype_choices import genotype_space
from fairdarts_tf.tuning.hypermodel import RunHyperModel
from fairdarts_tf.tuning.outcome import Judgement, Outcome
from fairdarts_tf.tuning.plan import train_settings
from fairdarts_tf.tuning.short_training import DEFAULTS, prefixed, train_shortly

GENOTYPE = "genotype.json"


class GenotypeHyperModel(RunHyperModel):
    """Genotypes that KerasTuner chooses itself, each judged by a short training: the control to a search.

    Args:
        space: The search space. Defaults to None: that of `search`, S1 with 4 nodes if it does not say otherwise.
        image_shape: (height, width, channels) of the images that `build` is to make a network for. Defaults to None:
            those of the training's data set.
        num_classes: Of them. Defaults to None: those of that data set.
        max_skips: The most skip connections; see `fairdarts_tf.tuning.genotype_space`. Defaults to None: no limit.
        search: Settings of a search to compare with: their images, seed, precision, and the size of network whose cost
            counts. Defaults to None: those of a search that does not say otherwise.
        training: Settings of the training in place of those of a random search's candidates.

    Raises:
        ConfigurationError: When settings are unfit.

    Example:
        >>> model = fd.tuning.GenotypeHyperModel(image_shape=(8, 8, 1), num_classes=10, init_channels=4, layers=3)
        >>> tuner = keras_tuner.RandomSearch(model, objective="val_accuracy", max_trials=5)  # doctest: +SKIP
        >>> tuner.search(images, labels, epochs=3, validation_data=held_back)  # doctest: +SKIP
        >>> genotype = model.genotype(tuner.get_best_hyperparameters()[0])  # doctest: +SKIP
    """

    command = "train"
    defaults = DEFAULTS

    def __init__(
        self,
        space: SearchSpace | None = None,
        image_shape: tuple[int, int, int] | None = None,
        num_classes: int | None = None,
        max_skips: int | None = None,
        search: SearchSettings | None = None,
        **training: object,
    ) -> None:
        super().__init__()
        self.search = search or SearchSettings()
        if space is not None:
            fields = {field.name: getattr(space, field.name) for field in dataclasses.fields(space)}
            self.search = dataclasses.replace(self.search, space=space.name, **fields)
        self.space = space_of(self.search)
        self.max_skips = max_skips
        self.training = {**SHORT_TRAINING, **training}
        self._images = (image_shape, num_classes)
        train_settings(self.search, self.training)  # Refuses what is unfit.
        self.latency = (self.search.latency_table, self.search.latency_form)

    @property
    def epochs(self) -> int:
        """Epochs of the training."""
        return train_settings(self.search, self.training).epochs

    def genotype(self, hp: keras_tuner.HyperParameters) -> AnyGenotype:
        """Returns the genotype of a trial."""
        return genotype_space(hp, self.space, self.max_skips)

    def chosen(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Returns every choice."""
        self.genotype(hp)
        return {one.name: hp.values[one.name] for one in hp.space if one.name in hp.values}

    def build(self, hp: keras_tuner.HyperParameters) -> Training:
        """Returns the compiled training of a trial's network, which `fit` drives with images and labels."""
        settings = train_settings(self.search, self.training)
        image_shape, num_classes = self._images
        if image_shape is None or num_classes is None:
            images = data.load_images(settings)
            image_shape, num_classes = images.image_shape, images.num_classes
        return build_training(settings, self.genotype(hp), image_shape, num_classes)

    def run(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int, judgement: Judgement) -> Outcome:
        """Trains the genotype of a trial, which its directory keeps."""
        keras.utils.clear_session()
        return train_shortly(self.search, self.training, self.genotype(hp), place, "", until_epoch, judgement)

    def best_settings(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int) -> dict[str, str]:
        """Returns the flags of the trial's training."""
        return train_settings(self.search, self.training, str(place / GENOTYPE)).as_flags()

    def genotype_of(self, place: Path, until_epoch: int) -> Path:
        """Returns the file of the trial's genotype."""
        return place / GENOTYPE

    def as_flags(self) -> dict[str, str]:
        """Returns the flags of the search to compare with, and those of the training with a prefix."""
        limit = {"max_skips": str(-1 if self.max_skips is None else self.max_skips)}
        return self.search.as_flags() | limit | prefixed(train_settings(self.search, self.training))
