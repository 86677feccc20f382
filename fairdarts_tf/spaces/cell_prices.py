"""What the networks of search space S1 cost, choice by choice.

All is read off networks themselves: of those that have every operation on every edge the cost of each operation, of
those with fewer nodes, or which leave an input of the cells unread, what that saves. So what a network is counted to
cost is written in one place alone, `fairdarts_tf.costs`.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from fairdarts_tf.alphas import edge_endpoints
from fairdarts_tf.costs import AUXILIARY_HEAD, NetworkSize, Part, network_parts
from fairdarts_tf.derivation import METHODS
from fairdarts_tf.genotypes import CELL_KINDS, INPUTS, Genotype, GenotypeItem
from fairdarts_tf.prices import Price
from fairdarts_tf.spaces.reductions import reduction_cells

_READS = ((0, 1), (0,), (1,))
_ALIGNS = ("align_older", "align_newer")


@dataclasses.dataclass(frozen=True)
class Alignment:
    """What brings the output of cells of one kind (or of the stem) to the channels of cells that read it.

    Attributes:
        reader: Kind of the reading cells.
        place: 0: their older input, 1: their newer input.
        source: Kind of the cells whose output it is; None: the stem.
        unread: What it costs, by the number of nodes of that output, 0 to all, where no operation reads it.
        read: What it costs besides where one does.
    """

    reader: str
    place: int
    source: str | None
    unread: np.ndarray
    read: np.ndarray


@dataclasses.dataclass(frozen=True)
class CellPrices:
    """What the networks of S1 cost at one size: the sum over cells of a kind of what each choice costs there.

    Attributes:
        fixed: Of what every network has: the stem.
        operations: Of each operation on each edge, (edges, operations), by kind of cell.
        sums: Of one addition in a node, by kind of cell.
        outputs: Of what becomes of the output (concatenation, classifier), by its number of nodes, 0 to all.
        alignments: Of what brings the outputs to other cells.
    """

    fixed: float
    operations: Mapping[str, np.ndarray]
    sums: Mapping[str, float]
    outputs: Mapping[str, np.ndarray]
    alignments: tuple[Alignment, ...]


def cell_prices(operations: Sequence[str], nodes: int, size: NetworkSize, price: Price) -> CellPrices:
    """Returns what the networks of S1 cost.

    Args:
        operations: Names of the candidates, without ``none``: the columns of `CellPrices.operations`.
        nodes: Intermediate nodes of a cell.
        size: The networks' size.
        price: What is asked of each part.
    """
    probes = {
        (count, reads): _Probe(_full_genotype(operations, count, reads), size, price)
        for count, reads in itertools.product(range(1, nodes + 1), _READS)
    }
    whole = probes[nodes, _READS[0]]
    counts = range(1, nodes + 1)

    def by_count(value: Callable[[int], float]) -> np.ndarray:
        return np.array([0.0, *map(value, counts)])

    def alignment(reader: str, place: int, source: str | None) -> Alignment:
        key = (reader, place, source)
        read = by_count(lambda count: probes[count, _READS[0]].alignments[key])
        unread = by_count(lambda count: probes[count, (1 - place,)].alignments[key])
        return Alignment(*key, unread, read - unread)

    return CellPrices(
        fixed=whole.stem,
        operations={kind: whole.operations(kind, operations, nodes) for kind in CELL_KINDS},
        sums={kind: whole.sum_of(kind) for kind in CELL_KINDS},
        outputs={
            kind: by_count(lambda count, kind=kind: probes[count, _READS[0]].outputs[kind]) for kind in CELL_KINDS
        },
        alignments=tuple(alignment(*key) for key in sorted(whole.alignments, key=str)),
    )


def cell_parts(operations: Sequence[str], nodes: int, size: NetworkSize) -> Iterator[Part]:
    """Yields parts among which is every part that a network of S1 may have; arguments as for `cell_prices`."""
    for count in range(1, nodes + 1):
        parts = network_parts(_full_genotype(operations, count, _READS[0]), size)
        yield from (part for part in parts if part.place != AUXILIARY_HEAD)


def extreme_genotype(prices: CellPrices, operations: Sequence[str], nodes: int, method: str, dearest: bool) -> Genotype:
    """Returns the genotype whose operations cost least or most of those that a method derives.

    Args:
        prices: What they cost.
        operations: Names of the candidates, without ``none``.
        nodes: Intermediate nodes of a cell.
        method: A name of `fairdarts_tf.derivation.METHODS`.
        dearest: Whether they are to cost most.
    """
    rule = METHODS[method]
    some_suffice = rule.has_threshold and not dearest
    places = edge_endpoints(1 if some_suffice else nodes)
    items = {}
    for kind in CELL_KINDS:
        table = (-1 if dearest else 1) * prices.operations[kind]
        chosen: list[GenotypeItem] = []
        for _, edges in itertools.groupby(range(len(places)), key=lambda edge: places[edge][0]):
            ordered = sorted(edges, key=lambda edge: table[edge].min())
            for edge in ordered[: rule.edges_kept if not some_suffice else 1]:
                columns = np.argsort(table[edge], kind="stable")[: rule.operations_kept if not some_suffice else 1]
                chosen += [GenotypeItem(operations[column], *places[edge]) for column in columns]
        items[kind] = tuple(chosen)
    concat = tuple(sorted({to for to, _ in places}))
    return Genotype(normal=items["normal"], normal_concat=concat, reduce=items["reduce"], reduce_concat=concat)


class _Probe:
    """What a network costs, added up by what the cost depends on."""

    def __init__(self, genotype: Genotype, size: NetworkSize, price: Price) -> None:
        self.stem = 0.0
        self.alignments: dict[tuple[str, int, str | None], float] = collections.defaultdict(float)
        self.outputs = dict.fromkeys(CELL_KINDS, 0.0)
        self._items = {kind: collections.defaultdict(float) for kind in CELL_KINDS}
        self._sums = dict.fromkeys(CELL_KINDS, 0.0)
        self._genotype = genotype
        reductions = reduction_cells(size.layers)
        self._kinds = ["reduce" if index in reductions else "normal" for index in range(size.layers)]
        for part in network_parts(genotype, size):
            self._add(part, price.of(part))

    def operations(self, kind: str, names: Sequence[str], nodes: int) -> np.ndarray:
        """Returns the cost of each operation on each edge, (edges, operations)."""
        places = [f"{source}>{to}" for to, source in edge_endpoints(nodes)]
        return np.array([[self._items[kind][f"{place} {name}"] for name in names] for place in places])

    def sum_of(self, kind: str) -> float:
        """Returns the cost of one addition in all cells of a kind."""
        additions = len(self._genotype.items(kind)) - len(self._genotype.nodes(kind))
        return self._sums[kind] / additions if additions else 0.0

    def _add(self, part: Part, cost: float) -> None:
        if part.place == "stem":
            self.stem += cost
        elif part.place == "classifier":
            self.outputs[self._kinds[-1]] += cost
        elif part.place != AUXILIARY_HEAD:
            self._add_of_cell(int(part.place.removeprefix("cell_")), part.name, cost)

    def _add_of_cell(self, index: int, name: str, cost: float) -> None:
        kind = self._kinds[index]
        if name in _ALIGNS:
            place = _ALIGNS.index(name)
            source = index - INPUTS + place
            self.alignments[kind, place, self._kinds[source] if source >= 0 else None] += cost
        elif name == "concat":
            self.outputs[kind] += cost
        elif name.startswith("sum_"):
            self._sums[kind] += cost
        else:
            self._items[kind][name] += cost


def _full_genotype(operations: Sequence[str], nodes: int, reads: Sequence[int]) -> Genotype:
    """Returns a genotype with all operations on all edges, but those that leave an input not to be read."""
    places = [(to, source) for to, source in edge_endpoints(nodes) if source in reads or source >= INPUTS]
    items = tuple(GenotypeItem(name, to, source) for to, source in places for name in operations)
    concat = tuple(range(INPUTS, INPUTS + nodes))
    return Genotype(normal=items, normal_concat=concat, reduce=items, reduce_concat=concat)
