"""Figures of a run for Plotly's JavaScript library, as plain dictionaries that become JSON.

A figure says what is drawn. Colours of text, grid and background are the page's, which follow the reader's dark or
light; a trace that has a colour of its own holds both in ``meta``: ``{"colours": [on light, on dark]}``.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fairdarts_tf.report.drawing import COLOURS
from fairdarts_tf.report.evolution import dominant_counts

if TYPE_CHECKING:
    from fairdarts_tf.spaces import SearchSpace

Figure = dict[str, Any]
Trace = dict[str, Any]

DASHES = {
    "avg_pool_3x3": "dot",
    "sep_conv_5x5": "dash",
    "dil_conv_5x5": "dash",
    "sep_conv_7x7": "dot",
    "mbconv3_5x5": "dash",
    "mbconv3_7x7": "dot",
    "mbconv6_5x5": "dash",
    "mbconv6_7x7": "dot",
}
"""Operations of one family share a hue: as lines their larger kernels are dashed."""

_NO_FAMILY = "#7C8594"
PALETTE = ("#2472B8", "#C2780A", "#128A74", "#B4235A", "#8B3FA8", "#5B6472", "#7A9A01", "#D1495B")
"""For lines that are no operations, as runs and configurations."""

_STATES = {"on": ["#1F66A8", "#7DB4E6"], "undecided": ["#A9C7E4", "#3F6286"], "off": ["#D5DAE1", "#39424F"]}
_TOWARDS_WHITE = 0.28
_ROW_HEIGHT, _LEAST_ROW_HEIGHT, _MOST_MAP_HEIGHT = 25, 12, 900
_MAP_MARGIN = 96
_DIGITS = 4
_FEW = 8


def colours(name: str) -> list[str]:
    """Returns an operation's colour on a light page and on a dark one."""
    return _both(COLOURS.get(name, _NO_FAMILY))


def row_names(space: SearchSpace, kind: str) -> list[str]:
    """Returns a short name for each row of a table of alphas, as in ``"0 → 2"``."""
    return [spread(name) for name in space.row_names(kind)]


def spread(place: str) -> str:
    """Returns the name of a place, as ``"0>2"``, as a page shows it: ``"0 → 2"``."""
    return place.replace(">", " → ")


def trajectories(
    epochs: Sequence[int], weights: np.ndarray, space: SearchSpace, kind: str, threshold: float | None
) -> Figure:
    """Draws every mixing weight by epoch; the legend shows and hides all edges of an operation.

    Args:
        epochs: Numbers of the epochs.
        weights: Of shape (epochs, rows, operations), in [0, 1].
        space: The search space.
        kind: The table of alphas that the weights are of.
        threshold: Drawn as a line, unless None.
    """
    weights, names = existing(weights, space, kind), row_names(space, kind)
    traces = [
        _trajectory(epochs, weights[:, :, column], names, operation, space.row_noun)
        for column, operation in enumerate(space.operations)
    ]
    y = {"range": [-0.02, 1.02], "title": {"text": "mixing weight"}}
    layout = _layout(height=420, y=y, epochs=len(epochs), hovermode="closest")
    if threshold is not None:
        layout["shapes"] = [_level(threshold)]
    return {"data": traces, "layout": layout}


def existing(weights: np.ndarray, space: SearchSpace, kind: str) -> np.ndarray:
    """Returns mixing weights (..., rows, operations) with NaN for what is not in play."""
    in_play = space.in_play.get(kind)
    return weights if in_play is None else np.where(in_play, weights, np.nan)


def heat_map(weights: np.ndarray, space: SearchSpace, kind: str, chosen: Iterable[tuple[int, int]] = ()) -> Figure:
    """Draws the mixing weights of a table, edges or layers down and operations across, on a scale from 0 to 1.

    Args:
        weights: Of shape (rows, operations).
        space: The search space.
        kind: The table of alphas that the weights are of.
        chosen: (row, operation) of what the genotype keeps, outlined.

    Returns:
        The figure; besides, ``chosen``, and in ``has_values`` whether there is room for the numbers: the page's script
        draws both.
    """
    edges, operations = len(weights), space.operations
    row = max(_LEAST_ROW_HEIGHT, min(_ROW_HEIGHT, _MOST_MAP_HEIGHT // edges))
    trace = {
        "type": "heatmap",
        "z": table(existing(weights, space, kind)),
        "x": [_text(operation) for operation in operations],
        "y": row_names(space, kind),
        "zmin": 0,
        "zmax": 1,
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
        "hovertemplate": f"<b>%{{x}}</b><br>{space.row_noun} %{{y}}<br>%{{z:.4f}}<extra></extra>",
    }
    # Fixed ranges: Plotly would leave room around the values that the page's script writes.
    axis = {"autorange": False, "fixedrange": True, "ticks": "", "showgrid": False, "type": "category"}
    layout = {
        "height": row * edges + _MAP_MARGIN,
        "margin": {"l": 50, "r": 4, "t": 6, "b": _MAP_MARGIN - 6},
        "xaxis": axis | {"tickangle": -50, "range": [-0.5, len(operations) - 0.5]},
        "yaxis": axis | {"range": [edges - 0.5, -0.5]},
    }
    return {
        "data": [trace],
        "layout": layout,
        "chosen": [list(place) for place in chosen],
        "has_values": row > _LEAST_ROW_HEIGHT + 3,
    }


def dominant_operations(
    epochs: Sequence[int], weights: np.ndarray, operations: Sequence[str], threshold: float | None
) -> Figure:
    """Draws how many mixing weights are dominant, by operation, as a stacked area.

    Args:
        epochs: Numbers of the epochs.
        weights: Of shape (epochs, rows, operations).
        operations: The columns' names.
        threshold: The least weight that counts. None: the largest weight of each row counts.
    """
    counts = dominant_counts(weights, threshold)
    series = {operation: (counts[:, column], colours(operation)) for column, operation in enumerate(operations)}
    return _stacked(epochs, series, "operations")


def states(columns: Mapping[str, np.ndarray]) -> Figure | None:
    """Draws how many operations are on, undecided and off, or returns None if the history lacks that."""
    if not {"epoch", *(f"operations_{name}" for name in _STATES)} <= set(columns):
        return None
    series = {name: (columns[f"operations_{name}"], both) for name, both in _STATES.items()}
    return _stacked(columns["epoch"].astype(int).tolist(), series, "operations")


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
    title: str,
    percent: bool = False,
    whole: bool = False,
) -> Figure | None:
    """Draws lines by epoch.

    Args:
        lines: By name: epochs, and values, where NaN or None leaves a gap.
        title: Of the vertical axis.
        percent: Whether values are shares to be shown in per cent.
        whole: Whether values are counts, drawn as steps.

    Returns:
        The figure, or None if no line has a value.
    """
    factor = 100 if percent else 1
    traces = []
    for index, (name, (epochs, values)) in enumerate(lines.items()):
        numbers = _rounded(factor * np.array(values, np.float64), 6)
        if all(number is None for number in numbers):
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(numbers) < 3 else "lines",
                "name": _template(name),
                "x": [int(epoch) for epoch in epochs],
                "y": numbers,
                "line": {"width": 2, "shape": "hvh" if whole else "linear", "dash": _dash_of_line(index)},
                "meta": {"colours": _both(PALETTE[index % len(PALETTE)])},
                "hovertemplate": "%{y:.0f}" if whole else "%{y:.2f} %" if percent else "%{y:.4~g}",
            }
        )
    if not traces:
        return None
    y = {"title": {"text": _text(title)}} | (_whole_numbers(traces) if whole else {})
    return {"data": traces, "layout": _layout(height=310, y=y, epochs=max(len(trace["x"]) for trace in traces))}


def table(values: np.ndarray) -> list[list[float | None]]:
    """Returns a table of mixing weights with as many digits as a page needs."""
    return [_rounded(row, _DIGITS) for row in values]


def _trajectory(
    epochs: Sequence[int], values: np.ndarray, names: Sequence[str], operation: str, row_noun: str
) -> Trace:
    """Returns one trace of all edges, values (epochs, edges), with a gap after each edge.

    One trace for each line would take several times as long to draw.
    """
    x: list[int | None] = []
    y: list[float | None] = []
    edges: list[str] = []
    for name, line in zip(names, values.T, strict=True):
        x += [*map(int, epochs), None]
        y += [*_rounded(line, _DIGITS), None]
        edges += [name] * (len(epochs) + 1)
    return {
        "type": "scatter",
        "mode": "lines" if len(epochs) > 1 else "markers",
        "name": _template(operation),
        "x": x,
        "y": y,
        "text": edges,
        "connectgaps": False,
        "line": {"width": 1.4, "dash": DASHES.get(operation, "solid")},
        "meta": {"colours": colours(operation)},
        "hovertemplate": f"<b>{_template(operation)}</b>"
        f"<br>{row_noun} %{{text}}<br>%{{y:.4f}} at epoch %{{x}}<extra></extra>",
    }


def _stacked(epochs: Sequence[int], series: Mapping[str, tuple[np.ndarray, list[str]]], title: str) -> Figure:
    # An area of one epoch has no width: it is drawn as a bar.
    area = {"type": "scatter", "mode": "lines", "stackgroup": "all", "line": {"width": 0.8}}
    bar = {"type": "bar", "width": 0.4}
    traces = [
        {
            "name": _template(name),
            "x": list(epochs),
            "y": _rounded(counts, 0),
            "meta": {"colours": both, "fill": True},
            "hovertemplate": "%{y:.0f}",
        }
        | (area if len(epochs) > 1 else bar)
        for name, (counts, both) in series.items()
    ]
    totals = [{"y": np.sum([counts for counts, _ in series.values()], axis=0)}]
    y = {"title": {"text": title}} | _whole_numbers(totals)
    layout = _layout(height=340, y=y, epochs=len(epochs)) | ({} if len(epochs) > 1 else {"barmode": "stack"})
    return {"data": traces, "layout": layout}


def _whole_numbers(traces: Iterable[Trace]) -> dict[str, Any]:
    """Returns an axis from 0 that counts: Plotly alone would put fractions between small whole numbers."""
    most = max((value for trace in traces for value in trace["y"] if value is not None), default=0)
    few = {"range": [0, max(most + 0.3, 2.3)], "dtick": 1} if most <= _FEW else {}
    return {"rangemode": "tozero", "tickformat": "d"} | few


def _layout(height: int, y: dict[str, Any], epochs: int, hovermode: str = "x unified") -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 52, "r": 8, "t": 28, "b": 44},
        "hovermode": hovermode,
        "xaxis": {"title": {"text": "epoch"}, "tickformat": "d"} | ({"dtick": 1} if epochs <= _FEW else {}),
        "yaxis": y,
        # At the very bottom: placed below the plot's own edge, several lines of it would run into the axis.
        "legend": {
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "itemsizing": "constant",
        },
        "showlegend": True,
    }


def _level(value: float) -> dict[str, Any]:
    line = {"width": 1, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line, "layer": "below"}


def _dash_of_line(index: int) -> str:
    return ("solid", "dash", "dot")[index // len(PALETTE) % 3]


def _rounded(values: Iterable[float], digits: int) -> list[float | None]:
    # Adding zero takes the sign from a zero that was rounded to.
    return [round(float(value), digits) + 0.0 if np.isfinite(value) else None for value in values]


def _both(colour: str) -> list[str]:
    """Returns a colour for light pages and, mixed with white, for dark ones."""
    parts = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    lighter = [round(part + (255 - part) * _TOWARDS_WHITE) for part in parts]
    return [colour, "#" + "".join(f"{part:02X}" for part in lighter)]


def _text(text: str) -> str:
    """Returns a text as Plotly shows it letter by letter: its labels understand a few of HTML's tags."""
    return html.escape(str(text), quote=False)


def _template(text: str) -> str:
    """Returns a text for a legend or a hover template, where braces after a per cent sign would be a variable."""
    return _text(text).replace("%{", "% {")
