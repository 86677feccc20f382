"""How much a found genotype depends on the epoch at which a search ends, and on its seed.

Near ties decide much of a cell: another epoch, or another seed, decides them otherwise. So genotypes can be derived
from the mean of several epochs or runs, and each choice comes with the share of epochs or runs that agree.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fairdarts_tf.alphas import load_alphas, load_history
from fairdarts_tf.derivation import Confidence
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.relaxations import relaxation
from fairdarts_tf.spaces.space import SearchSpace

Tables = dict[str, np.ndarray]
"""Mixing weights by kind, (rows, operations): in S1 a row is an edge, in S2 a layer."""


@dataclasses.dataclass(frozen=True)
class DerivationSettings:
    """What decides how alphas become a genotype.

    Args:
        space: The search space of the alphas.
        relaxation: A name of `fairdarts_tf.relaxations.RELAXATIONS`.
        method: A name of `fairdarts_tf.derivation.METHODS`.
        threshold: The least value that is kept.
        max_skips: The most skip connections of the normal cell, or of S2's layers. Defaults to None: no limit.
        average_last: Epochs whose mixing weights are averaged, up to the one that counts. Defaults to 1.
    """

    space: SearchSpace
    relaxation: str
    method: str
    threshold: float
    max_skips: int | None = None
    average_last: int = 1

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the alphas' columns."""
        return self.space.operations

    def derive(self, values: Mapping[str, np.ndarray]) -> AnyGenotype:
        """Returns the genotype of mixing weights; see `SearchSpace.derive`."""
        return self.space.derive(values, self.method, self.threshold, self.max_skips)

    def confidence(self, values: Mapping[str, np.ndarray]) -> list[Confidence]:
        """Returns how sure each item of that genotype is; see `SearchSpace.confidence`."""
        return self.space.confidence(values, self.method, self.threshold, self.max_skips)

    def relax(self, alphas: Mapping[str, np.ndarray], name: str | None = None) -> Tables:
        """Returns the mixing weights of raw alphas by kind, (..., rows, operations), in float64.

        Args:
            alphas: Raw.
            name: A relaxation. Defaults to None: the search's own.
        """
        of_array = relaxation(name or self.relaxation).of_array
        in_play = self.space.in_play
        return {kind: of_array(table, in_play.get(kind)) for kind, table in alphas.items()}

    def weights_after(self, alphas: Mapping[str, np.ndarray]) -> Tables:
        """Returns the mixing weights that decide after the last of some epochs.

        Args:
            alphas: Raw, by kind, (epochs, rows, operations).
        """
        last = self.relax({kind: tables[-self.average_last :] for kind, tables in alphas.items()})
        return {kind: np.mean(tables, axis=0) for kind, tables in last.items()}


@dataclasses.dataclass(frozen=True)
class RowShare:
    """How many genotypes choose the same in a row of the alphas, an edge or a layer, as one genotype does.

    Args:
        cell: The table of alphas: ``"normal"`` or ``"reduce"`` in S1.
        place: The row's name.
        operations: What the one genotype has there; empty for nothing.
        share: The share of genotypes with exactly these, in [0, 1].
    """

    cell: str
    place: str
    operations: tuple[str, ...]
    share: float


def load_weights(path: str | os.PathLike[str], settings: DerivationSettings, epoch: int | None = None) -> Tables:
    """Returns the mixing weights that a search's files lead to, in float64.

    Args:
        path: A search's directory, or an ``.npz`` file with its alphas.
        settings: What decides the derivation. Where it averages over epochs, the history is read in place of the
            last alphas.
        epoch: The last epoch that counts. Defaults to None: the last that there is.

    Raises:
        GenotypeError: When the file is absent or broken.
        ConfigurationError: When a mean over epochs is asked of a file that has no epochs.
    """
    if settings.average_last == 1:
        return settings.weights_after({kind: table[np.newaxis] for kind, table in load_alphas(path).items()})
    if not os.path.isdir(path) and Path(path).name == "alphas.npz":
        raise ConfigurationError(
            f"--average_last={settings.average_last} needs the alphas of several epochs, and {path} has those of one. "
            "Name the search's directory or its history.npz."
        )
    history = load_history(path)
    epochs = history.pop("epoch")
    counted = epochs <= (epochs[-1] if epoch is None else epoch)
    return settings.weights_after({kind: tables[counted] for kind, tables in history.items()})


def consensus(tables: Sequence[Tables]) -> Tables:
    """Returns the mean of several runs' mixing weights.

    Raises:
        GenotypeError: When there is no run, or their shapes differ.
    """
    shapes = {table.shape for run in tables for table in run.values()}
    if len(shapes) != 1 or len({tuple(run) for run in tables}) != 1:
        found = " and ".join(map(str, sorted(shapes))) or "none"
        raise GenotypeError(
            f"a consensus needs alphas of one shape, but found {found}. Name runs of one search space and one --nodes."
        )
    return {kind: np.mean([run[kind] for run in tables], axis=0) for kind in tables[0]}


def derive_each(tables: Sequence[Tables], settings: DerivationSettings) -> list[AnyGenotype | None]:
    """Returns the genotype of each of several tables; None where a cell would be empty."""
    return [_derive_or_none(table, settings) for table in tables]


def over_epochs(alphas: Mapping[str, np.ndarray], settings: DerivationSettings, last: int) -> list[AnyGenotype | None]:
    """Returns the genotypes that a search stood at after each of its last epochs.

    Args:
        alphas: Raw, by kind, (epochs, rows, operations).
        settings: What decides the derivation.
        last: How many epochs; fewer if there are fewer.
    """
    count = min(len(tables) for tables in alphas.values())
    ends = range(max(count - last, 0) + 1, count + 1)
    tables = [settings.weights_after({kind: table[:end] for kind, table in alphas.items()}) for end in ends]
    return derive_each(tables, settings)


def row_shares(chosen: AnyGenotype, others: Sequence[AnyGenotype | None], space: SearchSpace) -> list[RowShare]:
    """Returns, for every row of all tables of alphas, how many genotypes have there what the chosen one has.

    Args:
        chosen: The genotype.
        others: Those compared with it, at least one; None agrees with nothing.
        space: Of the search.
    """
    rows = []
    for kind in space.kinds:
        for place in space.row_names(kind):
            wanted = _at_place(chosen, kind, place)
            hits = [other is not None and set(_at_place(other, kind, place)) == set(wanted) for other in others]
            rows.append(RowShare(kind, place, wanted, float(np.mean(hits))))
    return rows


def agreement(genotypes: Sequence[AnyGenotype | None]) -> dict[str, float]:
    """Returns how alike genotypes are, from 0 to 1: by kind, and ``both`` for all kinds together.

    For two cells it is the Jaccard index of their items (operation, to, from): those in both over those in either. The
    result is the mean over all pairs; a genotype that could not be derived agrees with none.

    Raises:
        ConfigurationError: When there are fewer than two.
    """
    if len(genotypes) < 2:
        raise ConfigurationError(f"agreement is between at least two runs, but there are {len(genotypes)}. Name more.")
    pairs = list(itertools.combinations(genotypes, 2))
    kinds = next((genotype.kinds for genotype in genotypes if genotype is not None), ())
    found = {kind: float(np.mean([_jaccard(one, other, (kind,)) for one, other in pairs])) for kind in kinds}
    return found | {"both": float(np.mean([_jaccard(one, other, kinds) for one, other in pairs]))}


def format_agreement(found: Mapping[str, float], runs: int) -> str:
    """Returns one line that says how alike runs are."""
    kinds = ", ".join(f"{kind} {share:.3f}" for kind, share in found.items() if kind != "both")
    return f"agreement of {runs} runs: {found['both']:.3f} ({kinds}); 1: the same genotypes, 0: nothing in common"


def format_rows(rows: Sequence[RowShare], compared: str, row_noun: str) -> str:
    """Returns the rows as an aligned table.

    Args:
        rows: The rows.
        compared: What was compared, as in ``"10 epochs"``.
        row_noun: What a row is, as in ``"edge"``.
    """
    table = [("cell", row_noun, "choice", f"share of {compared}")]
    table += [(row.cell, row.place, "+".join(row.operations) or "-", f"{row.share:.2f}") for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)


def _derive_or_none(table: Tables, settings: DerivationSettings) -> AnyGenotype | None:
    try:
        return settings.derive(table)
    except GenotypeError:
        return None


def _at_place(genotype: AnyGenotype, kind: str, place: str) -> tuple[str, ...]:
    return tuple(item.op for item in genotype.items(kind) if item.place == place)


def _jaccard(one: AnyGenotype | None, other: AnyGenotype | None, kinds: Sequence[str]) -> float:
    if one is None or other is None:
        return 0.0
    of_one, of_other = ({(kind, item) for kind in kinds for item in genotype.items(kind)} for genotype in (one, other))
    return len(of_one & of_other) / len(of_one | of_other)
