"""The layout of a genotype's cells, which all drawings of them share.

A cell runs from its inputs on the left to its output on the right. Each operation is a labelled box of its own in the
column before the node it leads to, and a line that passes a column keeps a place free in it: so no line runs through a
box or a node, and no two boxes meet.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fairdarts_tf.genotypes import (
    CELL_KINDS,
    INPUTS,
    Genotype,
    GenotypeItem,
    existing_nodes,
    reachable_items,
)
from fairdarts_tf.report.layered_layout import Place, Point, arrange, join

if TYPE_CHECKING:
    from fairdarts_tf.derivation import Confidence

COLOURS = {
    "max_pool_3x3": "#B45309",
    "avg_pool_3x3": "#C2780A",
    "skip_connect": "#B4235A",
    "sep_conv_3x3": "#2472B8",
    "sep_conv_5x5": "#174F8A",
    "sep_conv_7x7": "#0E2F57",
    "dil_conv_3x3": "#128A74",
    "dil_conv_5x5": "#0B5E50",
    "conv_7x1_1x7": "#8B3FA8",
}
"""One hue for each family of operations, darker for larger kernels; white text is legible on each."""

LINE_COLOURS = COLOURS | {
    "skip_connect": "#C22B66",
    "sep_conv_5x5": "#3A76BE",
    "sep_conv_7x7": "#5A7DB5",
    "dil_conv_5x5": "#1B8573",
}
"""The same hues, lighter where the box's colour would not stand out as a thin line on a dark page."""

OTHER_COLOUR = "#6B7280"
"""For boxes and lines of operations that have no colour of their own."""

Notes = Mapping[tuple[str, GenotypeItem], str]
"""Short texts by kind of cell and item."""

_ABSENT_COLOUR = "#7C8594"
INK = "#1F2937"
_OUTPUT_LINE_COLOUR = "#8A93A1"
_INPUT_COLOUR, _NODE_COLOUR, _OUTPUT_COLOUR = "#E5E7EB", "#FDF3D3", "#DDEBDA"
FILLS = (*COLOURS.values(), _INPUT_COLOUR, _NODE_COLOUR, _OUTPUT_COLOUR)
"""The colours of all boxes and nodes."""

TITLES = {"normal": "Normal cell", "reduce": "Reduction cell"}
_INPUT_INDICES = ("k-2", "k-1")
_OUTPUT_INDEX = "k"

# Lengths are inches at the figure's natural size, sizes of text points.
_BOX_WIDTH, _BOX_HEIGHT = 1.12, 0.27
_NOTED_BOX_HEIGHT, NOTE_SHIFT = 0.4, 0.085
_CHARACTER_WIDTH = 0.077
_NODE_SIZE = (0.5, 0.36)
_PASSAGE_HEIGHT = 0.04
_SPACING = 0.13
_INPUTS_APART = 0.25
_GAP = 0.55
MARGIN = 0.2
TITLE_HEIGHT = 0.35
_ARROW = (0.09, 0.045)
_BOX_ROUNDING = 0.08
LINE_WIDTH, OUTLINE_WIDTH = 1.5, 1.0
TITLE_SIZE, NODE_TEXT_SIZE, OPERATION_SIZE, NOTE_SIZE = 11, 10, 8, 7.5


def notes_of(rows: Iterable[Confidence]) -> dict[tuple[str, GenotypeItem], str]:
    """Returns each item's value and, if anything competed with it, its smallest margin, as in ``"0.93 (+0.04)"``.

    The margin of a coin flip has one significant digit, as in ``"0.93 (+0.0004)"``.

    Args:
        rows: What `fairdarts_tf.derivation.confidence` says of the genotype to be drawn.
    """
    return {(row.cell, row.item): _note(row) for row in rows}


def with_all_nodes(genotype: Genotype, nodes: int) -> Genotype:
    """Returns the genotype with all nodes of its search space in both outputs, so that a drawing shows isolated ones.

    Args:
        genotype: What was derived; its last nodes may be missing without a trace.
        nodes: The number of intermediate nodes that the searched cells had.
    """
    concat = tuple(range(INPUTS, INPUTS + nodes))
    return dataclasses.replace(genotype, normal_concat=concat, reduce_concat=concat)


def natural_size(genotype: Genotype, notes: Notes | None = None) -> tuple[float, float]:
    """Returns the width and the height of a drawing of both cells, in inches."""
    drawing = Drawing.of(genotype, notes or {})
    return drawing.width, drawing.height


@dataclasses.dataclass(eq=False)
class Shape(Place):
    """A node or an operation's box: what is drawn at its place.

    The inputs and the output are labelled "c" with an index.
    """

    label: str
    colour: str
    present: bool = True
    index: str = ""
    item: GenotypeItem | None = None

    @property
    def outline(self) -> str:
        """Colour of the outline."""
        if not self.present:
            return _ABSENT_COLOUR
        return LINE_COLOURS.get(self.item.op, OTHER_COLOUR) if self.item else INK

    @property
    def ink(self) -> str:
        """Colour of the label."""
        if not self.present:
            return _ABSENT_COLOUR
        return "white" if self.item else INK

    @property
    def rounding(self) -> float:
        """Radius of the corners."""
        return _BOX_ROUNDING if self.item else self.height / 2


@dataclasses.dataclass(frozen=True)
class Line:
    """A line through places of successive columns; an operation has one to its box and one from there."""

    places: list[Place]
    has_arrow: bool
    item: GenotypeItem | None = None
    present: bool = True

    @property
    def colour(self) -> str:
        """Colour of the line and its head."""
        if not self.present:
            return _ABSENT_COLOUR
        return LINE_COLOURS.get(self.item.op, OTHER_COLOUR) if self.item else _OUTPUT_LINE_COLOUR

    @property
    def arrow(self) -> list[Point]:
        """The head's corners."""
        x, y = self.places[-1].left, self.places[-1].y
        length, half = _ARROW
        return [(x, y), (x - length, y - half), (x - length, y + half)]


@dataclasses.dataclass
class Cell:
    """Nodes in the even columns by their depth, each operation in the odd column before its node."""

    columns: list[list[Place]]
    lines: list[Line] = dataclasses.field(default_factory=list)

    @property
    def width(self) -> float:
        """Width of the cell alone, in inches."""
        return max(place.right for place in self.columns[-1])

    @property
    def height(self) -> float:
        """Height of the cell alone, in inches."""
        return max(place.y + place.height / 2 for column in self.columns for place in column)

    @property
    def shapes(self) -> list[Shape]:
        """All boxes and nodes."""
        return [place for column in self.columns for place in column if isinstance(place, Shape)]

    @property
    def boxes(self) -> list[Shape]:
        """The operations."""
        return [shape for shape in self.shapes if shape.item]

    @property
    def nodes(self) -> list[Shape]:
        """Inputs, intermediate nodes and the output."""
        return [shape for shape in self.shapes if not shape.item]

    def add(self, column: int, shape: Shape) -> tuple[int, Shape]:
        """Puts a shape into a column; returns both."""
        self.columns[column].append(shape)
        return column, shape

    def connect(self, start: tuple[int, Shape], end: tuple[int, Shape], box: Shape | None, has_arrow: bool) -> None:
        """Draws a line between two shapes, with a passage in each column between theirs."""
        (first, left), (last, right) = start, end
        passages = [Place(0.0, _PASSAGE_HEIGHT) for _ in range(first + 1, last)]
        for column, passage in enumerate(passages, first + 1):
            self.columns[column].append(passage)
        places = [left, *passages, right]
        join(places)
        self.lines.append(Line(places, has_arrow, box.item, box.present) if box else Line(places, has_arrow))


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Both cells, one above the other, and the notes of their boxes. ``tops`` are below the titles."""

    cells: dict[str, Cell]
    notes: Notes
    tops: list[float]
    width: float
    height: float

    @classmethod
    def of(cls, genotype: Genotype, notes: Notes) -> Drawing:
        """Lays out both cells of a genotype."""
        longest = max(map(len, notes.values()), default=0)
        box_size = (max(_BOX_WIDTH, _CHARACTER_WIDTH * longest), _NOTED_BOX_HEIGHT if longest else _BOX_HEIGHT)
        cells = {kind: lay_out(genotype.items(kind), genotype.concat(kind), box_size) for kind in CELL_KINDS}
        head = MARGIN + TITLE_HEIGHT
        bottoms = list(itertools.accumulate(head + cell.height for cell in cells.values()))
        tops = [bottom - cell.height for bottom, cell in zip(bottoms, cells.values(), strict=True)]
        width = max(cell.width for cell in cells.values()) + 2 * MARGIN
        return cls(cells, notes, tops, width, bottoms[-1] + MARGIN)


@functools.lru_cache(maxsize=64)
def lay_out(items: tuple[GenotypeItem, ...], concat: tuple[int, ...], box_size: tuple[float, float]) -> Cell:
    """Lays out a cell. Kept, since a search's genotype often stays the same from epoch to epoch; not to be changed."""
    existing, reachable = set(existing_nodes(items)), set(reachable_items(items))
    depths = _depths(items, concat)
    last = 2 * max(depths.values()) + 1
    cell = Cell([[] for _ in range(last + 1)])
    nodes = {node: cell.add(2 * depth, _node(node, existing)) for node, depth in depths.items()}
    for item in items:
        box = Shape(*box_size, item.op, COLOURS.get(item.op, OTHER_COLOUR), item in reachable, item=item)
        place = cell.add(2 * depths[item.to] - 1, box)
        cell.connect(nodes[item.source], place, box, has_arrow=False)
        cell.connect(place, nodes[item.to], box, has_arrow=True)
    # Lines from the two inputs are told apart more easily with room between these.
    cell.columns[0].insert(1, Place(0.0, _INPUTS_APART))
    output = cell.add(last, Shape(*_NODE_SIZE, "c", _OUTPUT_COLOUR, index=_OUTPUT_INDEX))
    for node in concat:
        if node in existing:
            cell.connect(nodes[node], output, None, has_arrow=True)
    arrange(cell.columns, _SPACING, _GAP)
    return cell


def _node(number: int, existing: set[int]) -> Shape:
    if number < INPUTS:
        return Shape(*_NODE_SIZE, "c", _INPUT_COLOUR, index=_INPUT_INDICES[number])
    return Shape(*_NODE_SIZE, str(number), _NODE_COLOUR, number in existing)


def _depths(items: Iterable[GenotypeItem], concat: Iterable[int]) -> dict[int, int]:
    """Returns the longest way to each node from an input; a node without inputs stands beside the first ones."""
    highest = max(*concat, *(item.to for item in items))
    depths = {node: int(node >= INPUTS) for node in range(highest + 1)}
    for item in sorted(items, key=lambda item: item.to):
        depths[item.to] = max(depths[item.to], depths[item.source] + 1)
    return depths


def _note(row: Confidence) -> str:
    margin = row.smallest_margin
    if margin == float("inf"):
        return f"{row.value:.2f}"
    return f"{row.value:.2f} ({margin:{'+.1g' if row.coin_flip else '+.2f'}})"
