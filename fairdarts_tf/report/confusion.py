"""The confusion matrix as a picture, from two classes to a thousand."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOUR_MAP = "Blues"
_INK, _DARK_FROM = "#1F2937", 0.36
_MOST_LETTERS = 20

# Lengths are inches at the figure's natural size, sizes of text points.
_DPI = 100
_LARGEST_CELL, _LEAST_MAP, _LARGEST_MAP, _LEAST_PIXELS = 0.42, 2.4, 9.0, 2
_LEAST_CELL_FOR_COUNTS, _LEAST_CELL_FOR_NAMES = 0.26, 0.13
_RIGHT, _TOP, _AXIS_TITLE, _LETTER, _TICK_GAP = 0.2, 0.65, 0.3, 0.085, 0.15
_NAME_SIZE, _COUNT_SIZE, _LABEL_SIZE, _TITLE_SIZE = 8, 7, 9, 11


def draw_confusion(confusion: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix; the colour is the share of the row, that is, of the images of a class, by its root.

    Counts are written in the cells, and every name beside its row, where there is room; else the names of some rows.

    Args:
        confusion: (classes, classes), integers, rows by label.
        class_names: By label; long ones are cut.

    Returns:
        A Matplotlib figure that belongs to no window and no global state.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [_cut(name) for name in class_names]
    side = _map_side(len(names))
    margin = _AXIS_TITLE + _TICK_GAP + _LETTER * max(len(name) for name in names)
    width, height = margin + side + _RIGHT, _TOP + side + margin
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
    _draw(axes, confusion, names, side / len(names))
    return figure


def confusion_png(confusion: np.ndarray, class_names: Sequence[str]) -> bytes:
    """Returns the drawing of `draw_confusion` as a PNG file's content."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name may have letters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        draw_confusion(confusion, class_names).savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _map_side(classes: int) -> float:
    """Returns the matrix' side: no cell is larger than is handsome, or smaller than two pixels."""
    side = min(max(classes * _LARGEST_CELL, _LEAST_MAP), _LARGEST_MAP)
    # Whole pixels for every cell: of unequal ones, narrow lines would vanish.
    pixels = max(int(side * _DPI / classes), _LEAST_PIXELS)
    return classes * pixels / _DPI


def _draw(axes: Axes, confusion: np.ndarray, names: Sequence[str], cell: float) -> None:
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shares = confusion / totals
    # The square root shows rare confusions too.
    axes.imshow(np.sqrt(shares), cmap=_COLOUR_MAP, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    step = max(int(np.ceil(_LEAST_CELL_FOR_NAMES / cell)), 1)
    shown = range(0, len(names), step)
    style = {"size": _NAME_SIZE, "color": _INK, "parse_math": False}
    axes.set_xticks(shown, [names[label] for label in shown], rotation=90, **style)
    axes.set_yticks(shown, [names[label] for label in shown], **style)
    axes.tick_params(length=0 if step == 1 else 2)
    axes.set_xlabel("taken for", size=_LABEL_SIZE, color=_INK)
    axes.set_ylabel("class", size=_LABEL_SIZE, color=_INK)
    axes.set_title("Confusion matrix", size=_TITLE_SIZE, weight="bold", color=_INK, loc="left", pad=20)
    note = {"transform": axes.transAxes, "size": _NAME_SIZE, "color": _INK, "va": "bottom"}
    axes.text(0, 1.005, "blue: share of the row", **note)
    if cell >= _LEAST_CELL_FOR_COUNTS:
        _write_counts(axes, confusion, shares)


def _write_counts(axes: Axes, confusion: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            colour = "white" if shares[row, column] >= _DARK_FROM else _INK
            axes.text(column, row, f"{count}", size=_COUNT_SIZE, color=colour, ha="center", va="center")


def _cut(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"
