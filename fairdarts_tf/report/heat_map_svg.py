"""A table of mixing weights as SVG, for a notebook: rows are edges or layers, columns operations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

import numpy as np

_CELL_WIDTH, _CELL_HEIGHT = 38, 18
_LEFT, _TITLE, _NAMES, _MARGIN = 44, 22, 92, 4
_DEEP = np.array([8, 48, 107])
_DARK_FROM = 0.55
_CHOSEN = "#B45309"


def heat_map_svg(
    title: str,
    table: np.ndarray,
    row_names: Sequence[str],
    operations: Sequence[str],
    chosen: Collection[tuple[int, int]] = (),
) -> str:
    """Returns a table as an SVG element, on a scale from white (0) to dark blue (1), with the values written in.

    Args:
        title: What stands above it.
        table: (rows, operations), in [0, 1]; NaN: there is no such operation.
        row_names: Of each row.
        operations: Of each column.
        chosen: (row, column) of what a genotype keeps: framed. Defaults to none.
    """
    rows, columns = table.shape
    width = _LEFT + columns * _CELL_WIDTH + _MARGIN
    height = _TITLE + rows * _CELL_HEIGHT + _NAMES
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="10" '
        'text-anchor="middle">',
        f'<text x="{_LEFT}" y="14" font-size="13" font-weight="bold" text-anchor="start" fill="currentColor">'
        f"{escape(title)}</text>",
    ]
    for row, name in enumerate(row_names):
        y = _TITLE + row * _CELL_HEIGHT
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 13}" text-anchor="end" fill="currentColor">{escape(name)}</text>')
        parts += [
            _cell(_LEFT + column * _CELL_WIDTH, y, float(table[row, column]), f"{name} {operation}")
            for column, operation in enumerate(operations)
            if not np.isnan(table[row, column])
        ]
    parts += [
        f'<rect x="{_LEFT + column * _CELL_WIDTH + 1}" y="{_TITLE + row * _CELL_HEIGHT + 1}" '
        f'width="{_CELL_WIDTH - 2}" height="{_CELL_HEIGHT - 2}" fill="none" stroke="{_CHOSEN}" stroke-width="2"/>'
        for row, column in chosen
    ]
    parts += [_column_name(column, rows, operation) for column, operation in enumerate(operations)]
    return "".join([*parts, "</svg>"])


def _cell(x: float, y: float, value: float, told: str) -> str:
    share = min(max(value, 0.0), 1.0)
    red, green, blue = np.rint(255 + (_DEEP - 255) * share).astype(int)
    ink = "white" if share >= _DARK_FROM else "#1F2937"
    return (
        f'<g><title>{escape(told)}: {value:.4f}</title><rect x="{x}" y="{y}" width="{_CELL_WIDTH}" '
        f'height="{_CELL_HEIGHT}" fill="rgb({red},{green},{blue})"/>'
        f'<text x="{x + _CELL_WIDTH / 2:g}" y="{y + 13}" fill="{ink}">{value:.2f}</text></g>'
    )


def _column_name(column: int, rows: int, operation: str) -> str:
    x, y = _LEFT + (column + 0.5) * _CELL_WIDTH + 3, _TITLE + rows * _CELL_HEIGHT + 6
    return (
        f'<text x="{x:g}" y="{y}" text-anchor="end" fill="currentColor" transform="rotate(-90 {x:g} {y})">'
        f"{escape(operation)}</text>"
    )
