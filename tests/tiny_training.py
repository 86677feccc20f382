"""The smallest training there is: seconds a run, and still all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fairdarts_tf.cli.train import COMMAND, main
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.training.settings import TrainSettings

GENOTYPE = Genotype(
    normal=(("skip_connect", 2, 0), ("sep_conv_3x3", 2, 1)),
    normal_concat=(2,),
    reduce=(("max_pool_3x3", 2, 0), ("dil_conv_3x3", 2, 1)),
    reduce_concat=(2,),
)
TINY = {
    "init_channels": 2,
    "layers": 3,
    "cutout": 2,
    "auxiliary_weight": 0.0,
    "batch_size": 50,
    "steps_per_epoch": 2,
    "epochs": 2,
    "checkpoint_steps": 1,
}


def genotype_file(folder: Path) -> Path:
    path = folder / "tiny.json"
    GENOTYPE.save(path)
    return path


def tiny_settings(folder: Path, **changes: object) -> TrainSettings:
    return TrainSettings(**{"genotype": str(genotype_file(folder))} | TINY | changes)


def tiny_flags(folder: Path, **changes: object) -> list[str]:
    """Returns the command line of the same training, in a directory of that folder."""
    values = {"workdir": folder / "run", "genotype": genotype_file(folder)} | TINY | changes
    return [f"--{name}={value}" for name, value in values.items()]


def train(*flags: str) -> int:
    """Runs the command in this process and returns its exit code."""
    return COMMAND.execute(main, ["train", *flags])


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}
