"""How large a study is: the same comparison within seconds, within minutes on a CPU, or as in the papers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS


@dataclasses.dataclass(frozen=True)
class Scale:
    """A size of all searches and trainings of a study.

    Args:
        name: Its name.
        description: Its size in words, as results name it.
        dataset: The data set, unless another is asked for.
        seeds: How many seeds a study has, unless it or the user says otherwise.
        operations: Candidate operations, without ``none``.
        search: Settings of every search in place of the defaults.
        darts: Settings of DARTS' recipe besides, at this scale.
        training: Settings of every training in place of the defaults.
        candidates: Random cells that a control trains.
        gap_images: Test images that the discretisation gap is measured on, at most.
        cost_targets: Multiply-adds that searches aim at, from few to many.
    """

    name: str
    description: str
    dataset: str
    seeds: int
    operations: tuple[str, ...]
    search: Mapping[str, object]
    darts: Mapping[str, object]
    training: Mapping[str, object]
    candidates: int
    gap_images: int
    cost_targets: tuple[str, str, str]


_PLAIN_TRAINING = {"cutout": 0, "auxiliary_weight": 0.0, "drop_path": 0.0}
"""Few steps gain nothing from regularisation."""

SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            name="tiny",
            description="tiny scale: 3 cells with one node, 2 channels, 4 steps; it shows that a study runs, no more",
            dataset="digits",
            seeds=1,
            operations=("skip_connect", "sep_conv_3x3", "dil_conv_3x3"),
            search={
                "nodes": 1,
                "init_channels": 2,
                "layers": 3,
                "epochs": 2,
                "steps_per_epoch": 2,
                "batch_size": 50,
                "skip_noise_epochs": 2,
                "stop_ranking_epochs": 2,
                "stop_eigenvalue_epochs": 1,
                "eigenvalue_images": 2,
            },
            darts={},
            training=_PLAIN_TRAINING
            | {"init_channels": 2, "layers": 3, "epochs": 1, "steps_per_epoch": 2, "batch_size": 50},
            candidates=2,
            gap_images=100,
            cost_targets=("10k", "13k", "17k"),
        ),
        # 96 steps in place of 9,750 (FairDARTS) and 19,500 (DARTS). What Adam can move an alpha by, steps times rate,
        # is 7.7 and 1.5, where the papers' settings have 29 and 5.9: the same ratio of the two recipes.
        Scale(
            name="cpu",
            description=(
                "CPU scale: 3 cells with 2 nodes and all 5 edges, 4 channels, 96 steps of 32 images in 8 epochs; "
                "networks of 8 channels and 3 cells trained for 300 steps of 64 images"
            ),
            dataset="cifar10",
            seeds=2,
            operations=FAIRDARTS_OPERATIONS,
            search={
                "nodes": 2,
                "init_channels": 4,
                "layers": 3,
                "epochs": 8,
                "steps_per_epoch": 12,
                "batch_size": 32,
                "learning_rate": 0.025,
                "alpha_learning_rate": 0.08,
                "skip_noise_epochs": 5,
                "stop_ranking_epochs": 3,
                "stop_eigenvalue_epochs": 2,
                "eigenvalue_images": 8,
            },
            darts={"alpha_learning_rate": 0.016},
            training=_PLAIN_TRAINING
            | {
                "init_channels": 8,
                "layers": 3,
                "epochs": 2,
                "steps_per_epoch": 150,
                "batch_size": 64,
                "learning_rate": 0.05,
            },
            candidates=4,
            gap_images=2000,
            # Networks of this size have 1.8 to 6.5 M.
            cost_targets=("2.5M", "3.5M", "5M"),
        ),
        Scale(
            name="paper",
            description=(
                "paper scale: 8 cells, 16 channels, 50 epochs; "
                "networks of 36 channels and 20 cells trained for 600 epochs"
            ),
            dataset="cifar10",
            seeds=4,
            operations=FAIRDARTS_OPERATIONS,
            search={},
            darts={"batch_size": 64, "learning_rate": 0.025, "alpha_learning_rate": 3e-4},
            training={},
            candidates=8,
            gap_images=10_000,
            # Networks of this size have 68 to 818 M, the published cells 371 to 558 M.
            cost_targets=("200M", "350M", "550M"),
        ),
    )
}
"""Every scale by name."""


def scale_of(name: str) -> Scale:
    """Returns the scale called ``name``.

    Raises:
        ConfigurationError: When there is no such scale.
    """
    if name not in SCALES:
        raise ConfigurationError(f"--scale: {unknown_name('value', name, SCALES)}")
    return SCALES[name]
