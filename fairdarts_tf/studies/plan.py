"""Where a study runs, at which scale and on which data, and the settings that follow for each search and training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.studies.scales import Scale
from fairdarts_tf.studies.study import RECIPES, Configuration, Study
from fairdarts_tf.training.settings import TrainSettings


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all studies of a directory share.

    Args:
        workdir: The directory: ``runs`` holds searches and trainings, which studies share, and each study has a
            directory of its own name for its results.
        scale: The size.
        dataset: The data set. Defaults to empty: the scale's.
        data_dir: Where tensorflow-datasets keeps prepared data; empty: its own default.
        download: Whether data that are not prepared may be downloaded.
        seeds: Defaults to empty: as many as study or scale say, from 0.
    """

    workdir: Path
    scale: Scale
    dataset: str = ""
    data_dir: str = ""
    download: bool = False
    seeds: tuple[int, ...] = ()

    def seeds_of(self, study: Study) -> Sequence[int]:
        """Returns the seeds of a study."""
        return self.seeds or range(study.seeds or self.scale.seeds)

    def place(self, configuration: str, seed: int) -> Path:
        """Returns the directory of a configuration's runs."""
        return self.workdir / "runs" / f"{configuration}_seed{seed}"

    def search_settings(self, configuration: Configuration, seed: int) -> SearchSettings:
        """Returns the settings of a search.

        Raises:
            ConfigurationError: When they do not fit together.
        """
        is_darts = configuration.recipe == "darts"
        candidates = ("none", *self.scale.operations) if is_darts else self.scale.operations
        options = {
            "operations": tuple(name for name in candidates if name not in configuration.without),
            **self._data(),
            **self.scale.search,
            **RECIPES[configuration.recipe],
            **(self.scale.darts if is_darts else {}),
            **self._cost(configuration),
            **configuration.changes,
        }
        return SearchSettings(seed=seed, **options)

    def train_settings(self, genotype: str, seed: int) -> TrainSettings:
        """Returns the settings of a training, for a genotype's file."""
        return TrainSettings(genotype=genotype, **self.training_options(seed))

    def training_options(self, seed: int) -> dict[str, object]:
        """Returns the settings of a training in place of the defaults, without the genotype."""
        return {**self._data(), **self.scale.training, "seed": seed}

    def test_accuracy(self, training: Path) -> float:
        """Returns the share of the test images that a training's network, of its best epoch, gets right."""
        from fairdarts_tf.evaluation.run import evaluate_run

        return evaluate_run(training, data_dir=self.data_dir or None, download=self.download).measures.top_1

    def _cost(self, configuration: Configuration) -> dict[str, object]:
        if configuration.cost_target is None:
            return {}
        trained = TrainSettings(genotype="any", **self.scale.training)
        return {
            "cost": "macs",
            "cost_target": self.scale.cost_targets[configuration.cost_target],
            "cost_channels": trained.init_channels,
            "cost_layers": trained.layers,
        }

    def _data(self) -> dict[str, object]:
        return {
            "dataset": self.dataset or self.scale.dataset,
            "data_dir": self.data_dir,
            "download": self.download,
        }
