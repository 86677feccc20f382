"""The figures of studies, in the colours of the report. Each function returns one that draws a study's results.

A figure belongs to no window and no global state.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf.genotypes import CELL_KINDS
from fairdarts_tf.report.curves import draw_dominant, draw_trajectories
from fairdarts_tf.report.evolution import dominance_threshold
from fairdarts_tf.report.figures import PALETTE
from fairdarts_tf.report.heat_map import draw_heat_maps
from fairdarts_tf.report.run_data import RunData
from fairdarts_tf.studies.results import Results, is_accuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[[Results], "Figure"]

_CELL_NAMES = {"normal": "normal cell", "reduce": "reduction cell"}
_BINS = 20
_HEIGHT, _WIDTH = 2.4, 3.0
_SMALL, _TITLE = 7, 9


def points(columns: Mapping[str, str]) -> Draw:
    """Draws each run as a point and each configuration's mean as a line.

    Args:
        columns: Titles by column of the results, a panel for each.
    """

    def draw(results: Results) -> Figure:
        figure, panels = _grid(1, len(columns), width=3.6)
        for panel, (column, title) in zip(panels[0], columns.items(), strict=True):
            _draw_points(panel, results, column)
            _name(panel, title + (", %" if is_accuracy(column) else ""))
        return figure

    return draw


def dominant_areas(results: Results) -> Figure:
    """Draws the number of dominant operations by epoch, of the first seed of each configuration."""

    def area(panel: Axes, run: RunData, weights: np.ndarray) -> None:
        least = dominance_threshold(run.derivation.relaxation, run.derivation.threshold)
        draw_dominant(panel, run.epochs, weights, run.derivation.operations, least)
        _count_epochs(panel)

    return _by_run(results, area, with_legend=True)


def trajectories(results: Results) -> Figure:
    """Draws every mixing weight by epoch, of the first seed of each configuration."""

    def lines(panel: Axes, run: RunData, weights: np.ndarray) -> None:
        draw_trajectories(panel, run.epochs, weights, run.derivation.operations)
        _count_epochs(panel)

    return _by_run(results, lines, with_legend=True)


def histograms(results: Results) -> Figure:
    """Draws how the final mixing weights are distributed, of the first seed of each configuration."""

    def histogram(panel: Axes, run: RunData, weights: np.ndarray) -> None:
        panel.hist(weights[-1].ravel(), bins=_BINS, range=(0, 1), color=PALETTE[0])
        panel.set_xlabel("mixing weight", size=_SMALL)

    return _by_run(results, histogram)


def heat_maps_of(label: str) -> Draw:
    """Draws the final mixing weights of a configuration's first seed.

    Args:
        label: The configuration's.
    """

    def draw(results: Results) -> Figure:
        run = results.first_runs()[label]
        weights = {kind: tables[-1] for kind, tables in run.mixing_weights().items()}
        figure = draw_heat_maps(weights, run.derivation.space)
        figure.suptitle(f"{label}, {run.derivation.relaxation}", x=0.99, ha="right", size=8)
        return figure

    return draw


def by_epoch(column: str, title: str) -> Draw:
    """Draws a column of the searches' histories, a line for each search, coloured by configuration.

    Args:
        column: See `fairdarts_tf.history.COLUMNS`.
        title: Of the figure.
    """

    def draw(results: Results) -> Figure:
        from fairdarts_tf.report.run_data import read_run

        figure, panels = _grid(1, 1, width=5.4, height=3.0)
        names = list(results.labels)
        for stages in results.stages:
            columns = read_run(stages.search_dir).columns
            place = names.index(stages.configuration.name)
            label = stages.configuration.label if stages.seed == results.stages[0].seed else None
            panels[0, 0].plot(columns["epoch"], columns[column], color=_colour(place), label=label, linewidth=1.2)
        _name(panels[0, 0], title)
        _count_epochs(panels[0, 0])
        panels[0, 0].legend(frameon=False, fontsize=_SMALL)
        return figure

    return draw


def against(x: str, y: str, x_title: str, y_title: str, lines: str | None = None) -> Draw:
    """Draws one column against another, a point for each run, coloured by configuration.

    Args:
        x: Column across.
        y: Column upwards.
        x_title: What it is.
        y_title: What it is.
        lines: Column whose values are drawn as lines across the configuration's colour. Defaults to None: none.
    """

    def draw(results: Results) -> Figure:
        figure, panels = _grid(1, 1, width=5.4, height=3.4)
        panel = panels[0, 0]
        factor = 100 if is_accuracy(y) else 1
        for place, (name, label) in enumerate(results.labels.items()):
            colour = _colour(place)
            panel.plot(
                results.values(name, x), factor * results.values(name, y), "o", color=colour, label=label, markersize=5
            )
            for value in set(results.values(name, lines)) if lines else ():
                panel.axvline(value, color=colour, linestyle="--", linewidth=0.8, zorder=0)
        panel.set_xlabel(x_title, size=_SMALL)
        panel.set_ylabel(y_title + (", %" if is_accuracy(y) else ""), size=_SMALL)
        panel.legend(frameon=False, fontsize=_SMALL)
        return figure

    return draw


def as_bytes(figure: Figure, form: str) -> bytes:
    """Returns a figure as the content of a file, the same for the same figure.

    Args:
        figure: Any.
        form: ``"png"`` or ``"svg"``.
    """
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "fairdarts_tf"}):
        figure.savefig(buffer, format=form, dpi=100, metadata={"Date": None} if form == "svg" else None)
    return buffer.getvalue()


def _by_run(results: Results, draw: Callable[[Axes, RunData, np.ndarray], None], with_legend: bool = False) -> Figure:
    """Draws a panel for each cell of each configuration, with runs across and cells down."""
    runs = results.first_runs()
    figure, panels = _grid(len(CELL_KINDS), len(runs))
    for place, (label, run) in enumerate(runs.items()):
        for row, (kind, weights) in enumerate(run.mixing_weights().items()):
            draw(panels[row, place], run, weights)
            _name(panels[row, place], f"{label}, {_CELL_NAMES[kind]}")
    if with_legend:
        found = {}
        for panel in panels.flat:
            handles, labels = panel.get_legend_handles_labels()
            found |= dict(zip(labels, handles, strict=True))
        figure.legend(found.values(), found, loc="outside right center", frameon=False, fontsize=_SMALL)
    return figure


def _draw_points(panel: Axes, results: Results, column: str) -> None:
    factor = 100 if is_accuracy(column) else 1
    for place, name in enumerate(results.labels):
        values = factor * results.values(name, column)
        # Equal values would cover each other.
        shifts = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(len(values))
        panel.plot(place + shifts, values, "o", color=_colour(place), markersize=4, alpha=0.8)
        if len(values):
            panel.hlines(values.mean(), place - 0.3, place + 0.3, color=_colour(place), linewidth=1.5)
    panel.set_xticks(range(len(results.labels)), results.labels.values(), rotation=35, ha="right", size=_SMALL)
    panel.set_xlim(-0.6, len(results.labels) - 0.4)
    values = [value for name in results.labels for value in results.values(name, column)]
    if values and all(float(value).is_integer() for value in values):
        panel.set_ylim(-0.05 * max(*values, 1), 1.1 * max(*values, 1))
        panel.yaxis.get_major_locator().set_params(integer=True)


def _grid(rows: int, columns: int, width: float = _WIDTH, height: float = _HEIGHT) -> tuple[Figure, np.ndarray]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns + 0.6, height * rows + 0.6), facecolor="white", layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=_SMALL)
    return figure, panels


def _name(panel: Axes, title: str) -> None:
    panel.set_title(title, size=_TITLE)


def _count_epochs(panel: Axes) -> None:
    panel.set_xlabel("epoch", size=_SMALL)
    panel.xaxis.get_major_locator().set_params(integer=True)


def _colour(place: int) -> str:
    return PALETTE[place % len(PALETTE)]
