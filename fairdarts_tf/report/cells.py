"""Drawing a genotype with Matplotlib."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from fairdarts_tf import files
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.report.drawing import (
    INK,
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
    Shape,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fairdarts_tf.spaces import SearchSpace

_DASHES = (3, 2)
"""In multiples of the line's width."""


def draw_genotype(genotype: AnyGenotype, notes: Notes | None = None, space: SearchSpace | None = None) -> Figure:
    """Draws a genotype: of S1 the normal cell above the reduction cell, of S2 stage below stage.

    Nodes carry the genotype's numbers. What does not exist (a node without inputs, an operation that reads one) is grey
    and dashed.

    Args:
        genotype: What is drawn.
        notes: A second line for the boxes of these operations.
        space: The search space, whose nodes are drawn that the genotype does not name. Defaults to None: not known.

    Returns:
        A Matplotlib figure that belongs to no window and no global state.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Drawing.of(genotype, notes or {}, space)
    figure = Figure(figsize=(drawing.width, drawing.height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    for panel, top in zip(drawing.panels, drawing.tops, strict=True):
        axes.text(MARGIN, top - TITLE_HEIGHT, panel.title, size=TITLE_SIZE, weight="bold", color=INK, va="top")
        for line in panel.lines:
            _draw_line(axes, line, top)
        for shape in panel.shapes:
            _draw_shape(axes, shape, top, drawing.notes.get((panel.kind, shape.item), ""))
    return figure


def png_bytes(genotype: AnyGenotype, dpi: int = 120, notes: Notes | None = None) -> bytes:
    """Returns the drawing of `draw_genotype` as a PNG file's content, at so many pixels per inch."""
    buffer = io.BytesIO()
    draw_genotype(genotype, notes).savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def save_png(genotype: AnyGenotype, path: str | os.PathLike[str], dpi: int = 120, notes: Notes | None = None) -> None:
    """Writes the drawing of `draw_genotype` as a PNG file, atomically.

    Raises:
        OSError: When the file cannot be written.
    """
    content = png_bytes(genotype, dpi, notes)
    files.write_atomically(path, lambda file: file.write(content))


def _draw_line(axes: Axes, line: Line, top: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    codes = [Path.MOVETO] + [Path.CURVE4] * (len(line.route) - 1)
    path = Path([(MARGIN + x, top + y) for x, y in line.route], codes)
    style = "-" if line.present else (0, _DASHES)
    axes.add_patch(PathPatch(path, fill=False, edgecolor=line.colour, linewidth=LINE_WIDTH, linestyle=style, zorder=1))
    if line.arrow:
        x, y = zip(*line.arrow, strict=True)
        axes.fill([MARGIN + at for at in x], [top + at for at in y], color=line.colour, linewidth=0, zorder=2)


def _draw_shape(axes: Axes, shape: Shape, top: float, note: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = MARGIN + shape.x, top + shape.y
    axes.add_patch(
        FancyBboxPatch(
            (x - shape.width / 2, y - shape.height / 2),
            shape.width,
            shape.height,
            boxstyle=f"round,pad=0,rounding_size={shape.rounding}",
            facecolor=shape.colour if shape.present else "white",
            edgecolor=shape.outline,
            linestyle="-" if shape.present else (0, _DASHES),
            linewidth=OUTLINE_WIDTH,
            zorder=3,
        )
    )
    label = f"$c_{{{shape.index}}}$" if shape.index else shape.label
    size = OPERATION_SIZE if shape.item else NODE_TEXT_SIZE
    style = {"color": shape.ink, "ha": "center", "va": "center_baseline", "zorder": 4}
    axes.text(x, y - NOTE_SHIFT if note else y, label, size=size, **style)
    if note:
        # A note is plain text: a dollar sign in it starts no formula.
        axes.text(x, y + NOTE_SHIFT, note, size=NOTE_SIZE, parse_math=False, **style)
