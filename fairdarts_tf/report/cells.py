"""Drawing the cells of a genotype.

A cell runs from its inputs on the left to its output on the right. Each operation is a labelled box of its own in the
column before the node it leads to, and a line that passes a column keeps a place free in it: so no line runs through a
box or a node, and no two boxes meet.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairdarts_tf import files
from fairdarts_tf.genotypes import (
    CELL_KINDS,
    INPUTS,
    Genotype,
    GenotypeItem,
    existing_nodes,
    reachable_items,
)
from fairdarts_tf.report.layered_layout import Place, arrange, join

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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

_ABSENT_COLOUR = "#A3A9B3"
_INK = "#1F2937"
_OUTPUT_LINE_COLOUR = "#B4BBC6"
_INPUT_COLOUR, _NODE_COLOUR, _OUTPUT_COLOUR = "#E5E7EB", "#FDF3D3", "#DDEBDA"
_TITLES = {"normal": "Normal cell", "reduce": "Reduction cell"}
_INPUT_LABELS = ("$c_{k-2}$", "$c_{k-1}$")
_OUTPUT_LABEL = "$c_{k}$"

# Lengths are inches at the figure's natural size.
_BOX_SIZE = (1.12, 0.27)
_NODE_SIZE = (0.5, 0.36)
_PASSAGE_HEIGHT = 0.04
_SPACING = 0.13
_INPUTS_APART = 0.25
_GAP = 0.55
_MARGIN = 0.2
_TITLE_HEIGHT = 0.35


def draw_genotype(genotype: Genotype) -> Figure:
    """Draws the normal cell above the reduction cell.

    Nodes carry the genotype's numbers. What does not exist (a node without inputs, an operation that reads one) is grey
    and dashed.

    Returns:
        A Matplotlib figure that belongs to no window and no global state.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cells = [_lay_out(genotype.items(kind), genotype.concat(kind)) for kind in CELL_KINDS]
    width = max(cell.width for cell in cells) + 2 * _MARGIN
    heights = [_MARGIN + _TITLE_HEIGHT + cell.height for cell in cells]
    height = sum(heights) + _MARGIN
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    top = 0.0
    for kind, cell, cell_height in zip(CELL_KINDS, cells, heights, strict=True):
        axes.text(_MARGIN, top + _MARGIN, _TITLES[kind], size=11, weight="bold", color=_INK, va="top")
        _draw_cell(axes, cell, _MARGIN, top + _MARGIN + _TITLE_HEIGHT)
        top += cell_height
    return figure


def png_bytes(genotype: Genotype, dpi: int = 120) -> bytes:
    """Returns the drawing as a PNG file's content, at so many pixels per inch."""
    buffer = io.BytesIO()
    draw_genotype(genotype).savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def save_png(genotype: Genotype, path: str | os.PathLike[str], dpi: int = 120) -> None:
    """Writes the drawing as a PNG file, atomically.

    Raises:
        OSError: When the file cannot be written.
    """
    content = png_bytes(genotype, dpi)
    files.write_atomically(path, lambda file: file.write(content))


@dataclasses.dataclass(eq=False)
class _Shape(Place):
    """A node or an operation's box: what is drawn at its place."""

    label: str
    colour: str
    present: bool = True


@dataclasses.dataclass(frozen=True)
class _Line:
    """A line through places of successive columns, the first of which is in column ``first``."""

    places: list[Place]
    first: int
    colour: str
    present: bool
    has_arrow: bool


@dataclasses.dataclass
class _Cell:
    """Nodes in the even columns by their depth, each operation in the odd column before its node."""

    columns: list[list[Place]]
    lines: list[_Line] = dataclasses.field(default_factory=list)

    @property
    def widths(self) -> list[float]:
        return [max(place.width for place in column) for column in self.columns]

    @property
    def width(self) -> float:
        return sum(self.widths) + _GAP * (len(self.columns) - 1)

    @property
    def height(self) -> float:
        return max(place.y + place.height / 2 for column in self.columns for place in column)

    def add(self, column: int, shape: _Shape) -> tuple[int, _Shape]:
        self.columns[column].append(shape)
        return column, shape

    def connect(self, start: tuple[int, _Shape], end: tuple[int, _Shape], colour: str, has_arrow: bool) -> None:
        """Draws a line between two shapes, with a passage in each column between theirs."""
        (first, left), (last, right) = start, end
        passages = [Place(0.0, _PASSAGE_HEIGHT) for _ in range(first + 1, last)]
        for column, passage in enumerate(passages, first + 1):
            self.columns[column].append(passage)
        places = [left, *passages, right]
        join(places)
        self.lines.append(_Line(places, first, colour, left.present and right.present, has_arrow))


def _lay_out(items: Sequence[GenotypeItem], concat: Sequence[int]) -> _Cell:
    existing, reachable = set(existing_nodes(items)), set(reachable_items(items))
    depths = _depths(items, concat)
    last = 2 * max(depths.values()) + 1
    cell = _Cell([[] for _ in range(last + 1)])
    nodes = {node: cell.add(2 * depth, _node(node, existing)) for node, depth in depths.items()}
    for item in items:
        colour = COLOURS.get(item.op, _INK)
        box = cell.add(2 * depths[item.to] - 1, _Shape(*_BOX_SIZE, item.op, colour, item in reachable))
        cell.connect(nodes[item.source], box, colour, has_arrow=False)
        cell.connect(box, nodes[item.to], colour, has_arrow=True)
    # Lines from the two inputs are told apart more easily with room between these.
    cell.columns[0].insert(1, Place(0.0, _INPUTS_APART))
    output = cell.add(last, _Shape(*_NODE_SIZE, _OUTPUT_LABEL, _OUTPUT_COLOUR))
    for node in concat:
        if node in existing:
            cell.connect(nodes[node], output, _OUTPUT_LINE_COLOUR, has_arrow=True)
    arrange(cell.columns, _SPACING)
    return cell


def _node(number: int, existing: set[int]) -> _Shape:
    if number < INPUTS:
        return _Shape(*_NODE_SIZE, _INPUT_LABELS[number], _INPUT_COLOUR)
    return _Shape(*_NODE_SIZE, str(number), _NODE_COLOUR, number in existing)


def _depths(items: Sequence[GenotypeItem], concat: Sequence[int]) -> dict[int, int]:
    """Returns the longest way to each node from an input; a node without inputs stands beside the first ones."""
    highest = max(*concat, *(item.to for item in items))
    depths = {node: int(node >= INPUTS) for node in range(highest + 1)}
    for item in sorted(items, key=lambda item: item.to):
        depths[item.to] = max(depths[item.to], depths[item.source] + 1)
    return depths


def _draw_cell(axes: Axes, cell: _Cell, left: float, top: float) -> None:
    widths = cell.widths
    lefts = [left + sum(widths[:column]) + _GAP * column for column in range(len(widths))]
    for line in cell.lines:
        sides = [(lefts[column], lefts[column] + widths[column]) for column in range(line.first, len(widths))]
        _draw_line(axes, line, sides[: len(line.places)], top)
    for column, start, width in zip(cell.columns, lefts, widths, strict=True):
        for place in column:
            if isinstance(place, _Shape):
                _draw_shape(axes, place, start + width / 2, top + place.y)


def _draw_line(axes: Axes, line: _Line, sides: list[tuple[float, float]], top: float) -> None:
    """Draws a curve that is level wherever it enters or leaves a column."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    ends = list(zip(sides, line.places, strict=True))
    points, codes = [(sides[0][1], top + line.places[0].y)], [Path.MOVETO]
    for ((_, right), start), ((left, far_side), end) in itertools.pairwise(ends):
        middle, from_y, to_y = (right + left) / 2, top + start.y, top + end.y
        points += [(middle, from_y), (middle, to_y), (left, to_y)]
        codes += [Path.CURVE4] * 3
        if end is not line.places[-1]:
            points.append((far_side, to_y))
            codes.append(Path.LINETO)
    colour = line.colour if line.present else _ABSENT_COLOUR
    style = "-" if line.present else (0, (3, 2))
    axes.add_patch(
        PathPatch(Path(points, codes), fill=False, edgecolor=colour, linewidth=1.5, linestyle=style, zorder=1)
    )
    if line.has_arrow:
        x, y = points[-1]
        axes.fill([x, x - 0.09, x - 0.09], [y, y - 0.045, y + 0.045], color=colour, linewidth=0, zorder=2)


def _draw_shape(axes: Axes, shape: _Shape, x: float, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    is_operation = shape.label in COLOURS
    corner = (x - shape.width / 2, y - shape.height / 2)
    rounding = 0.08 if is_operation else shape.height / 2
    axes.add_patch(
        FancyBboxPatch(
            corner,
            shape.width,
            shape.height,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=shape.colour if shape.present else "white",
            edgecolor=_edge_colour(shape, is_operation),
            linestyle="-" if shape.present else (0, (3, 2)),
            linewidth=1.0,
            zorder=3,
        )
    )
    text_colour = "white" if is_operation else _INK
    axes.text(
        x,
        y,
        shape.label,
        color=text_colour if shape.present else _ABSENT_COLOUR,
        size=8 if is_operation else 10,
        ha="center",
        va="center_baseline",
        zorder=4,
    )


def _edge_colour(shape: _Shape, is_operation: bool) -> str:
    if not shape.present:
        return _ABSENT_COLOUR
    return shape.colour if is_operation else _INK
