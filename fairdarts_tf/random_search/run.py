"""A random search, from settings to a ranking, in a directory that it can go on in.

That is the control which a search's result needs: random cells with a limited number of skip connections are strong.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import keras

from fairdarts_tf.costs import network_cost
from fairdarts_tf.devices import cluster_of
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.files import write_text_atomically
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.history import Row, rows_as_csv
from fairdarts_tf.random_search.drawing import draw_candidates
from fairdarts_tf.random_search.settings import (
    SHORT_TRAINING,
    RandomSearchSettings,
    check_random_search,
    genotype_path,
    run_in,
)
from fairdarts_tf.runs import Run
from fairdarts_tf.training.history import TrainHistory
from fairdarts_tf.training.run import run_training
from fairdarts_tf.training.settings import TrainSettings

COLUMNS = (
    "rank",
    "candidate",
    "validation_accuracy",
    "validation_loss",
    "best_epoch",
    "normal_skips",
    "reduce_skips",
    "params",
    "macs",
)
"""Columns of results.csv: accuracy and loss of the epoch that was best on the held-back images; parameters and
multiply-adds of the papers' network for CIFAR-10."""


@dataclasses.dataclass(frozen=True)
class RandomSearchResult:
    """What a random search came to.

    Attributes:
        genotypes: All candidates, in the order of their numbers, which count from 1.
        ranking: A row of `COLUMNS` for each candidate that is trained, the best first.
        stopped_by: The signal that asked for an end, or None; candidates may be missing then.
    """

    genotypes: list[Genotype]
    ranking: list[Row]
    stopped_by: signal.Signals | None = None

    @property
    def best(self) -> Genotype | None:
        """The genotype that is first in the ranking; None while none is trained."""
        return self.genotypes[int(self.ranking[0]["candidate"]) - 1] if self.ranking else None


def run_random_search(
    settings: RandomSearchSettings, workdir: str | os.PathLike[str], **training: object
) -> RandomSearchResult:
    """Draws genotypes, trains each for a short budget and ranks them, or goes on with what ``workdir`` holds.

    Leaves ``results.csv``, ``genotype.json`` (the best), and a directory ``candidate_N`` for each training.

    Args:
        settings: Which genotypes are drawn.
        workdir: The directory; made if absent.
        training: Settings of each training (see `TrainSettings`) in place of `SHORT_TRAINING`'s and the defaults, but
            no genotype.

    Returns:
        All candidates and their ranking. After a signal, SIGINT too, its ``stopped_by`` says so.

    Raises:
        FairDartsError: When settings, data or directory are unfit.

    Example:
        >>> settings = fd.RandomSearchSettings(candidates=1, skips=0, nodes=1)
        >>> result = fd.run_random_search(
        ...     settings, "runs/random", dataset="digits", init_channels=2, layers=3,
        ...     epochs=1, steps_per_epoch=2, batch_size=50,
        ... )
        epoch 1/1 ...
        >>> len(result.genotypes), result.ranking[0]["rank"]
        (1, 1)
    """
    options = {**SHORT_TRAINING, **training}
    if cluster_of(options.get("strategy", "auto")).has_several:
        raise ConfigurationError(
            "a random search runs on one machine, but TF_CONFIG names several workers. Unset it, or use "
            "--strategy=mirrored."
        )
    recorded = check_random_search(settings, workdir, options)
    genotypes = draw_candidates(settings)
    with run_in(workdir) as run:
        run.open(recorded)
        return _train_all(genotypes, options, run)


def _train_all(genotypes: list[Genotype], options: Mapping[str, object], run: Run) -> RandomSearchResult:
    rows: list[Row] = []
    for number, genotype in enumerate(genotypes, start=1):
        place = run.workdir / f"candidate_{number}"
        print(f"candidate {number} of {len(genotypes)}", file=sys.stderr)
        # The names of variables, under which checkpoints keep them, must not depend on what ran before.
        keras.utils.clear_session()
        result = run_training(TrainSettings(genotype=_genotype_file(run, number, genotype), **options), place)
        if result.stopped_by is None:
            rows.append(_row(number, genotype, result.history))
            _write(run, genotypes, rank(rows))
        if result.asked_to_stop is not None:
            return RandomSearchResult(genotypes, rank(rows), result.asked_to_stop)
    return RandomSearchResult(genotypes, rank(rows))


def rank(rows: list[Row]) -> list[Row]:
    """Returns rows, the highest accuracy first, of equal ones the lowest loss, with their ``rank`` from 1."""
    ordered = sorted(rows, key=lambda row: (-row["validation_accuracy"], row["validation_loss"], row["candidate"]))
    return [row | {"rank": place} for place, row in enumerate(ordered, start=1)]


def _row(number: int, genotype: Genotype, history: TrainHistory) -> Row:
    best = history.best_epoch()
    cost = network_cost(genotype)
    return {
        "candidate": number,
        "validation_accuracy": history.rows[best - 1]["validation_accuracy"],
        "validation_loss": history.rows[best - 1]["validation_loss"],
        "best_epoch": best,
        "normal_skips": genotype.skips("normal"),
        "reduce_skips": genotype.skips("reduce"),
        "params": cost.params,
        "macs": cost.macs,
    }


def _genotype_file(run: Run, number: int, genotype: Genotype) -> str:
    path = Path(genotype_path(run.workdir, number))
    try:
        path.parent.mkdir(exist_ok=True)
        genotype.save(path)
    except OSError as error:
        raise run.cannot_write(error) from error
    return str(path)


def _write(run: Run, genotypes: list[Genotype], ranking: list[Row]) -> None:
    try:
        write_text_atomically(run.workdir / "results.csv", rows_as_csv(COLUMNS, ranking))
        genotypes[int(ranking[0]["candidate"]) - 1].save(run.workdir / "genotype.json")
    except OSError as error:
        raise run.cannot_write(error) from error
