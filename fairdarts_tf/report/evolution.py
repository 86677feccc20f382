"""What a run's alphas say epoch by epoch: the genotype after each, how sure its choices are and how long they stood."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from fairdarts_tf.derivation import Confidence
from fairdarts_tf.errors import FairDartsError
from fairdarts_tf.genotype_files import AnyGenotype, Item
from fairdarts_tf.report.run_data import RunData
from fairdarts_tf.sensitivity import DerivationSettings
from fairdarts_tf.spaces import SearchSpace


@dataclasses.dataclass(frozen=True)
class Epoch:
    """What the run's method derives after an epoch.

    Args:
        number: The epoch, counted from 1; 0 for the last one where its number is not known.
        genotype: None where nothing can be derived.
        confidence: How sure each choice is; empty without a genotype.
        reason: Why nothing can be derived; empty where there is a genotype.
    """

    number: int
    genotype: AnyGenotype | None
    confidence: tuple[Confidence, ...] = ()
    reason: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return f"epoch {self.number}" if self.number else "the last epoch"

    def skips(self, kind: str) -> int | None:
        """Returns the skip connections of a kind, or None without a genotype."""
        return None if self.genotype is None else self.genotype.skips(kind)


@dataclasses.dataclass(frozen=True)
class Evolution:
    """All epochs of a run.

    Args:
        epochs: In order; empty if the run's alphas are not known.
        space: The search space, None if it is not known what was searched.
    """

    epochs: tuple[Epoch, ...]
    space: SearchSpace | None

    @property
    def last(self) -> Epoch | None:
        """The last epoch, or None."""
        return self.epochs[-1] if self.epochs else None

    @property
    def confidence(self) -> tuple[Confidence, ...]:
        """How sure each choice after the last epoch is; empty without a genotype."""
        return self.epochs[-1].confidence if self.epochs else ()

    def stood(self, kind: str, item: Item, last: int = 5) -> tuple[int, int]:
        """Returns in how many of the last epochs the genotype had an item, and how many these are.

        Args:
            kind: The table of alphas that the choice is from.
            item: The choice.
            last: Epochs looked at, fewer if there are fewer. Defaults to 5.
        """
        looked_at = self.epochs[-last:]
        genotypes = [epoch.genotype for epoch in looked_at if epoch.genotype is not None]
        return sum(item in genotype.items(kind) for genotype in genotypes), len(looked_at)


def evolution_of(run: RunData) -> Evolution:
    """Derives the genotype after every epoch as the run's own flags say."""
    if not run.alphas:
        return Evolution((), None)
    settings = run.derivation
    ends = range(1, len(run.epochs) + 1)
    tables = [settings.weights_after({kind: table[:end] for kind, table in run.alphas.items()}) for end in ends]
    epochs = [_epoch(int(number), table, settings) for number, table in zip(run.epochs, tables, strict=True)]
    return Evolution(tuple(epochs), settings.space)


def dominant_counts(weights: np.ndarray, threshold: float | None) -> np.ndarray:
    """Returns how many mixing weights are dominant, by operation: of shape (epochs, operations).

    Args:
        weights: Of shape (epochs, rows, operations).
        threshold: The least weight that counts. None: the largest weight of each row, an edge or a layer, counts.
    """
    if threshold is None:
        return np.sum(np.eye(weights.shape[-1], dtype=int)[weights.argmax(axis=-1)], axis=1)
    return np.sum(weights >= threshold, axis=1)


def dominance_threshold(relaxation: str, threshold: float) -> float | None:
    """Returns the least weight that is dominant, or None where the largest of an edge is.

    Weights that share one whole, as softmax's do, seldom reach a threshold.
    """
    return None if relaxation == "softmax" else threshold


def _epoch(number: int, table: Mapping[str, np.ndarray], settings: DerivationSettings) -> Epoch:
    try:
        genotype = settings.derive(table)
    except FairDartsError as error:
        return Epoch(number, None, reason=str(error))
    return Epoch(number, genotype, tuple(settings.confidence(table)))
