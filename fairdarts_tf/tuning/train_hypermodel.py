"""KerasTuner's hypermodel of the training of a found network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from fairdarts_tf import data
from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.found_network import read_description
from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.settings_checks import default_flags
from fairdarts_tf.training.model import Training
from fairdarts_tf.training.run import build_training, run_training
from fairdarts_tf.training.settings import TrainSettings
from fairdarts_tf.tuning.hypermodel import RunHyperModel, raise_if_asked_to_stop
from fairdarts_tf.tuning.outcome import Judgement, Outcome, of_training
from fairdarts_tf.tuning.plan import check_train_tuning
from fairdarts_tf.tuning.tuned import Tuned, tuned_values


class TrainHyperModel(RunHyperModel):
    """The training of one genotype.

    Args:
        settings: The training's, but for what is tuned.
        tuned: What is tuned. Defaults to `fairdarts_tf.tuning.tuned.TRAIN_TUNED`, as far as the space has it.
        latency: File of latencies and what runs the network, where latency counts. Defaults to none.

    Raises:
        ConfigurationError: When settings are unfit, or would be within the bounds.
        GenotypeError: When the genotype cannot be read.
    """

    command = "train"
    defaults = default_flags(TrainSettings)

    def __init__(
        self,
        settings: TrainSettings,
        tuned: Sequence[Tuned] | None = None,
        latency: tuple[str, str] = RunHyperModel.latency,
    ) -> None:
        super().__init__()
        self.latency = latency
        self.settings = settings
        self.tuned = check_train_tuning(settings, tuned)
        self.columns = tuple(one.name for one in self.tuned)

    @property
    def epochs(self) -> int:
        """Epochs of the training."""
        return self.settings.epochs

    def chosen(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Returns the tuned flags."""
        return tuned_values(self.tuned, hp, TrainSettings)

    def settings_of(self, hp: keras_tuner.HyperParameters) -> TrainSettings:
        """Returns the settings of a trial's training."""
        return dataclasses.replace(self.settings, **self.chosen(hp))

    def build(self, hp: keras_tuner.HyperParameters) -> Training:
        """Returns the compiled training of a trial, which `fit` drives with batches of images and labels."""
        settings = self.settings_of(hp)
        images = data.load_images(settings)
        genotype = load_genotype(settings.named_genotype)
        return build_training(settings, genotype, images.image_shape, images.num_classes)

    def run(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int, judgement: Judgement) -> Outcome:
        """Trains; the cost is that of the network which is trained."""
        settings = self.settings_of(hp)
        keras.utils.clear_session()
        result = run_training(settings, place / "training", until_epoch=until_epoch)
        raise_if_asked_to_stop(result.asked_to_stop)
        outcome = of_training(result.history, place / "training")
        if judgement.cost == "none":
            return outcome
        genotype = load_genotype(place / "training")
        return dataclasses.replace(outcome, cost=judgement.price_of(genotype, _trained_size(place / "training")))

    def best_settings(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int) -> dict[str, str]:
        """Returns the flags of the trial's training."""
        return self.settings_of(hp).as_flags()

    def genotype_of(self, place: Path, until_epoch: int) -> None:
        """Returns nothing: the genotype is given."""

    def as_flags(self) -> dict[str, str]:
        """Returns the training's flags."""
        return self.settings.as_flags()


def _trained_size(workdir: Path) -> NetworkSize:
    """Returns the size of the network that a training's directory describes."""
    document = read_description(workdir)
    height, _, channels = document["image_shape"]
    network = document["network"]
    sizes = {name: network[name] for name in ("init_channels", "layers", "stem") if name in network}
    return NetworkSize(image_size=height, image_channels=channels, num_classes=len(document["class_names"]), **sizes)
