"""Drawing how a search went: accuracies, losses, decided operations and every mixing weight by epoch."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf import files
from fairdarts_tf.alphas import load_history
from fairdarts_tf.errors import RunError
from fairdarts_tf.genotypes import CELL_KINDS, FAIRDARTS_OPERATIONS
from fairdarts_tf.relaxations import relaxation
from fairdarts_tf.report.cells import COLOURS
from fairdarts_tf.runs import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HALVES = {"train": "#174F8A", "search": "#B45309"}
_STATES = {"operations_on": "#128A74", "operations_undecided": "#E5E7EB", "operations_off": "#A3A9B3"}


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
    from matplotlib.figure import Figure

    workdir = Path(workdir)
    columns = _read_columns(workdir / "history.csv")
    alphas = load_history(workdir)
    settings = Run(workdir).settings() or {}
    relax = relaxation(settings.get("relaxation", "sigmoid")).of_array
    operations = settings.get("operations", ",".join(FAIRDARTS_OPERATIONS)).split(",")

    figure = Figure(figsize=(11, 6.4), facecolor="white", layout="constrained")
    axes = figure.subplots(2, 3)
    _draw_halves(axes[0, 0], columns, "loss", 1.0)
    _draw_halves(axes[0, 1], columns, "accuracy", 100.0)
    axes[0, 1].set_title("accuracy, %")
    axes[0, 2].plot(columns["epoch"], columns["zero_one"], color="#8B3FA8")
    axes[0, 2].set_title("zero-one loss")
    _draw_states(axes[1, 0], columns)
    for panel, kind in zip(axes[1, 1:], CELL_KINDS, strict=True):
        _draw_trajectories(panel, alphas["epoch"], relax(alphas[kind]), operations)
        panel.set_title(f"mixing weights, {kind} cell")
    axes[1, 2].legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.title.set_size(10)
    for panel in axes[1]:
        panel.set_xlabel("epoch")
    return figure


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


def _draw_halves(panel: Axes, columns: dict[str, np.ndarray], quantity: str, factor: float) -> None:
    for half, colour in _HALVES.items():
        panel.plot(columns["epoch"], factor * columns[f"{half}_{quantity}"], color=colour, label=f"{half} half")
    panel.set_title(quantity)
    panel.legend(frameon=False, fontsize=8)


def _draw_states(panel: Axes, columns: dict[str, np.ndarray]) -> None:
    labels = [name.removeprefix("operations_") for name in _STATES]
    panel.stackplot(columns["epoch"], [columns[name] for name in _STATES], labels=labels, colors=_STATES.values())
    panel.set_title("operations")
    panel.legend(frameon=False, fontsize=8, loc="lower left")


def _draw_trajectories(panel: Axes, epochs: np.ndarray, values: np.ndarray, operations: list[str]) -> None:
    """Draws values (epochs, edges, operations), one line each, coloured by operation."""
    for column, operation in enumerate(operations):
        lines = panel.plot(epochs, values[:, :, column], color=COLOURS.get(operation, "#A3A9B3"), linewidth=0.7)
        lines[0].set_label(operation)
    panel.set_ylim(0, 1)
