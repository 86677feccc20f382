"""Drawing the cells of a genotype, with Matplotlib or as SVG.

A cell runs from its inputs on the left to its output on the right. Each operation is a labelled box of its own in the
column before the node it leads to, and a line that passes a column keeps a place free in it: so no line runs through a
box or a node, and no two boxes meet. Both ways of drawing share this layout and its colours.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
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
from fairdarts_tf.report.layered_layout import Place, Point, arrange, curve, join

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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

_OTHER_COLOUR = "#6B7280"
"""For boxes and lines of operations that have no colour of their own."""

Notes = Mapping[tuple[str, GenotypeItem], str]
"""Short texts by kind of cell and item."""

_ABSENT_COLOUR = "#7C8594"
_INK = "#1F2937"
_OUTPUT_LINE_COLOUR = "#8A93A1"
_INPUT_COLOUR, _NODE_COLOUR, _OUTPUT_COLOUR = "#E5E7EB", "#FDF3D3", "#DDEBDA"
FILLS = (*COLOURS.values(), _INPUT_COLOUR, _NODE_COLOUR, _OUTPUT_COLOUR)
"""The colours of all boxes and nodes."""

_TITLES = {"normal": "Normal cell", "reduce": "Reduction cell"}
_INPUT_INDICES = ("k-2", "k-1")
_OUTPUT_INDEX = "k"

# Lengths are inches at the figure's natural size, sizes of text points.
_BOX_WIDTH, _BOX_HEIGHT = 1.12, 0.27
_NOTED_BOX_HEIGHT, _NOTE_SHIFT = 0.4, 0.085
_CHARACTER_WIDTH = 0.077
_NODE_SIZE = (0.5, 0.36)
_PASSAGE_HEIGHT = 0.04
_SPACING = 0.13
_INPUTS_APART = 0.25
_GAP = 0.55
_MARGIN = 0.2
_TITLE_HEIGHT = 0.35
_ARROW = (0.09, 0.045)
_BOX_ROUNDING = 0.08
_LINE_WIDTH, _OUTLINE_WIDTH = 1.5, 1.0
_DASHES, _SVG_DASHES = (3, 2), (4.5, 3)  # Matplotlib's are multiples of the line's width
_TITLE_SIZE, _NODE_TEXT_SIZE, _OPERATION_SIZE, _NOTE_SIZE = 11, 10, 8, 7.5

_POINTS_PER_INCH = 72
_SVG_UNITS = 100
"""Units of the SVG's viewBox for each inch of the layout."""


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
    """Returns the width and the height of the drawing of `draw_genotype`, in inches."""
    drawing = _Drawing.of(genotype, notes or {})
    return drawing.width, drawing.height


def draw_genotype(genotype: Genotype, notes: Notes | None = None) -> Figure:
    """Draws the normal cell above the reduction cell.

    Nodes carry the genotype's numbers. What does not exist (a node without inputs, an operation that reads one) is grey
    and dashed.

    Args:
        genotype: What is drawn.
        notes: A second line for the boxes of these operations.

    Returns:
        A Matplotlib figure that belongs to no window and no global state.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = _Drawing.of(genotype, notes or {})
    figure = Figure(figsize=(drawing.width, drawing.height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    for (kind, cell), top in zip(drawing.cells.items(), drawing.tops, strict=True):
        axes.text(_MARGIN, top - _TITLE_HEIGHT, _TITLES[kind], size=_TITLE_SIZE, weight="bold", color=_INK, va="top")
        for line in cell.lines:
            _draw_line(axes, line, top)
        for shape in cell.shapes:
            _draw_shape(axes, shape, top, drawing.notes.get((kind, shape.item), ""))
    return figure


def png_bytes(genotype: Genotype, dpi: int = 120, notes: Notes | None = None) -> bytes:
    """Returns the drawing of `draw_genotype` as a PNG file's content, at so many pixels per inch."""
    buffer = io.BytesIO()
    draw_genotype(genotype, notes).savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def save_png(genotype: Genotype, path: str | os.PathLike[str], dpi: int = 120, notes: Notes | None = None) -> None:
    """Writes the drawing of `draw_genotype` as a PNG file, atomically.

    Raises:
        OSError: When the file cannot be written.
    """
    content = png_bytes(genotype, dpi, notes)
    files.write_atomically(path, lambda file: file.write(content))


def svg(genotype: Genotype, notes: Notes | None = None) -> str:
    """Returns the drawing of `draw_genotype` as an SVG element, for a page or a file of its own.

    It takes the size and, for its titles, the text's colour of what is around it; the background shows through, which
    may be white or dark. It holds no ids and no style sheet, so that several stand on one page. Every operation is a
    group with a title, which browsers show on hover.
    """
    drawing = _Drawing.of(genotype, notes or {})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_units(drawing.width)} {_units(drawing.height)}" '
        'role="group" aria-label="The cells of the genotype" font-family="system-ui, sans-serif" '
        f'text-anchor="middle" stroke-width="{_text_units(_LINE_WIDTH)}">'
    ]
    for (kind, cell), top in zip(drawing.cells.items(), drawing.tops, strict=True):
        parts.append(f'<g transform="translate({_units(_MARGIN)} {_units(top)})">{_svg_title(kind)}')
        parts.append(_svg_lines([line for line in cell.lines if line.item is None]))
        parts += [_svg_operation(cell, shape, drawing.notes.get((kind, shape.item), "")) for shape in cell.boxes]
        parts += [_svg_shape(shape) for shape in cell.nodes]
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


@dataclasses.dataclass(eq=False)
class _Shape(Place):
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
        if not self.present:
            return _ABSENT_COLOUR
        return LINE_COLOURS.get(self.item.op, _OTHER_COLOUR) if self.item else _INK

    @property
    def ink(self) -> str:
        if not self.present:
            return _ABSENT_COLOUR
        return "white" if self.item else _INK

    @property
    def rounding(self) -> float:
        return _BOX_ROUNDING if self.item else self.height / 2


@dataclasses.dataclass(frozen=True)
class _Line:
    """A line through places of successive columns; an operation has one to its box and one from there."""

    places: list[Place]
    has_arrow: bool
    item: GenotypeItem | None = None
    present: bool = True

    @property
    def colour(self) -> str:
        if not self.present:
            return _ABSENT_COLOUR
        return LINE_COLOURS.get(self.item.op, _OTHER_COLOUR) if self.item else _OUTPUT_LINE_COLOUR

    @property
    def arrow(self) -> list[Point]:
        """The head's corners."""
        x, y = self.places[-1].left, self.places[-1].y
        length, half = _ARROW
        return [(x, y), (x - length, y - half), (x - length, y + half)]


@dataclasses.dataclass
class _Cell:
    """Nodes in the even columns by their depth, each operation in the odd column before its node."""

    columns: list[list[Place]]
    lines: list[_Line] = dataclasses.field(default_factory=list)

    @property
    def width(self) -> float:
        return max(place.right for place in self.columns[-1])

    @property
    def height(self) -> float:
        return max(place.y + place.height / 2 for column in self.columns for place in column)

    @property
    def shapes(self) -> list[_Shape]:
        return [place for column in self.columns for place in column if isinstance(place, _Shape)]

    @property
    def boxes(self) -> list[_Shape]:
        return [shape for shape in self.shapes if shape.item]

    @property
    def nodes(self) -> list[_Shape]:
        return [shape for shape in self.shapes if not shape.item]

    def add(self, column: int, shape: _Shape) -> tuple[int, _Shape]:
        self.columns[column].append(shape)
        return column, shape

    def connect(self, start: tuple[int, _Shape], end: tuple[int, _Shape], box: _Shape | None, has_arrow: bool) -> None:
        """Draws a line between two shapes, with a passage in each column between theirs."""
        (first, left), (last, right) = start, end
        passages = [Place(0.0, _PASSAGE_HEIGHT) for _ in range(first + 1, last)]
        for column, passage in enumerate(passages, first + 1):
            self.columns[column].append(passage)
        places = [left, *passages, right]
        join(places)
        self.lines.append(_Line(places, has_arrow, box.item, box.present) if box else _Line(places, has_arrow))


@dataclasses.dataclass(frozen=True)
class _Drawing:
    """Both cells, one above the other, and the notes of their boxes. ``tops`` are below the titles."""

    cells: dict[str, _Cell]
    notes: Notes
    tops: list[float]
    width: float
    height: float

    @classmethod
    def of(cls, genotype: Genotype, notes: Notes) -> _Drawing:
        longest = max(map(len, notes.values()), default=0)
        box_size = (max(_BOX_WIDTH, _CHARACTER_WIDTH * longest), _NOTED_BOX_HEIGHT if longest else _BOX_HEIGHT)
        cells = {kind: _lay_out(genotype.items(kind), genotype.concat(kind), box_size) for kind in CELL_KINDS}
        head = _MARGIN + _TITLE_HEIGHT
        bottoms = list(itertools.accumulate(head + cell.height for cell in cells.values()))
        tops = [bottom - cell.height for bottom, cell in zip(bottoms, cells.values(), strict=True)]
        width = max(cell.width for cell in cells.values()) + 2 * _MARGIN
        return cls(cells, notes, tops, width, bottoms[-1] + _MARGIN)


@functools.lru_cache(maxsize=64)
def _lay_out(items: tuple[GenotypeItem, ...], concat: tuple[int, ...], box_size: tuple[float, float]) -> _Cell:
    """Lays out a cell. Kept, since a search's genotype often stays the same from epoch to epoch; not to be changed."""
    existing, reachable = set(existing_nodes(items)), set(reachable_items(items))
    depths = _depths(items, concat)
    last = 2 * max(depths.values()) + 1
    cell = _Cell([[] for _ in range(last + 1)])
    nodes = {node: cell.add(2 * depth, _node(node, existing)) for node, depth in depths.items()}
    for item in items:
        box = _Shape(*box_size, item.op, COLOURS.get(item.op, _OTHER_COLOUR), item in reachable, item=item)
        place = cell.add(2 * depths[item.to] - 1, box)
        cell.connect(nodes[item.source], place, box, has_arrow=False)
        cell.connect(place, nodes[item.to], box, has_arrow=True)
    # Lines from the two inputs are told apart more easily with room between these.
    cell.columns[0].insert(1, Place(0.0, _INPUTS_APART))
    output = cell.add(last, _Shape(*_NODE_SIZE, "c", _OUTPUT_COLOUR, index=_OUTPUT_INDEX))
    for node in concat:
        if node in existing:
            cell.connect(nodes[node], output, None, has_arrow=True)
    arrange(cell.columns, _SPACING, _GAP)
    return cell


def _node(number: int, existing: set[int]) -> _Shape:
    if number < INPUTS:
        return _Shape(*_NODE_SIZE, "c", _INPUT_COLOUR, index=_INPUT_INDICES[number])
    return _Shape(*_NODE_SIZE, str(number), _NODE_COLOUR, number in existing)


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


def _draw_line(axes: Axes, line: _Line, top: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    steps = curve(line.places)
    codes = [Path.MOVETO, *(Path.CURVE4 if len(step) == 3 else Path.LINETO for step in steps[1:] for _ in step)]
    path = Path([(_MARGIN + x, top + y) for step in steps for x, y in step], codes)
    style = "-" if line.present else (0, _DASHES)
    axes.add_patch(PathPatch(path, fill=False, edgecolor=line.colour, linewidth=_LINE_WIDTH, linestyle=style, zorder=1))
    if line.has_arrow:
        x, y = zip(*line.arrow, strict=True)
        axes.fill([_MARGIN + at for at in x], [top + at for at in y], color=line.colour, linewidth=0, zorder=2)


def _draw_shape(axes: Axes, shape: _Shape, top: float, note: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = _MARGIN + shape.x, top + shape.y
    axes.add_patch(
        FancyBboxPatch(
            (x - shape.width / 2, y - shape.height / 2),
            shape.width,
            shape.height,
            boxstyle=f"round,pad=0,rounding_size={shape.rounding}",
            facecolor=shape.colour if shape.present else "white",
            edgecolor=shape.outline,
            linestyle="-" if shape.present else (0, _DASHES),
            linewidth=_OUTLINE_WIDTH,
            zorder=3,
        )
    )
    label = f"$c_{{{shape.index}}}$" if shape.index else shape.label
    size = _OPERATION_SIZE if shape.item else _NODE_TEXT_SIZE
    style = {"color": shape.ink, "ha": "center", "va": "center_baseline", "zorder": 4}
    axes.text(x, y - _NOTE_SHIFT if note else y, label, size=size, **style)
    if note:
        # A note is plain text: a dollar sign in it starts no formula.
        axes.text(x, y + _NOTE_SHIFT, note, size=_NOTE_SIZE, parse_math=False, **style)


def _svg_title(kind: str) -> str:
    y = _units(_TITLE_SIZE / _POINTS_PER_INCH - _TITLE_HEIGHT)
    style = f'font-size="{_text_units(_TITLE_SIZE)}" font-weight="bold" text-anchor="start" fill="currentColor"'
    return f'<text x="0" y="{y}" {style}>{_TITLES[kind]}</text>'


def _svg_operation(cell: _Cell, box: _Shape, note: str) -> str:
    """Returns an operation's box and lines as a group that tells what it is."""
    op, to, source = box.item
    told = escape(f"{op} from {_spoken(source)} to {_spoken(to)}" + (f": {note}" if note else ""))
    lines = _svg_lines([line for line in cell.lines if line.item == box.item])
    return f'<g role="img" aria-label="{told}"><title>{told}</title>{lines}{_svg_shape(box, note)}</g>'


def _spoken(node: int) -> str:
    return f"input {node}" if node < INPUTS else f"node {node}"


def _svg_lines(lines: Sequence[_Line]) -> str:
    """Returns lines of one colour with their heads; their width is the whole drawing's."""
    if not lines:
        return ""
    colour, dashes = lines[0].colour, _svg_dashes(lines[0].present)
    routes = "".join(_svg_route(line) for line in lines)
    heads = "".join(f"M{_svg_points(line.arrow)}z" for line in lines if line.has_arrow)
    return f'<path d="{routes}" fill="none" stroke="{colour}"{dashes}/><path d="{heads}" fill="{colour}"/>'


def _svg_route(line: _Line) -> str:
    start, *steps = curve(line.places)
    letters = {1: "L", 3: "C"}
    return f"M{_svg_points(start)}" + "".join(f"{letters[len(step)]}{_svg_points(step)}" for step in steps)


def _svg_shape(shape: _Shape, note: str = "") -> str:
    # Where nothing is filled the pointer would find only the outline.
    fill = f'fill="{shape.colour}"' if shape.present else 'fill="none" pointer-events="all"'
    rectangle = (
        f'<rect x="{_units(shape.left)}" y="{_units(shape.y - shape.height / 2)}" width="{_units(shape.width)}" '
        f'height="{_units(shape.height)}" rx="{_units(shape.rounding)}" {fill} stroke="{shape.outline}" '
        f'stroke-width="{_text_units(_OUTLINE_WIDTH)}"{_svg_dashes(shape.present)}/>'
    )
    size = _OPERATION_SIZE if shape.item else _NODE_TEXT_SIZE
    label = _svg_label(shape) if shape.index else escape(shape.label)
    if not note:
        return rectangle + _svg_text(shape, shape.y, size, label)
    upper = _svg_text(shape, shape.y - _NOTE_SHIFT, size, label)
    return rectangle + upper + _svg_text(shape, shape.y + _NOTE_SHIFT, _NOTE_SIZE, escape(note))


def _svg_label(shape: _Shape) -> str:
    index = shape.index.replace("-", "\N{MINUS SIGN}")
    return f'<tspan font-style="italic">{shape.label}</tspan><tspan dy="3" font-size="9.5">{index}</tspan>'


def _svg_text(shape: _Shape, y: float, size: float, content: str) -> str:
    # Half the height of a small capital below the middle: not all programs know other baselines.
    baseline = _units(y + 0.36 * size / _POINTS_PER_INCH)
    place = f'x="{_units(shape.x)}" y="{baseline}" font-size="{_text_units(size)}"'
    return f'<text {place} fill="{shape.ink}">{content}</text>'


def _svg_dashes(present: bool) -> str:
    return "" if present else f' stroke-dasharray="{" ".join(map(_text_units, _SVG_DASHES))}"'


def _svg_points(points: Iterable[Point]) -> str:
    return " ".join(f"{_units(x)} {_units(y)}" for x, y in points)


def _units(inches: float) -> str:
    return f"{inches * _SVG_UNITS:.1f}".removesuffix(".0")


def _text_units(points: float) -> str:
    return _units(points / _POINTS_PER_INCH)
