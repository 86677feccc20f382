"""Drawing mixing weights as heat maps: one for each table of alphas, edges or layers by operations."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairdarts_tf.relaxations import RELAXATIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fairdarts_tf.sensitivity import DerivationSettings
    from fairdarts_tf.spaces import SearchSpace

_COLOUR_MAP = "Blues"
_INK, _DARK_FROM = "#1F2937", 0.6

# Lengths are inches at the figure's natural size, sizes of text points.
_CELL_WIDTH, _CELL_HEIGHT, _MOST_HEIGHT = 0.36, 0.21, 6.0
_LEAST_HEIGHT_FOR_VALUES, _LEAST_HEIGHT_FOR_NAMES = 0.15, 0.125
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.5, 0.15, 0.35, 0.95
_NAME_SIZE, _VALUE_SIZE, _TITLE_SIZE = 8, 7, 11


def draw_heat_maps(values: Mapping[str, np.ndarray], space: SearchSpace, stacked: bool = False) -> Figure:
    """Draws the mixing weights of each table of alphas, on a colour scale from 0 to 1.

    Rows are edges, written ``source>to``, or layers. Values are written in the cells where there is room for them. What
    is not in play is blank.

    Args:
        values: By kind, of shape (rows, operations), in [0, 1].
        space: The search space.
        stacked: Draws the second heat map below the first, not beside it.

    Returns:
        A Matplotlib figure that belongs to no window and no global state. Its size depends on the tables' shape alone.
    """
    maps = [_panel(title, kind, values[kind], space) for kind, title in space.titles.items()]
    return _draw_grid([[panel] for panel in maps] if stacked else [maps], space.operations)


def draw_relaxations(alphas: Mapping[str, np.ndarray], settings: DerivationSettings) -> Figure:
    """Draws sigmoid and, beside it, softmax of the same alphas, one table of alphas below the other.

    Args:
        alphas: By kind, of shape (rows, operations), raw.
        settings: Of the search.

    Returns:
        As `draw_heat_maps`.
    """
    space, weights = settings.space, {name: settings.relax(alphas, name) for name in RELAXATIONS}
    rows = [
        [_panel(f"{title}, {name}", kind, weights[name][kind], space) for name in RELAXATIONS]
        for kind, title in space.titles.items()
    ]
    return _draw_grid(rows, space.operations)


def png_bytes(values: Mapping[str, np.ndarray], space: SearchSpace, dpi: float = 120, stacked: bool = False) -> bytes:
    """Returns the drawing of `draw_heat_maps` as a PNG file's content, at so many pixels per inch."""
    buffer = io.BytesIO()
    draw_heat_maps(values, space, stacked).savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


class _Panel(NamedTuple):
    title: str
    table: np.ndarray
    row_names: Sequence[str]


def _panel(title: str, kind: str, table: np.ndarray, space: SearchSpace) -> _Panel:
    in_play = space.in_play.get(kind)
    return _Panel(title, table if in_play is None else np.where(in_play, table, np.nan), space.row_names(kind))


def _draw_grid(rows: Sequence[Sequence[_Panel]], operations: Sequence[str]) -> Figure:
    """Draws rows of titled tables of one shape."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    edges = len(rows[0][0].table)
    cell_height = min(_CELL_HEIGHT, _MOST_HEIGHT / edges)
    map_width, map_height = _CELL_WIDTH * len(operations), cell_height * edges
    panel_width, panel_height = _LEFT + map_width + _RIGHT, _TOP + map_height + _BOTTOM
    width, height = len(rows[0]) * panel_width, len(rows) * panel_height
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    for line, row in enumerate(rows):
        for column, panel in enumerate(row):
            left, bottom = _LEFT + column * panel_width, height - _TOP - map_height - line * panel_height
            axes = figure.add_axes((left / width, bottom / height, map_width / width, map_height / height))
            axes.set_title(panel.title, size=_TITLE_SIZE, weight="bold", color=_INK, loc="left")
            _draw_heat_map(axes, panel, operations, cell_height)
    return figure


def _draw_heat_map(axes: Axes, panel: _Panel, operations: Sequence[str], cell_height: float) -> None:
    axes.imshow(panel.table, cmap=_COLOUR_MAP, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(operations)), operations, rotation=90, size=_NAME_SIZE, color=_INK)
    step = 1 if cell_height >= _LEAST_HEIGHT_FOR_NAMES else int(np.ceil(_LEAST_HEIGHT_FOR_NAMES / cell_height))
    rows = range(0, len(panel.table), step)
    axes.set_yticks(rows, [panel.row_names[row] for row in rows], size=_NAME_SIZE, color=_INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if cell_height >= _LEAST_HEIGHT_FOR_VALUES:
        _write_values(axes, panel.table)


def _write_values(axes: Axes, table: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(table):
        if np.isnan(value):
            continue
        colour = "white" if value >= _DARK_FROM else _INK
        axes.text(
            column, row, f"{value:.2f}", size=_VALUE_SIZE, color=colour, ha="center", va="center", parse_math=False
        )
