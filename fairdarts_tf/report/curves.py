"""Drawing how a search went: accuracies, losses, decided operations and every mixing weight by epoch."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf import files
from fairdarts_tf.alphas import load_history
from fairdarts_tf.errors import RunError
from fairdarts_tf.genotypes import CELL_KINDS, FAIRDARTS_OPERATIONS
from fairdarts_tf.history import COLUMNS, Row
from fairdarts_tf.relaxations import relaxation
from fairdarts_tf.report.cell_layout import COLOURS
from fairdarts_tf.runs import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HALVES = {"train": "#174F8A", "search": "#B45309"}
_STATES = {"operations_on": "#128A74", "operations_undecided": "#E5E7EB", "operations_off": "#A3A9B3"}

_CELL_NAMES = {"normal": "normal", "reduce": "reduction"}
_MARGINS = {"left": 0.045, "right": 0.885, "bottom": 0.085, "top": 0.95, "wspace": 0.27, "hspace": 0.26}


def draw_curves(workdir: str | os.PathLike[str]) -> Figure:
    """Draws the search that a run's directory holds.

    Args:
        workdir: A directory with ``history.csv`` and ``history.npz``; settings are read from its ``flags.txt``.

    Returns:
        A Matplotlib figure that belongs to no window and no global state.

    Raises:
        RunError: When the history cannot be read.
        GenotypeError: When the recorded alphas cannot be read.
    """
    workdir = Path(workdir)
    columns = _read_columns(workdir / "history.csv")
    alphas = load_history(workdir)
    settings = Run(workdir).settings() or {}
    operations = settings.get("operations", ",".join(FAIRDARTS_OPERATIONS)).split(",")
    return draw_recorded(columns, alphas, operations, settings.get("relaxation", "sigmoid"))


def draw_recorded(
    columns: Mapping[str, np.ndarray],
    alphas: Mapping[str, np.ndarray],
    operations: Sequence[str],
    relaxation_name: str = "sigmoid",
) -> Figure:
    """Draws a search that is in memory.

    Args:
        columns: Those of a history by name (see `fairdarts_tf.history.COLUMNS`), each of shape (epochs,); NaN where an
            epoch did not measure it.
        alphas: ``epoch`` of shape (epochs,), ``normal`` and ``reduce`` of shape (epochs, edges, operations), raw.
        operations: The names of the alphas' columns.
        relaxation_name: From alphas to mixing weights.

    Returns:
        As `draw_curves`.
    """
    from matplotlib.figure import Figure

    relax = relaxation(relaxation_name).of_array
    figure = Figure(figsize=(11, 6.4), facecolor="white")
    # Fixed margins: a layout engine would draw everything twice, and a search draws this after each epoch.
    axes = figure.subplots(2, 3, gridspec_kw=_MARGINS)
    _draw_halves(axes[0, 0], columns, "loss", 1.0)
    _draw_halves(axes[0, 1], columns, "accuracy", 100.0)
    axes[0, 1].set_title("accuracy, %")
    axes[0, 2].plot(columns["epoch"], columns["zero_one"], color="#8B3FA8")
    axes[0, 2].set_title("zero-one loss")
    _draw_states(axes[1, 0], columns)
    for panel, kind in zip(axes[1, 1:], CELL_KINDS, strict=True):
        _draw_trajectories(panel, alphas["epoch"], relax(alphas[kind]), operations)
        panel.set_title(f"mixing weights, {_CELL_NAMES[kind]} cell")
    axes[1, 2].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.title.set_size(10)
    for panel in axes[1]:
        panel.set_xlabel("epoch")
    return figure


def columns_of(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Returns the columns of a history's rows as floats; what an epoch did not measure is NaN."""
    return {name: np.array([row.get(name) for row in rows], np.float64) for name in COLUMNS}


def save_png(workdir: str | os.PathLike[str], path: str | os.PathLike[str], dpi: int = 120) -> None:
    """Writes the drawing of `draw_curves` as a PNG file, atomically.

    Raises:
        FairDartsError: As `draw_curves` does.
        OSError: When the file cannot be written.
    """
    figure = draw_curves(workdir)
    files.write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=dpi))


def _read_columns(path: Path) -> dict[str, np.ndarray]:
    """Returns the columns of a history as floats; what an epoch did not measure is NaN."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
    except (OSError, UnicodeDecodeError, ValueError, TypeError, IndexError, csv.Error) as error:
        raise RunError(f"cannot read the history of a search in {path}. Name a search's directory.") from error


def _draw_halves(panel: Axes, columns: Mapping[str, np.ndarray], quantity: str, factor: float) -> None:
    for half, colour in _HALVES.items():
        panel.plot(columns["epoch"], factor * columns[f"{half}_{quantity}"], color=colour, label=f"{half} half")
    panel.set_title(quantity)
    panel.legend(frameon=False, fontsize=8)


def _draw_states(panel: Axes, columns: Mapping[str, np.ndarray]) -> None:
    labels = [name.removeprefix("operations_") for name in _STATES]
    panel.stackplot(columns["epoch"], [columns[name] for name in _STATES], labels=labels, colors=_STATES.values())
    panel.set_title("operations")
    panel.legend(frameon=False, fontsize=8, loc="lower left")


def _draw_trajectories(panel: Axes, epochs: np.ndarray, values: np.ndarray, operations: Sequence[str]) -> None:
    """Draws values (epochs, edges, operations), one line each, coloured by operation."""
    # One line object for all edges of an operation, with gaps between them, is drawn several times faster.
    gap = np.full((1, values.shape[1]), np.nan)
    x = np.tile(np.append(epochs, np.nan), values.shape[1])
    for column, operation in enumerate(operations):
        y = np.concatenate([values[:, :, column], gap]).T.ravel()
        panel.plot(x, y, color=COLOURS.get(operation, "#A3A9B3"), linewidth=0.7, label=operation)
    panel.set_ylim(0, 1)
