"""Drawing how a search went: accuracies, losses, decided operations and every mixing weight by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf.history import COLUMNS, Row
from fairdarts_tf.report.drawing import COLOURS
from fairdarts_tf.report.evolution import dominance_threshold, dominant_counts
from fairdarts_tf.report.figures import existing
from fairdarts_tf.report.run_flags import DerivationSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fairdarts_tf.spaces import SearchSpace

_HALVES = {"train": "#174F8A", "search": "#B45309"}
_STATES = {"operations_on": "#1F66A8", "operations_undecided": "#A9C7E4", "operations_off": "#D5DAE1"}
_KIND_COLOURS = ("#2472B8", "#C2780A")
_OTHER_COLOUR = "#A3A9B3"

_LEGEND_LINE_WIDTH = 2.5
_MARGINS = {"left": 0.045, "right": 0.885, "bottom": 0.06, "top": 0.965, "wspace": 0.27, "hspace": 0.26}


def draw_curves(
    columns: Mapping[str, np.ndarray], alphas: Mapping[str, np.ndarray], settings: DerivationSettings
) -> Figure:
    """Draws a search.

    Args:
        columns: Those of a history by name (see `fairdarts_tf.history.columns_for`), each of shape (epochs,); NaN where
            an epoch did not measure it.
        alphas: ``epoch`` of shape (epochs,) and, by kind, raw alphas of shape (epochs, rows, operations).
        settings: What decides the derivation.

    Returns:
        A Matplotlib figure that belongs to no window and no global state.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9.6), facecolor="white")
    # Fixed margins: a layout engine would draw everything twice, and a search draws this after each epoch.
    axes = figure.subplots(3, 3, gridspec_kw=_MARGINS)
    _draw_numbers(axes[0], columns)
    _draw_states(axes[1, 0], columns)
    _draw_skips(axes[2, 0], columns, settings.space)
    _draw_weights(axes[1:, 1:], alphas, settings)
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.title.set_size(10)
        panel.xaxis.get_major_locator().set_params(integer=True)
    for panel in axes[2]:
        panel.set_xlabel("epoch")
    return figure


def columns_of(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Returns the columns of a history's rows as floats; what an epoch did not measure is NaN."""
    return {name: np.array([row.get(name) for row in rows], np.float64) for name in (rows[-1] if rows else COLUMNS)}


def _draw_numbers(panels: Sequence[Axes], columns: Mapping[str, np.ndarray]) -> None:
    _draw_halves(panels[0], columns, "loss", 1.0)
    _draw_halves(panels[1], columns, "accuracy", 100.0)
    panels[1].set_title("accuracy, %")
    panels[2].plot(columns["epoch"], columns["zero_one"], color="#8B3FA8")
    panels[2].set_title("zero-one loss")


def _draw_halves(panel: Axes, columns: Mapping[str, np.ndarray], quantity: str, factor: float) -> None:
    for half, colour in _HALVES.items():
        panel.plot(columns["epoch"], factor * columns[f"{half}_{quantity}"], color=colour, label=f"{half} half")
    panel.set_title(quantity)
    panel.legend(frameon=False, fontsize=8)


def _draw_states(panel: Axes, columns: Mapping[str, np.ndarray]) -> None:
    labels = [name.removeprefix("operations_") for name in _STATES]
    panel.stackplot(columns["epoch"], [columns[name] for name in _STATES], labels=labels, colors=_STATES.values())
    panel.set_title("operations")
    # On the areas only a legend with a ground of its own shows all of their colours.
    panel.legend(frameon=True, framealpha=1, edgecolor="white", fontsize=8, loc="lower left")


def _draw_skips(panel: Axes, columns: Mapping[str, np.ndarray], space: SearchSpace) -> None:
    for (kind, title), colour in zip(space.titles.items(), _KIND_COLOURS, strict=False):
        label = title.lower().removesuffix(" cell")
        panel.step(columns["epoch"], columns[f"{kind}_skips"], color=colour, where="mid", label=label)
    most = max(np.nanmax(columns[f"{kind}_skips"], initial=1) for kind in space.kinds)
    _count_on(panel, most + 0.5)
    panel.set_title("skip connections in the genotype")
    panel.legend(frameon=False, fontsize=8)


def _count_on(panel: Axes, top: float) -> None:
    """Gives a panel a vertical axis of whole numbers from 0."""
    panel.set_ylim(0, top)
    panel.yaxis.get_major_locator().set_params(integer=True)


def _draw_weights(panels: np.ndarray, alphas: Mapping[str, np.ndarray], settings: DerivationSettings) -> None:
    """Draws every mixing weight in the upper row of panels and the dominant operations in the lower, for each kind."""
    space = settings.space
    weights = settings.relax({kind: alphas[kind] for kind in space.kinds})
    least = dominance_threshold(settings.relaxation, settings.threshold)
    for (upper, lower), (kind, title) in zip(panels.T, space.titles.items(), strict=False):
        draw_trajectories(upper, alphas["epoch"], existing(weights[kind], space, kind), settings.operations)
        upper.set_title(f"mixing weights, {title.lower()}")
        draw_dominant(lower, alphas["epoch"], weights[kind], settings.operations, least)
        lower.set_title(f"dominant operations, {title.lower()}")
    for unused in panels[:, len(space.kinds) :].flat:
        unused.set_axis_off()
    last = panels[0, len(space.kinds) - 1]
    legend = last.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    for line in legend.get_lines():
        line.set_linewidth(_LEGEND_LINE_WIDTH)


def draw_dominant(
    panel: Axes, epochs: np.ndarray, weights: np.ndarray, operations: Sequence[str], threshold: float | None
) -> None:
    """Draws how many mixing weights are dominant, by operation, as a stacked area.

    Args:
        panel: Where to.
        epochs: (epochs,).
        weights: (epochs, rows, operations).
        operations: The columns' names.
        threshold: See `fairdarts_tf.report.evolution.dominant_counts`.
    """
    colours = [COLOURS.get(operation, _OTHER_COLOUR) for operation in operations]
    dominant = dominant_counts(weights, threshold)
    panel.stackplot(epochs, dominant.T, labels=operations, colors=colours, edgecolor="white", linewidth=0.4)
    _count_on(panel, max(1, dominant.sum(axis=1).max()) * 1.05)


def draw_trajectories(panel: Axes, epochs: np.ndarray, values: np.ndarray, operations: Sequence[str]) -> None:
    """Draws values (epochs, rows, operations), one line each, coloured by operation."""
    # One line object for all edges of an operation, with gaps between them, is drawn several times faster.
    gap = np.full((1, values.shape[1]), np.nan)
    x = np.tile(np.append(epochs, np.nan), values.shape[1])
    for column, operation in enumerate(operations):
        y = np.concatenate([values[:, :, column], gap]).T.ravel()
        panel.plot(x, y, color=COLOURS.get(operation, _OTHER_COLOUR), linewidth=0.7, label=operation)
    panel.set_ylim(0, 1)
