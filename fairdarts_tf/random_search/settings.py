"""All that decides a random search: which genotypes are drawn, and how each is trained."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS
from fairdarts_tf.runs import Run
from fairdarts_tf.settings_checks import as_flags, check_settings, default_flags
from fairdarts_tf.training.settings import TrainSettings

SHORT_TRAINING: Mapping[str, object] = {
    "init_channels": 16,
    "layers": 8,
    "epochs": 15,
    "drop_path": 0.0,
    "auxiliary_weight": 0.0,
    "cutout": 0,
}
"""What a candidate's training has in place of the defaults of a training: the size of a search's supernet, and few
epochs, in which nothing is gained by regularising."""


@dataclasses.dataclass(frozen=True)
class RandomSearchSettings:
    """The settings of a random search; each field is a flag of the same name.

    Bounds are on the papers' network for CIFAR-10, of 36 channels and 20 cells without auxiliary head, in whichever
    size the candidates are trained: so they can be compared with what papers print.

    Args:
        candidates: How many genotypes are drawn and trained.
        skips: How many skip connections each normal cell has, exactly; -1 for as many as are drawn.
        operations: Names of the candidate operations.
        nodes: Intermediate nodes of a cell.
        edges_per_node: Inputs of a node, 1 or 2.
        min_params: The least parameters, in millions.
        max_params: The most parameters, in millions; 0 for no bound.
        min_macs: The least multiply-adds of an image, in millions.
        max_macs: The most multiply-adds of an image, in millions; 0 for no bound.
        draw_seed: Chooses the genotypes. What else is left to chance, the training's own seed decides.

    Raises:
        ConfigurationError: When a value is outside its range.

    Example:
        >>> fd.RandomSearchSettings(candidates=2, skips=1).edges_per_node
        2
    """

    candidates: int = 8
    skips: int = 2
    operations: tuple[str, ...] = FAIRDARTS_OPERATIONS
    nodes: int = 4
    edges_per_node: int = 2
    min_params: float = 0.0
    max_params: float = 0.0
    min_macs: float = 0.0
    max_macs: float = 0.0
    draw_seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self, {}, _RANGES)
        for what in ("params", "macs"):
            least, most = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if most and least > most:
                raise ConfigurationError(f"--min_{what} is {least:g}, above --max_{what}={most:g}. Lower it.")

    @property
    def has_bounds(self) -> bool:
        """Whether parameters or multiply-adds are bounded."""
        return any((self.min_params, self.max_params, self.min_macs, self.max_macs))

    def as_flags(self) -> dict[str, str]:
        """Returns every setting as text, by its flag's name, as a flagfile holds it."""
        return as_flags(self)


def check_random_search(
    settings: RandomSearchSettings, workdir: str | os.PathLike[str], training: Mapping[str, object]
) -> dict[str, str]:
    """Checks all that can be checked before anything is written.

    Args:
        settings: Which genotypes are drawn.
        workdir: The directory.
        training: All settings of a training that differ from the defaults.

    Returns:
        Every setting as text, by its flag's name.

    Raises:
        FairDartsError: When something is unfit.
    """
    of_training = TrainSettings(genotype=genotype_path(Path(workdir), 1), **training)
    if not of_training.validation_portion:
        raise ConfigurationError(
            "--validation_portion is 0, but candidates are ranked by the images held back from training. Use 0.1."
        )
    recorded = settings.as_flags() | of_training.as_flags()
    for name in ("genotype", "init_from"):
        del recorded[name]
    run_in(workdir).check(recorded)
    return recorded


def run_in(workdir: str | os.PathLike[str]) -> Run:
    """Returns the directory of a random search."""
    return Run(workdir, default_flags(TrainSettings) | default_flags(RandomSearchSettings))


def genotype_path(workdir: Path, number: int) -> str:
    """Returns where the genotype of a candidate lies, whose number counts from 1."""
    return str(workdir / "genotypes" / f"candidate_{number}.json")


_RANGES: dict[str, tuple[float, float]] = {
    "candidates": (1, 10_000),
    "skips": (-1, 1000),
    "nodes": (1, 16),
    "edges_per_node": (1, 2),
    "min_params": (0, 1e6),
    "max_params": (0, 1e6),
    "min_macs": (0, 1e9),
    "max_macs": (0, 1e9),
    "draw_seed": (0, 2**31 - 1),
}
