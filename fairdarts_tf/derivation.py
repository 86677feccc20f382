"""From alphas to a genotype: which operations of the supernet a found cell keeps, and how sure each choice is.

Everything here is NumPy in float64, so that a genotype derived from a file is the one that the search showed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairdarts_tf.alphas import edge_endpoints, nodes_of
from fairdarts_tf.errors import ConfigurationError, GenotypeError, unknown_name
from fairdarts_tf.genotypes import (
    CELL_KINDS,
    INPUTS,
    SKIP,
    Genotype,
    GenotypeItem,
    check_operations,
    existing_nodes,
    reachable_items,
)
from fairdarts_tf.value_types import as_type

if TYPE_CHECKING:
    from fairdarts_tf.genotype_files import Item

DEFAULT_METHOD = "threshold_sparse"
DEFAULT_THRESHOLD = 0.85
"""FairDARTS' threshold on the sigmoid in search space S1."""

COIN_FLIP_MARGIN = 0.01
"""A choice with a smaller margin is marked: in the authors' final tables best and second differ by about 0.001, and
what lies within ten times that could as well have come out otherwise."""


_FEW = 2
"""Edges of a node, or operations of an edge, that are kept."""


class Pick(NamedTuple):
    """An operation chosen for a node: the edge's source, and the operation's column."""

    source: int
    column: int


def pick_strongest(values: np.ndarray, threshold: float) -> list[Pick]:
    """DARTS: the two edges with the largest value, on each the best operation, the stronger edge first."""
    del threshold
    sources = np.argsort(-values.max(axis=1), kind="stable")[:_FEW]
    picks = [Pick(int(source), int(values[source].argmax())) for source in sources]
    return [pick for pick in picks if np.isfinite(values[pick])]


def pick_strongest_above(values: np.ndarray, threshold: float) -> list[Pick]:
    """FairDARTS: the same two edges, of which only those that reach the threshold stay."""
    return [pick for pick in pick_strongest(values, threshold) if values[pick] >= threshold]


def pick_all_above(values: np.ndarray, threshold: float) -> list[Pick]:
    """Every edge, with up to two operations that reach the threshold, the stronger first."""
    columns = np.argsort(-values, axis=1, kind="stable")[:, :_FEW]
    picks = [Pick(source, int(column)) for source, row in enumerate(columns) for column in row]
    return [pick for pick in picks if values[pick] >= threshold]


@dataclasses.dataclass(frozen=True)
class Method:
    """A way from values to a node's inputs.

    Args:
        pick: Takes a node's values, of shape (sources, operations), and the threshold; returns the picks in order.
            Equal values are settled by the lower index, of the source and then of the operation. What is out of the
            running, as ``none``, is -inf, and never picked.
        has_threshold: Whether the threshold plays a part.
        edges_kept: How many edges of a node are kept at most; None: all.
        operations_kept: How many operations of an edge are kept at most.
    """

    pick: Callable[[np.ndarray, float], list[Pick]]
    has_threshold: bool
    edges_kept: int | None
    operations_kept: int

    @property
    def edges_compete(self) -> bool:
        """Whether a node's edges compete for a fixed number of places."""
        return self.edges_kept is not None


METHODS: dict[str, Method] = {
    "darts": Method(pick_strongest, has_threshold=False, edges_kept=_FEW, operations_kept=1),
    "threshold_sparse": Method(pick_strongest_above, has_threshold=True, edges_kept=_FEW, operations_kept=1),
    "threshold_edge": Method(pick_all_above, has_threshold=True, edges_kept=None, operations_kept=_FEW),
}


@dataclasses.dataclass(frozen=True)
class Confidence:
    """How sure the choice of one item of a genotype is. Fields are None where there was no competitor.

    Args:
        cell: The item's table of alphas: ``"normal"`` or ``"reduce"`` in S1.
        item: The item kept.
        value: Its value.
        runner_up: The best operation of the same edge, or layer, that was not kept.
        runner_up_value: That operation's value.
        margin: By how much the item leads it.
        rejected_source: Where the node's best edge that was not kept comes from, if edges compete.
        rejected_value: The best value on that edge.
        rejected_margin: By how much the item leads it.
        threshold_margin: By how much the item exceeds the threshold, if the method has one.
        threshold_decides: Whether the item is kept only as it reaches the threshold. Defaults to True; where an
            operation is kept in any case, one below the threshold is undecided.
    """

    cell: str
    item: Item
    value: float
    runner_up: str | None
    runner_up_value: float | None
    margin: float | None
    rejected_source: int | None
    rejected_value: float | None
    rejected_margin: float | None
    threshold_margin: float | None
    threshold_decides: bool = True

    @property
    def smallest_margin(self) -> float:
        """The smallest of the margins that decide; infinite where nothing competed."""
        margins = (self.margin, self.rejected_margin, self.threshold_margin if self.threshold_decides else None)
        return min((margin for margin in margins if margin is not None), default=float("inf"))

    @property
    def coin_flip(self) -> bool:
        """Whether another seed, or another epoch, could as well have chosen otherwise."""
        return self.smallest_margin < COIN_FLIP_MARGIN

    @property
    def undecided(self) -> bool:
        """Whether the item is kept although its value is below the threshold."""
        return self.threshold_margin is not None and self.threshold_margin < 0

    @property
    def remark(self) -> str:
        """What a report says of it besides: ``"coin flip"``, ``"undecided"``, both or nothing."""
        remarks = {"coin flip": self.coin_flip, "undecided": self.undecided}
        return ", ".join(name for name, is_so in remarks.items() if is_so)


def derive(
    values: Mapping[str, np.ndarray],
    operations: Sequence[str],
    method: str = DEFAULT_METHOD,
    threshold: float = DEFAULT_THRESHOLD,
    max_skips: int | None = None,
) -> Genotype:
    """Derives the genotype of relaxed alphas.

    Items come by ascending node, within a node in the method's order. A node left without inputs is dropped, with what
    would have read it; the outputs hold the remaining nodes only.

    Args:
        values: ``normal`` and ``reduce``, of shape (edges, operations): see `fairdarts_tf.relaxations`.
        operations: The columns' names. ``none`` is never chosen.
        method: A name of `METHODS`.
        threshold: The least value that is kept, in [0, 1]. ``darts`` has none.
        max_skips: The most ``skip_connect`` that the normal cell may have. While it has more, the weakest of them goes
            out of the running and the cell is derived anew, so that another edge or operation may take its place
            (P-DARTS, section 3.3). Defaults to None: no limit.

    Raises:
        ConfigurationError: When the method is unknown, or the threshold or the limit out of range.
        GenotypeError: When the tables do not fit the operations, or a cell would be empty.
    """
    kept_items = _derive(values, operations, method, threshold, max_skips)
    items = {kind: [item for item, _ in kept] for kind, kept in kept_items.items()}
    return Genotype(
        normal=tuple(items["normal"]),
        normal_concat=existing_nodes(items["normal"]),
        reduce=tuple(items["reduce"]),
        reduce_concat=existing_nodes(items["reduce"]),
    )


def confidence(
    values: Mapping[str, np.ndarray],
    operations: Sequence[str],
    method: str = DEFAULT_METHOD,
    threshold: float = DEFAULT_THRESHOLD,
    max_skips: int | None = None,
) -> list[Confidence]:
    """Returns how sure each item of ``derive(values, ...)`` is, in the items' order.

    The arguments and errors are those of `derive`.
    """
    kept_items = _derive(values, operations, method, threshold, max_skips)
    return [row for kept in kept_items.values() for _, row in kept]


def format_report(rows: Sequence[Confidence]) -> str:
    """Returns the rows as an aligned table, and a last line that counts the coin flips.

    Of a genotype whose operations may stay below the threshold, that line counts these too.
    """
    columns = [column for column in _REPORT_COLUMNS if not (column.of_edges and _keep_every_row(rows))]
    table = [("cell", *rows[0].item.coordinates, *(column.title for column in columns), "")]
    for row in rows:
        texts = (column.text(row) for column in columns)
        table.append((row.cell, *row.item.coordinates.values(), *texts, row.remark))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    flips = sum(row.coin_flip for row in rows)
    summary = f"{flips} of {len(rows)} choices are coin flips: a margin below {COIN_FLIP_MARGIN}."
    if _keep_every_row(rows) and rows[0].threshold_margin is not None:
        summary += f" {sum(row.undecided for row in rows)} are undecided: below the threshold."
    return "\n".join([*lines, summary])


def checked_limits(threshold: float, max_skips: int | None) -> tuple[float, int | None]:
    """Returns both as Python's numbers.

    Raises:
        ConfigurationError: When they are no numbers, or out of range.
    """
    threshold = as_type("threshold", threshold, 0.0)
    if not 0 <= threshold <= 1:
        raise ConfigurationError(f"the threshold is {threshold}. Expected a number from 0 to 1.")
    if max_skips is None:
        return threshold, None
    max_skips = as_type("max_skips", max_skips, 0)
    if max_skips < 0:
        raise ConfigurationError(f"the most skip connections are {max_skips}. Expected 0 or more, or no limit.")
    return threshold, max_skips


_Kept = list[tuple[GenotypeItem, Confidence]]


def _derive(
    values: Mapping[str, np.ndarray], operations: Sequence[str], method: str, threshold: float, max_skips: int | None
) -> dict[str, _Kept]:
    if method not in METHODS:
        raise ConfigurationError(unknown_name("method", method, METHODS))
    threshold, max_skips = checked_limits(threshold, max_skips)
    check_operations(operations)
    derivation = _Derivation(tuple(operations), METHODS[method], threshold, max_skips)
    return {kind: derivation.cell(kind, values[kind]) for kind in CELL_KINDS}


class _Derivation(NamedTuple):
    operations: tuple[str, ...]
    method: Method
    threshold: float
    max_skips: int | None

    def cell(self, kind: str, table: np.ndarray) -> _Kept:
        values = _candidates(kind, table, self.operations)
        kept = self._reachable(kind, values)
        while (weakest := self._excess_skip(kind, kept)) is not None:
            edge = edge_endpoints(nodes_of(len(values))).index((weakest.to, weakest.source))
            values[edge, self.operations.index(SKIP)] = -np.inf
            kept = self._reachable(kind, values)
        return kept

    def _excess_skip(self, kind: str, kept: _Kept) -> GenotypeItem | None:
        """Returns the weakest skip connection of a normal cell that has too many; of equal ones the last."""
        skips = [(row.value, -index, item) for index, (item, row) in enumerate(kept) if item.op == SKIP]
        if kind != "normal" or self.max_skips is None or len(skips) <= self.max_skips:
            return None
        return min(skips)[2]

    def _reachable(self, kind: str, values: np.ndarray) -> _Kept:
        kept = [pair for to, node_values in _split_by_node(values) for pair in self._node(kind, to, node_values)]
        reachable = set(reachable_items([item for item, _ in kept]))
        if not reachable:
            limit = "" if self.max_skips is None else f" With --max_skips={self.max_skips}, skips may be all it had."
            raise GenotypeError(
                f"the {kind} cell would be empty: no node can be reached through operations of at least "
                f"{self.threshold:g}; the largest value is {values.max():.4f}. Lower --threshold or use "
                f"--method=darts.{limit}"
            )
        return [(item, row) for item, row in kept if item in reachable]

    def _node(self, kind: str, to: int, values: np.ndarray) -> _Kept:
        picks = self.method.pick(values, self.threshold)
        items = [GenotypeItem(self.operations[pick.column], to, pick.source) for pick in picks]
        return [(item, self._judge(kind, item, values, picks, i)) for i, item in enumerate(items)]

    def _judge(self, kind: str, item: GenotypeItem, values: np.ndarray, picks: list[Pick], index: int) -> Confidence:
        value = float(values[picks[index]])
        runner_up, rejected = _competitors(values, picks, item.source)
        runner_up_value = float(values[runner_up]) if runner_up else None
        rejected = rejected if self.method.edges_compete else None
        rejected_value = float(values[rejected]) if rejected else None
        return Confidence(
            cell=kind,
            item=item,
            value=value,
            runner_up=self.operations[runner_up.column] if runner_up else None,
            runner_up_value=runner_up_value,
            margin=lead(value, runner_up_value),
            rejected_source=rejected.source if rejected else None,
            rejected_value=rejected_value,
            rejected_margin=lead(value, rejected_value),
            threshold_margin=value - self.threshold if self.method.has_threshold else None,
        )


def _competitors(values: np.ndarray, picks: Sequence[Pick], source: int) -> tuple[Pick | None, Pick | None]:
    """Returns the best that was not picked on a source's edge, and the best on the edges not picked at all."""
    rest = values.copy()
    rest[tuple(zip(*picks, strict=True))] = -np.inf
    on_edge = np.full_like(rest, -np.inf)
    on_edge[source] = rest[source]
    rest[[pick.source for pick in picks]] = -np.inf
    return _best(on_edge), _best(rest)


def _best(values: np.ndarray) -> Pick | None:
    best = Pick(*(int(index) for index in np.unravel_index(values.argmax(), values.shape)))
    return best if np.isfinite(values[best]) else None


def _candidates(kind: str, table: np.ndarray, operations: Sequence[str]) -> np.ndarray:
    """Returns a cell's values in float64, checked, with ``none`` out of the running."""
    values = np.array(table, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(operations):
        raise GenotypeError(
            f"the {kind} cell's table has the shape {values.shape}, and there are {len(operations)} operations "
            f"({', '.join(operations)}). Expected one column for each: name them with --operations."
        )
    if not np.isfinite(values).all():
        raise GenotypeError(f"the {kind} cell's table holds values that are not finite. Search again.")
    values[:, [operation == "none" for operation in operations]] = -np.inf
    return values


def _split_by_node(values: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Returns (node, values of shape (sources, operations)) for each intermediate node."""
    endpoints = np.array(edge_endpoints(nodes_of(len(values))))
    return [(int(to), values[endpoints[:, 0] == to]) for to in range(INPUTS, endpoints[-1, 0] + 1)]


def lead(value: float, other: float | None) -> float | None:
    """Returns by how much a value leads another, or None where there is no other."""
    return None if other is None else value - other


class _Column(NamedTuple):
    title: str
    text: Callable[[Confidence], str]
    of_edges: bool = False


_REPORT_COLUMNS = (
    _Column("operation", lambda row: row.item.op),
    _Column("value", lambda row: _number(row.value)),
    _Column("runner-up", lambda row: row.runner_up or "-"),
    _Column("value", lambda row: _number(row.runner_up_value)),
    _Column("margin", lambda row: _number(row.margin)),
    _Column("next edge", lambda row: "-" if row.rejected_source is None else f"from {row.rejected_source}", True),
    _Column("value", lambda row: _number(row.rejected_value), True),
    _Column("margin", lambda row: _number(row.rejected_margin), True),
    _Column("over threshold", lambda row: _number(row.threshold_margin)),
)


def _keep_every_row(rows: Sequence[Confidence]) -> bool:
    """Returns whether the rows are of a space in which every row of the alphas keeps an operation."""
    return not any(row.threshold_decides for row in rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
