"""Drawing a genotype as SVG, for a page or a file of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.report.drawing import (
    LINE_WIDTH,
    MARGIN,
    NODE_TEXT_SIZE,
    NOTE_SHIFT,
    NOTE_SIZE,
    OPERATION_SIZE,
    OUTLINE_WIDTH,
    TITLE_HEIGHT,
    TITLE_SIZE,
    Drawing,
    Line,
    Notes,
    Panel,
    Shape,
)
from fairdarts_tf.report.graphviz_layout import Point

if TYPE_CHECKING:
    from fairdarts_tf.spaces import SearchSpace

_DASHES = (4.5, 3)
_POINTS_PER_INCH = 72
_UNITS_PER_INCH = 100
"""Units of the SVG's viewBox for each inch of the layout."""


def svg(genotype: AnyGenotype, notes: Notes | None = None, space: SearchSpace | None = None) -> str:
    """Returns a genotype as an SVG element, laid out and coloured as `fairdarts_tf.report.cells` draws it.

    It takes the size and, for its titles, the text's colour of what is around it; the background shows through, which
    may be white or dark. It holds no ids and no style sheet, so that several stand on one page. Every operation is a
    group with a title, which browsers show on hover.
    """
    drawing = Drawing.of(genotype, notes or {}, space)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_units(drawing.width)} {_units(drawing.height)}" '
        'role="group" aria-label="The genotype" font-family="system-ui, sans-serif" '
        f'text-anchor="middle" stroke-width="{_text_units(LINE_WIDTH)}">'
    ]
    for panel, top in zip(drawing.panels, drawing.tops, strict=True):
        parts.append(f'<g transform="translate({_units(MARGIN)} {_units(top)})">{_title(panel.title)}')
        parts.append(_lines([line for line in panel.lines if line.box is None]))
        parts += [_operation(panel, shape, drawing.notes.get((panel.kind, shape.item), "")) for shape in panel.boxes]
        parts += [_shape(shape) for shape in panel.nodes]
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def _title(title: str) -> str:
    y = _units(TITLE_SIZE / _POINTS_PER_INCH - TITLE_HEIGHT)
    style = f'font-size="{_text_units(TITLE_SIZE)}" font-weight="bold" text-anchor="start" fill="currentColor"'
    return f'<text x="0" y="{y}" {style}>{escape(title)}</text>'


def _operation(panel: Panel, box: Shape, note: str) -> str:
    """Returns an operation's box and lines as a group that tells what it is."""
    told = escape(box.told + (f": {note}" if note else ""))
    lines = _lines([line for line in panel.lines if line.box is box])
    return f'<g role="img" aria-label="{told}"><title>{told}</title>{lines}{_shape(box, note)}</g>'


def _lines(lines: Sequence[Line]) -> str:
    """Returns lines of one colour with their heads; their width is the whole drawing's."""
    if not lines:
        return ""
    colour, dashes = lines[0].colour, _dashes(lines[0].present)
    routes = "".join(_route(line) for line in lines)
    heads = "".join(f"M{_points(line.arrow)}z" for line in lines if line.arrow)
    return f'<path d="{routes}" fill="none" stroke="{colour}"{dashes}/><path d="{heads}" fill="{colour}"/>'


def _route(line: Line) -> str:
    return f"M{_points(line.route[:1])}C{_points(line.route[1:])}"


def _shape(shape: Shape, note: str = "") -> str:
    # Where nothing is filled the pointer would find only the outline.
    fill = f'fill="{shape.colour}"' if shape.present else 'fill="none" pointer-events="all"'
    rectangle = (
        f'<rect x="{_units(shape.left)}" y="{_units(shape.y - shape.height / 2)}" width="{_units(shape.width)}" '
        f'height="{_units(shape.height)}" rx="{_units(shape.rounding)}" {fill} stroke="{shape.outline}" '
        f'stroke-width="{_text_units(OUTLINE_WIDTH)}"{_dashes(shape.present)}/>'
    )
    size = OPERATION_SIZE if shape.item else NODE_TEXT_SIZE
    label = _label(shape) if shape.index else escape(shape.label)
    if not note:
        return rectangle + _text(shape, shape.y, size, label)
    upper = _text(shape, shape.y - NOTE_SHIFT, size, label)
    return rectangle + upper + _text(shape, shape.y + NOTE_SHIFT, NOTE_SIZE, escape(note))


def _label(shape: Shape) -> str:
    index = shape.index.replace("-", "\N{MINUS SIGN}")
    return f'<tspan font-style="italic">{shape.label}</tspan><tspan dy="3" font-size="9.5">{index}</tspan>'


def _text(shape: Shape, y: float, size: float, content: str) -> str:
    # Half the height of a small capital below the middle: not all programs know other baselines.
    baseline = _units(y + 0.36 * size / _POINTS_PER_INCH)
    place = f'x="{_units(shape.x)}" y="{baseline}" font-size="{_text_units(size)}"'
    return f'<text {place} fill="{shape.ink}">{content}</text>'


def _dashes(present: bool) -> str:
    return "" if present else f' stroke-dasharray="{" ".join(map(_text_units, _DASHES))}"'


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_units(x)} {_units(y)}" for x, y in points)


def _units(inches: float) -> str:
    return f"{inches * _UNITS_PER_INCH:.1f}".removesuffix(".0")


def _text_units(points: float) -> str:
    return _units(points / _POINTS_PER_INCH)
