"""Drawing mixing weights as heat maps: one for each kind of cell, edges by operations."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf.alphas import edge_names
from fairdarts_tf.genotypes import CELL_KINDS
from fairdarts_tf.relaxations import relaxation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES = {"normal": "Normal cell", "reduce": "Reduction cell"}
_COLOUR_MAP = "Blues"
_INK, _DARK_FROM = "#1F2937", 0.6

# Lengths are inches at the figure's natural size, sizes of text points.
_CELL_WIDTH, _CELL_HEIGHT, _MOST_HEIGHT = 0.36, 0.21, 6.0
_LEAST_HEIGHT_FOR_VALUES, _LEAST_HEIGHT_FOR_NAMES = 0.15, 0.125
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.5, 0.15, 0.35, 0.95
_NAME_SIZE, _VALUE_SIZE, _TITLE_SIZE = 8, 7, 11


def draw_heat_maps(values: Mapping[str, np.ndarray], operations: Sequence[str], stacked: bool = False) -> Figure:
    """Draws the normal cell's mixing weights and the reduction cell's, on a colour scale from 0 to 1.

    Rows are edges, written ``source>to``. Values are written in the cells where there is room for them.

    Args:
        values: ``normal`` and ``reduce``, of shape (edges, operations), in [0, 1].
        operations: The columns' names.
        stacked: Draws the second heat map below the first, not beside it.

    Returns:
        A Matplotlib figure that belongs to no window and no global state. Its size depends on the tables' shape alone.

    Raises:
        GenotypeError: When no cell has so many edges.
    """
    maps = [(_TITLES[kind], values[kind]) for kind in CELL_KINDS]
    return _draw_grid([[panel] for panel in maps] if stacked else [maps], operations)


def draw_relaxations(alphas: Mapping[str, np.ndarray], operations: Sequence[str]) -> Figure:
    """Draws sigmoid and, beside it, softmax of the same alphas, the normal cell above the reduction cell.

    Args:
        alphas: ``normal`` and ``reduce``, of shape (edges, operations), raw.
        operations: The columns' names.

    Returns:
        As `draw_heat_maps`.

    Raises:
        GenotypeError: As `draw_heat_maps` does.
    """
    rows = [
        [(f"{_TITLES[kind]}, {name}", relaxation(name).of_array(alphas[kind])) for name in ("sigmoid", "softmax")]
        for kind in CELL_KINDS
    ]
    return _draw_grid(rows, operations)


def png_bytes(
    values: Mapping[str, np.ndarray], operations: Sequence[str], dpi: float = 120, stacked: bool = False
) -> bytes:
    """Returns the drawing of `draw_heat_maps` as a PNG file's content, at so many pixels per inch."""
    buffer = io.BytesIO()
    draw_heat_maps(values, operations, stacked).savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _draw_grid(rows: Sequence[Sequence[tuple[str, np.ndarray]]], operations: Sequence[str]) -> Figure:
    """Draws rows of titled tables of one shape."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    edges = len(rows[0][0][1])
    cell_height = min(_CELL_HEIGHT, _MOST_HEIGHT / edges)
    map_width, map_height = _CELL_WIDTH * len(operations), cell_height * edges
    panel_width, panel_height = _LEFT + map_width + _RIGHT, _TOP + map_height + _BOTTOM
    width, height = len(rows[0]) * panel_width, len(rows) * panel_height
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    for line, row in enumerate(rows):
        for column, (title, table) in enumerate(row):
            left, bottom = _LEFT + column * panel_width, height - _TOP - map_height - line * panel_height
            axes = figure.add_axes((left / width, bottom / height, map_width / width, map_height / height))
            axes.set_title(title, size=_TITLE_SIZE, weight="bold", color=_INK, loc="left")
            _draw_heat_map(axes, table, operations, cell_height)
    return figure


def _draw_heat_map(axes: Axes, table: np.ndarray, operations: Sequence[str], cell_height: float) -> None:
    axes.imshow(table, cmap=_COLOUR_MAP, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(operations)), operations, rotation=90, size=_NAME_SIZE, color=_INK)
    step = 1 if cell_height >= _LEAST_HEIGHT_FOR_NAMES else int(np.ceil(_LEAST_HEIGHT_FOR_NAMES / cell_height))
    rows = range(0, len(table), step)
    names = edge_names(len(table))
    axes.set_yticks(rows, [names[row] for row in rows], size=_NAME_SIZE, color=_INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if cell_height >= _LEAST_HEIGHT_FOR_VALUES:
        _write_values(axes, table)


def _write_values(axes: Axes, table: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(table):
        colour = "white" if value >= _DARK_FROM else _INK
        axes.text(
            column, row, f"{value:.2f}", size=_VALUE_SIZE, color=colour, ha="center", va="center", parse_math=False
        )
