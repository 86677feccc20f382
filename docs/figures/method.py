"""Draws the figures of docs/method.md: from formulas, and from what our own runs left in docs/results.

    python docs/figures/method.py

Needs NumPy and Matplotlib. With the pinned versions the files come out the same to the byte.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"

COLORS = {"skip": "#c0392b", "convolution": "#2c5d8a", "convolution, weaker": "#6fa3cf", "pooling": "#8a8a8a"}


class Edge(NamedTuple):
    """An edge of the toy model: by operation what it is worth in the end, and whether it has to learn that.

    Worth is what a unit of mixing weight takes off the loss. A skip connection is worth something from the first step
    on. A convolution is worth nothing until it is trained, and is trained in proportion to its mixing weight, as that
    scales its gradient.
    """

    names: Sequence[str] = tuple(COLORS)
    worth: Sequence[float] = (0.5, 1.0, 0.8, -0.2)
    learns: Sequence[bool] = (False, True, True, False)


def softmax(alphas: np.ndarray) -> np.ndarray:
    """Returns the softmax of a vector."""
    powers = np.exp(alphas - alphas.max())
    return powers / powers.sum()


def sigmoid(alphas: np.ndarray) -> np.ndarray:
    """Returns the logistic function of each entry."""
    return 1 / (1 + np.exp(-alphas))


def softmax_slope(weights: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Returns -d loss / d alpha for loss = -sum(weights * worth) under the softmax."""
    return weights * (worth - weights @ worth)


def sigmoid_slope(weights: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Returns the same under the sigmoid."""
    return weights * (1 - weights) * worth


def zero_one_slope(weights: np.ndarray, kind: str = "l2") -> np.ndarray:
    """Returns -d zero-one loss / d alpha of one operation, from its sigmoid (FairDARTS).

    The losses are -(s - 1/2)^2 and -|s - 1/2|.
    """
    distance = weights - 0.5
    outer = 2 * distance if kind == "l2" else np.sign(distance)
    return outer * weights * (1 - weights)


def simulate(relax: str, zero_one: float = 0.0, edge: Edge | None = None, steps: int = 600) -> np.ndarray:
    """Follows the toy model by gradient descent with steps of 0.05.

    Args:
        relax: ``"softmax"`` or ``"sigmoid"``.
        zero_one: Weight of the L2 zero-one loss, of the sigmoid only.
        edge: What competes. Defaults to that of the figure.
        steps: Number of steps.

    Returns:
        The mixing weights, (steps, operations).
    """
    edge = edge or Edge()
    final, learns = np.array(edge.worth), np.array(edge.learns)
    alphas, worth = np.zeros(len(final)), np.where(learns, 0.0, final)
    followed = []
    for _ in range(steps):
        weights = softmax(alphas) if relax == "softmax" else sigmoid(alphas)
        followed.append(weights)
        slope = softmax_slope(weights, worth) if relax == "softmax" else sigmoid_slope(weights, worth)
        alphas = alphas + 0.05 * (4 * slope + zero_one * zero_one_slope(weights))
        worth = worth + 0.05 * np.where(learns, 0.15 * weights * (final - worth), 0.0)
    return np.array(followed)


def unfair_advantage() -> Figure:
    """Draws the toy model under the softmax, the sigmoid, and the sigmoid with the zero-one loss."""
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True, layout="constrained")
    runs = {
        "softmax": simulate("softmax"),
        "sigmoid": simulate("sigmoid"),
        "sigmoid, zero-one loss": simulate("sigmoid", zero_one=3.0),
    }
    for panel, (title, weights) in zip(panels, runs.items(), strict=True):
        for column, (name, color) in enumerate(COLORS.items()):
            panel.plot(weights[:, column], color=color, label=name)
        _dress(panel, title, "step")
    panels[0].set_ylabel("mixing weight")
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def zero_one_losses() -> Figure:
    """Draws L1 and L2 and what they do to an alpha."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    weights = np.linspace(0, 1, 401)
    for kind, color in (("l1", "#c0392b"), ("l2", "#2c5d8a")):
        distance = np.abs(weights - 0.5)
        left.plot(weights, -(distance**2) if kind == "l2" else -distance, color=color, label=kind.upper())
        right.plot(weights, zero_one_slope(weights, kind), color=color, label=kind.upper())
    _dress(left, "the loss of one operation", "sigmoid of alpha")
    _dress(right, "how hard it pulls: minus its derivative in alpha", "sigmoid of alpha")
    left.legend(frameon=False)
    right.axhline(0, color="#cccccc", linewidth=0.8, zorder=0)
    right.axvline(0.5, color="#cccccc", linewidth=0.8, zorder=0)
    return figure


def decisions(history: Sequence[Mapping[str, str]]) -> Figure:
    """Draws, of a search of ours, how many operations are on, undecided and off, and the skips of what is derived."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    epochs = [int(row["epoch"]) for row in history]
    names = ("on", "undecided", "off")
    counts = [[int(row[f"operations_{name}"]) for row in history] for name in names]
    left.stackplot(epochs, counts, labels=names, colors=("#2c5d8a", "#d9d9d9", "#8a8a8a"))
    _dress(left, "operations of both cells, of 196", "epoch")
    left.legend(fontsize=8, loc="center left")
    for kind, color in (("normal", "#c0392b"), ("reduce", "#e2a29a")):
        right.plot(
            epochs, [int(row[f"{kind}_skips"]) for row in history], color=color, marker=".", label=f"{kind} cell"
        )
    _dress(right, "skip connections of the derived cells", "epoch")
    right.set_ylim(-0.2, 8)
    right.legend(frameon=False, fontsize=8)
    return figure


def edge_weights(rows: Sequence[Mapping[str, str]]) -> Figure:
    """Draws, of the study `coexistence`, the largest and the second largest weight of an edge, and where they began."""
    figure, panel = plt.subplots(figsize=(6, 3.2), layout="constrained")
    start = {"darts": 1 / 8, "fairdarts": 1 / 2}
    for place, name in enumerate(start):
        runs = [row for row in rows if row["configuration"] == name]
        for shift, column, color in ((-0.16, "largest", "#2c5d8a"), (0.16, "second", "#6fa3cf")):
            values = [float(row[column]) for row in runs]
            panel.bar(place + shift, np.mean(values), 0.28, color=color, label=column if place == 0 else None)
            panel.scatter([place + shift] * len(values), values, color="black", s=12, zorder=3)
        panel.hlines(start[name], place - 0.34, place + 0.34, color="#c0392b", linestyle="--")
    panel.plot([], [], color="#c0392b", linestyle="--", label="before the first step")
    _dress(panel, "mixing weights of an edge at the end, mean over edges", "")
    panel.set_xticks(range(len(start)), ["softmax (DARTS), of 8", "sigmoid (FairDARTS), of 7"])
    panel.set_ylim(0, 1)
    panel.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def read_rows(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file by the names in its head."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def draw_all(folder: Path) -> list[Path]:
    """Writes all figures into a folder and returns their paths."""
    settings = {"svg.hashsalt": "fairdarts_tf", "svg.fonttype": "path", "font.size": 9, "axes.titlesize": 10}
    written = []
    with matplotlib.rc_context(settings):
        for name, draw in (
            ("unfair_advantage", unfair_advantage),
            ("zero_one_loss", zero_one_losses),
            ("decisions", lambda: decisions(read_rows(RESULTS / "cifar10_cpu_history.csv"))),
            ("edge_weights", lambda: edge_weights(read_rows(RESULTS / "studies" / "coexistence.csv"))),
        ):
            figure = draw()
            written.append(folder / f"{name}.svg")
            figure.savefig(written[-1], metadata={"Date": None})
            plt.close(figure)
    return written


def _dress(panel: Axes, title: str, below: str) -> None:
    panel.set_title(title)
    panel.set_xlabel(below)
    panel.spines[["top", "right"]].set_visible(False)
    panel.margins(x=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draws the figures of docs/method.md.")
    parser.add_argument("--folder", type=Path, default=HERE, help="where to; by default beside this script")
    for path in draw_all(parser.parse_args().folder):
        print(path)
