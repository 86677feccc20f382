"""The picture of a genotype, laid out: boxes, lines and titles at their places, which all drawings of it share.

What is drawn where is a matter of the search space: `LAYOUTS` names the module of each.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from fairdarts_tf.genotype_files import AnyGenotype, Item
from fairdarts_tf.report.graphviz_layout import Connection, Place, Point

if TYPE_CHECKING:
    from fairdarts_tf.derivation import Confidence
    from fairdarts_tf.spaces import SearchSpace

LAYOUTS = {
    "darts": "fairdarts_tf.report.cell_layout:panels",
    "mobile": "fairdarts_tf.report.layer_layout:panels",
}
"""For each search space, as ``module:function``, what lays out its genotypes: see `Layout`."""

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
    "mbconv3_3x3": "#2472B8",
    "mbconv3_5x5": "#174F8A",
    "mbconv3_7x7": "#0E2F57",
    "mbconv6_3x3": "#128A74",
    "mbconv6_5x5": "#0B5E50",
    "mbconv6_7x7": "#083F36",
}
"""One hue for each family of operations, darker for larger kernels; white text is legible on each."""

LINE_COLOURS = COLOURS | {
    "skip_connect": "#C22B66",
    "sep_conv_5x5": "#3A76BE",
    "sep_conv_7x7": "#5A7DB5",
    "dil_conv_5x5": "#1B8573",
    "mbconv3_5x5": "#3A76BE",
    "mbconv3_7x7": "#5A7DB5",
    "mbconv6_5x5": "#1B8573",
    "mbconv6_7x7": "#4A8578",
}
"""The same hues, lighter where the box's colour would not stand out as a thin line on a dark page."""

OTHER_COLOUR = "#6B7280"
"""For boxes and lines of operations that have no colour of their own."""

Notes = Mapping[tuple[str, Item], str]
"""Short texts by kind and item of a genotype."""

_ABSENT_COLOUR = "#7C8594"
INK = "#1F2937"
_OUTPUT_LINE_COLOUR = "#8A93A1"
INPUT_COLOUR, NODE_COLOUR, OUTPUT_COLOUR = "#E5E7EB", "#FDF3D3", "#DDEBDA"
FILLS = tuple(dict.fromkeys((*COLOURS.values(), INPUT_COLOUR, NODE_COLOUR, OUTPUT_COLOUR)))
"""The colours of all boxes and nodes."""

# Lengths are inches at the figure's natural size, sizes of text points.
_BOX_WIDTH, _BOX_HEIGHT = 1.12, 0.27
_NOTED_BOX_HEIGHT, NOTE_SHIFT = 0.4, 0.085
_CHARACTER_WIDTH = 0.077
NODE_SIZE = (0.5, 0.36)
SPACING = 0.13
GAP = 0.5
MARGIN = 0.2
TITLE_HEIGHT = 0.35
_ARROW_HALF = 0.045
_BOX_ROUNDING = 0.08
LINE_WIDTH, OUTLINE_WIDTH = 1.5, 1.0
TITLE_SIZE, NODE_TEXT_SIZE, OPERATION_SIZE, NOTE_SIZE = 11, 10, 8, 7.5


def notes_of(rows: Iterable[Confidence]) -> dict[tuple[str, Item], str]:
    """Returns each item's value and, if anything competed with it, its smallest margin, as in ``"0.93 (+0.04)"``.

    The margin of a coin flip has one significant digit, as in ``"0.93 (+0.0004)"``.

    Args:
        rows: What `fairdarts_tf.derivation.confidence` says of the genotype to be drawn.
    """
    return {(row.cell, row.item): _note(row) for row in rows}


def natural_size(
    genotype: AnyGenotype, notes: Notes | None = None, space: SearchSpace | None = None
) -> tuple[float, float]:
    """Returns the width and the height of a drawing, in inches; arguments as for `Drawing.of`."""
    drawing = Drawing.of(genotype, notes or {}, space)
    return drawing.width, drawing.height


@dataclasses.dataclass(eq=False)
class Shape(Place):
    """A node or an operation's box: what is drawn at its place.

    Args:
        label: Its text; with an index a formula.
        colour: Of the box.
        present: Whether it is part of the network. Defaults to True.
        index: Set below the label. Defaults to none.
        item: The genotype's item that it is. Defaults to None: it is none.
        told: What is said of it where a pointer rests on it.
    """

    label: str
    colour: str
    present: bool = True
    index: str = ""
    item: Item | None = None
    told: str = ""

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
class Panel:
    """A part of a drawing that is laid out by itself, its corner at (0, 0); lengths are inches.

    Args:
        title: What stands above it.
        kind: Of the items that its boxes are.
        boxes: Operations, in the order of the genotype's items.
        nodes: Everything else that has a shape.
        lines: Between them.
        width: Of the panel alone.
        height: Of the panel alone.
    """

    title: str
    kind: str
    boxes: list[Shape]
    nodes: list[Shape]
    lines: list[Line]
    width: float
    height: float

    @property
    def shapes(self) -> list[Shape]:
        """All boxes and nodes."""
        return [*self.boxes, *self.nodes]


Layout = Callable[["AnyGenotype", "SearchSpace | None", tuple[float, float]], list[Panel]]
"""From a genotype, its space if it is known, and the size of a box to the panels of its drawing, from the top down."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Panels, one below the other, and the notes of their boxes. ``tops`` are below the titles."""

    panels: list[Panel]
    notes: Notes
    tops: list[float]
    width: float
    height: float

    @classmethod
    def of(cls, genotype: AnyGenotype, notes: Notes, space: SearchSpace | None = None) -> Drawing:
        """Lays out a genotype.

        Args:
            genotype: What is drawn.
            notes: A second line for the boxes of these items.
            space: The search space, so that what a genotype leaves out without a trace is drawn too. Defaults to None:
                the genotype as it is.

        Raises:
            LayoutError: When Graphviz is needed and cannot be used.
        """
        longest = max(map(len, notes.values()), default=0)
        box_size = (max(_BOX_WIDTH, _CHARACTER_WIDTH * longest), _NOTED_BOX_HEIGHT if longest else _BOX_HEIGHT)
        module, name = LAYOUTS[genotype.space].split(":")
        lay_out: Layout = getattr(import_module(module), name)
        panels = lay_out(genotype, space, box_size)
        heads = [MARGIN + TITLE_HEIGHT + panel.height for panel in panels]
        tops = [bottom - panel.height for bottom, panel in zip(itertools.accumulate(heads), panels, strict=True)]
        width = max(panel.width for panel in panels) + 2 * MARGIN
        return cls(panels, notes, tops, width, sum(heads) + MARGIN)


def colour_of(operation: str) -> str:
    """Returns the colour of an operation's box."""
    return COLOURS.get(operation, OTHER_COLOUR)


def _note(row: Confidence) -> str:
    margin = row.smallest_margin
    if margin == float("inf"):
        return f"{row.value:.2f}"
    return f"{row.value:.2f} ({margin:{'+.1g' if row.coin_flip else '+.2f'}})"
