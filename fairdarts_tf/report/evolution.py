"""What a run's alphas say epoch by epoch: the genotype after each, how sure its choices are and how long they stood."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fairdarts_tf.alphas import nodes_of
from fairdarts_tf.derivation import Confidence, confidence, derive
from fairdarts_tf.errors import FairDartsError
from fairdarts_tf.genotypes import CELL_KINDS, Genotype, GenotypeItem
from fairdarts_tf.report.run_data import RunData

SKIP = "skip_connect"


@dataclasses.dataclass(frozen=True)
class Epoch:
    """What the run's method derives after an epoch.

    Args:
        number: The epoch, counted from 1.
        genotype: None where nothing can be derived.
        reason: Why not; empty where there is a genotype.
    """

    number: int
    genotype: Genotype | None
    reason: str = ""

    def skips(self, kind: str) -> int | None:
        """Returns the skip connections of a cell, or None without a genotype."""
        if self.genotype is None:
            return None
        return sum(item.op == SKIP for item in self.genotype.items(kind))


@dataclasses.dataclass(frozen=True)
class Evolution:
    """All epochs of a run.

    Args:
        epochs: In order; empty if the run's alphas are not known.
        confidence: How sure each choice after the last epoch is; empty without a genotype.
        nodes: Intermediate nodes of the searched cells, 0 if not known.
    """

    epochs: tuple[Epoch, ...]
    confidence: tuple[Confidence, ...]
    nodes: int

    @property
    def last(self) -> Epoch | None:
        """The last epoch, or None."""
        return self.epochs[-1] if self.epochs else None

    def stood(self, kind: str, item: GenotypeItem, last: int = 5) -> tuple[int, int]:
        """Returns in how many of the last epochs the genotype had an item, and how many these are.

        Args:
            kind: ``"normal"`` or ``"reduce"``.
            item: The choice.
            last: Epochs looked at, fewer if there are fewer. Defaults to 5.
        """
        looked_at = self.epochs[-last:]
        genotypes = [epoch.genotype for epoch in looked_at if epoch.genotype is not None]
        return sum(item in genotype.items(kind) for genotype in genotypes), len(looked_at)


def evolution_of(run: RunData) -> Evolution:
    """Derives the genotype after every epoch with the run's own relaxation, method and threshold."""
    weights = run.mixing_weights()
    if not weights:
        return Evolution((), (), 0)
    settings = run.derivation
    arguments = (settings.operations, settings.method, settings.threshold)
    tables = [{kind: weights[kind][index] for kind in CELL_KINDS} for index in range(len(run.epochs))]
    epochs = [_epoch(int(number), table, arguments) for number, table in zip(run.epochs, tables, strict=True)]
    rows: Sequence[Confidence] = confidence(tables[-1], *arguments) if epochs[-1].genotype else ()
    return Evolution(tuple(epochs), tuple(rows), nodes_of(weights[CELL_KINDS[0]].shape[1]))


def _epoch(number: int, table: dict, arguments: tuple) -> Epoch:
    try:
        return Epoch(number, derive(table, *arguments))
    except FairDartsError as error:
        return Epoch(number, None, str(error))
