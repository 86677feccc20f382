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

from fairdarts_tf.alphas import edge_endpoints, load_alphas, load_history, nodes_of
from fairdarts_tf.derivation import Confidence, confidence, derive
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotypes import CELL_KINDS, Genotype
from fairdarts_tf.relaxations import relaxation

Tables = dict[str, np.ndarray]
"""Mixing weights by kind of cell, (edges, operations)."""


@dataclasses.dataclass(frozen=True)
class DerivationSettings:
    """What decides how alphas become a genotype.

    Args:
        relaxation: A name of `fairdarts_tf.relaxations.RELAXATIONS`.
        operations: Names of the alphas' columns.
        method: A name of `fairdarts_tf.derivation.METHODS`.
        threshold: The least value that is kept.
        max_skips: The most skip connections of the normal cell. Defaults to None: no limit.
        average_last: Epochs whose mixing weights are averaged, up to the one that counts. Defaults to 1.
    """

    relaxation: str
    operations: tuple[str, ...]
    method: str
    threshold: float
    max_skips: int | None = None
    average_last: int = 1

    def derive(self, values: Mapping[str, np.ndarray]) -> Genotype:
        """Returns the genotype of mixing weights; see `fairdarts_tf.derivation.derive`."""
        return derive(values, self.operations, self.method, self.threshold, self.max_skips)

    def confidence(self, values: Mapping[str, np.ndarray]) -> list[Confidence]:
        """Returns how sure each item of that genotype is; see `fairdarts_tf.derivation.confidence`."""
        return confidence(values, self.operations, self.method, self.threshold, self.max_skips)

    def weights_after(self, alphas: Mapping[str, np.ndarray]) -> Tables:
        """Returns the mixing weights that decide after the last of some epochs.

        Args:
            alphas: Raw, by kind of cell, (epochs, edges, operations).
        """
        relax = relaxation(self.relaxation).of_array
        return {kind: np.mean(relax(tables[-self.average_last :]), axis=0) for kind, tables in alphas.items()}


@dataclasses.dataclass(frozen=True)
class EdgeShare:
    """How many genotypes choose the same on an edge as one genotype does.

    Args:
        cell: ``"normal"`` or ``"reduce"``.
        to: The edge's node.
        source: Where it comes from.
        operations: What the one genotype has on the edge; empty for nothing.
        share: The share of genotypes with exactly these, in [0, 1].
    """

    cell: str
    to: int
    source: int
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
    if len(shapes) != 1:
        found = " and ".join(map(str, sorted(shapes))) or "none"
        raise GenotypeError(
            f"a consensus needs alphas of one shape, but found {found}. Name runs of one search space and one --nodes."
        )
    return {kind: np.mean([run[kind] for run in tables], axis=0) for kind in CELL_KINDS}


def derive_each(tables: Sequence[Tables], settings: DerivationSettings) -> list[Genotype | None]:
    """Returns the genotype of each of several tables; None where a cell would be empty."""
    return [_derive_or_none(table, settings) for table in tables]


def over_epochs(alphas: Mapping[str, np.ndarray], settings: DerivationSettings, last: int) -> list[Genotype | None]:
    """Returns the genotypes that a search stood at after each of its last epochs.

    Args:
        alphas: Raw, by kind of cell, (epochs, edges, operations).
        settings: What decides the derivation.
        last: How many epochs; fewer if there are fewer.
    """
    count = min(len(tables) for tables in alphas.values())
    ends = range(max(count - last, 0) + 1, count + 1)
    tables = [settings.weights_after({kind: table[:end] for kind, table in alphas.items()}) for end in ends]
    return derive_each(tables, settings)


def edge_shares(chosen: Genotype, others: Sequence[Genotype | None], nodes: int) -> list[EdgeShare]:
    """Returns, for every edge of both cells, how many genotypes have there what the chosen one has.

    Args:
        chosen: The genotype.
        others: Those compared with it, at least one; None agrees with nothing.
        nodes: Intermediate nodes of the searched cells.
    """
    rows = []
    for kind in CELL_KINDS:
        for to, source in edge_endpoints(nodes):
            wanted = _on_edge(chosen, kind, to, source)
            hits = [other is not None and set(_on_edge(other, kind, to, source)) == set(wanted) for other in others]
            rows.append(EdgeShare(kind, to, source, wanted, float(np.mean(hits))))
    return rows


def agreement(genotypes: Sequence[Genotype | None]) -> dict[str, float]:
    """Returns how alike genotypes are, from 0 to 1: by kind of cell, and ``both``.

    For two cells it is the Jaccard index of their items (operation, to, from): those in both over those in either. The
    result is the mean over all pairs; a genotype that could not be derived agrees with none.

    Raises:
        ConfigurationError: When there are fewer than two.
    """
    if len(genotypes) < 2:
        raise ConfigurationError(f"agreement is between at least two runs, but there are {len(genotypes)}. Name more.")
    pairs = list(itertools.combinations(genotypes, 2))
    found = {kind: float(np.mean([_jaccard(one, other, (kind,)) for one, other in pairs])) for kind in CELL_KINDS}
    return found | {"both": float(np.mean([_jaccard(one, other, CELL_KINDS) for one, other in pairs]))}


def format_agreement(found: Mapping[str, float], runs: int) -> str:
    """Returns one line that says how alike runs are."""
    return (
        f"agreement of {runs} runs: {found['both']:.3f} (normal {found['normal']:.3f}, reduce {found['reduce']:.3f}); "
        "1: the same cells, 0: nothing in common"
    )


def format_edges(rows: Sequence[EdgeShare], compared: str) -> str:
    """Returns the edges as an aligned table.

    Args:
        rows: The edges.
        compared: What was compared, as in ``"10 epochs"``.
    """
    table = [("cell", "to", "from", "choice", f"share of {compared}")]
    table += [
        (row.cell, str(row.to), str(row.source), "+".join(row.operations) or "-", f"{row.share:.2f}") for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)


def nodes_in(tables: Tables) -> int:
    """Returns the intermediate nodes of the cells that mixing weights are of."""
    return nodes_of(len(tables[CELL_KINDS[0]]))


def _derive_or_none(table: Tables, settings: DerivationSettings) -> Genotype | None:
    try:
        return settings.derive(table)
    except GenotypeError:
        return None


def _on_edge(genotype: Genotype, kind: str, to: int, source: int) -> tuple[str, ...]:
    return tuple(item.op for item in genotype.items(kind) if (item.to, item.source) == (to, source))


def _jaccard(one: Genotype | None, other: Genotype | None, kinds: Sequence[str]) -> float:
    if one is None or other is None:
        return 0.0
    of_one, of_other = ({(kind, item) for kind in kinds for item in genotype.items(kind)} for genotype in (one, other))
    return len(of_one & of_other) / len(of_one | of_other)
