"""The layout of a genotype's cells, which all drawings of them share.

Graphviz lays a cell out from its inputs on the left to its output on the right. Each operation is a labelled box on its
edge, so that no line runs through a label and no two labels meet.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
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
from fairdarts_tf.report.graphviz_layout import Connection, Place, Point, arrange

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
_SPACING = 0.13
_GAP = 0.5
MARGIN = 0.2
TITLE_HEIGHT = 0.35
_ARROW_HALF = 0.045
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


@dataclasses.dataclass(eq=False)
class Line(Connection):
    """A line between two shapes; an operation has one to its box and one from there."""

    box: Shape | None = None

    @property
    def present(self) -> bool:
        """Whether what it belongs to is part of the network."""
        return self.box is None or self.box.present

    @property
    def colour(self) -> str:
        """Colour of the line and its head."""
        return self.box.outline if self.box else _OUTPUT_LINE_COLOUR

    @property
    def arrow(self) -> list[Point]:
        """The head's corners; none without a head."""
        if self.tip is None:
            return []
        (x, y), (base_x, base_y) = self.tip, self.route[-1]
        length = math.hypot(x - base_x, y - base_y) or 1.0
        across, along = (base_y - y) * _ARROW_HALF / length, (x - base_x) * _ARROW_HALF / length
        return [self.tip, (base_x + across, base_y + along), (base_x - across, base_y - along)]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell laid out, its corner at (0, 0); lengths are inches.

    Args:
        boxes: Its operations, in the order of the genotype's items.
        nodes: Inputs, intermediate nodes and the output.
        lines: Between them.
        width: Of the cell alone.
        height: Of the cell alone.
    """

    boxes: list[Shape]
    nodes: list[Shape]
    lines: list[Line]
    width: float
    height: float

    @property
    def shapes(self) -> list[Shape]:
        """All boxes and nodes."""
        return [*self.boxes, *self.nodes]


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
    numbers = range(max(*concat, *(item.to for item in items)) + 1)
    nodes = [_node(number, existing) for number in numbers]
    output = Shape(*_NODE_SIZE, "c", _OUTPUT_COLOUR, index=_OUTPUT_INDEX)
    boxes, lines = [], []
    for item in items:
        box = Shape(*box_size, item.op, COLOURS.get(item.op, OTHER_COLOUR), item in reachable, item=item)
        boxes.append(box)
        lines.append(Line(nodes[item.source], box, box=box))
        lines.append(Line(box, nodes[item.to], pull=2, has_arrow=True, box=box))
    lines += [Line(nodes[number], output, has_arrow=True) for number in concat if number in existing]
    isolated = set(numbers) - {item.to for item in items} - set(range(INPUTS))
    hidden = [Connection(nodes[INPUTS - 1], nodes[number], is_seen=False) for number in sorted(isolated)]
    shapes = [*nodes, *boxes, output]
    width, height = arrange(shapes, [*lines, *hidden], nodes[:INPUTS], output, _SPACING, _GAP)
    return Cell(boxes, [*nodes, output], lines, width, height)


def _node(number: int, existing: set[int]) -> Shape:
    if number < INPUTS:
        return Shape(*_NODE_SIZE, "c", _INPUT_COLOUR, index=_INPUT_INDICES[number])
    return Shape(*_NODE_SIZE, str(number), _NODE_COLOUR, number in existing)


def _note(row: Confidence) -> str:
    margin = row.smallest_margin
    if margin == float("inf"):
        return f"{row.value:.2f}"
    return f"{row.value:.2f} ({margin:{'+.1g' if row.coin_flip else '+.2f'}})"
