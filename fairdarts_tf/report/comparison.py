"""Several runs on one page: a table, how far the genotypes agree, cells, overlaid curves and heat maps."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fairdarts_tf import files
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.report import figures, summary
from fairdarts_tf.report.evolution import Evolution, evolution_of
from fairdarts_tf.report.figures import Figure
from fairdarts_tf.report.page import (
    Drawing,
    chosen_places,
    draw_genotype,
    relaxation_names,
    render,
)
from fairdarts_tf.report.run_data import RunData, read_run, refuse_overwriting
from fairdarts_tf.report.run_records import attempt
from fairdarts_tf.spaces import search_space

_CURVES = {
    "search_accuracy": ("Accuracy, half that trains the alphas", "accuracy, %", True, False),
    "train_accuracy": ("Accuracy, half that trains the weights", "accuracy, %", True, False),
    "search_loss": ("Loss, half that trains the alphas", "cross-entropy", False, False),
    "zero_one": ("Zero-one loss", "zero-one loss", False, False),
    "operations_on": ("Operations that are on", "operations", False, True),
    "operations_undecided": ("Operations that are undecided", "operations", False, True),
}
"""By column of the history: the heading, the axis, and whether it holds shares, or counts."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A run as the comparison shows it: a row of the table, its cells and its heat maps."""

    name: str
    run: RunData
    evolution: Evolution
    genotype: AnyGenotype | None
    cells: Drawing | None
    network: summary.NetworkSummary | None
    state: str
    search_accuracy: str
    train_accuracy: str
    skips: str
    coin_flips: str
    duration: str

    @property
    def items(self) -> dict[str, str]:
        """Each kind's items in one line, by its title."""
        if self.genotype is None:
            return {}
        titles = search_space(self.genotype.space).titles
        return {title: summary.items_text(self.genotype, kind) for kind, title in titles.items()}


def write_comparison(
    workdirs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "comparison.html",
    reload_seconds: float | None = None,
) -> Path:
    """Writes a page that compares searches, atomically.

    Args:
        workdirs: Their directories.
        output: Defaults to ``comparison.html``.
        reload_seconds: After how long the open page loads itself anew. Defaults to None: never.

    Returns:
        Where it is.

    Raises:
        RunError: When one of the directories holds no run.
        ConfigurationError: When ``output`` is a file of one of the searches.
        OSError: When the file cannot be written.
    """
    path = Path(output)
    runs = [read_run(workdir) for workdir in workdirs]
    refuse_overwriting(path, workdirs)
    files.write_text_atomically(path, render_comparison(runs, reload_seconds))
    return path


def render_comparison(runs: Sequence[RunData], reload_seconds: float | None = None) -> str:
    """Returns the comparison of runs as HTML text."""
    named = _named(runs)
    drawing_problems: list[str] = []
    entries = [_entry(name, run, drawing_problems) for name, run in named.items()]
    titles = {kind: title for run in runs for kind, title in run.derivation.space.titles.items()}
    curves = _CURVES | {
        f"{kind}_skips": (f"Skip connections, {title.lower()}", "skip connections", False, True)
        for kind, title in titles.items()
    }
    pictures = _curve_figures(named, curves) | _heat_maps(entries)
    context = {
        "title": f"{len(entries)} searches compared",
        "entries": entries,
        "flags": summary.differing_flags(named),
        "agreement": _agreement(entries),
        "curves": {f"curve_{column}": title for column, (title, *_) in curves.items()},
        "heat_maps": {
            kind: [
                (entry, f"heat_{kind}_{place}")
                for place, entry in enumerate(entries)
                if kind in entry.run.derivation.space.kinds
            ]
            for kind in titles
        },
        "figures": pictures,
        "problems": [
            *(f"{entry.name}: {problem}" for entry in entries for problem in entry.run.problems),
            *dict.fromkeys(drawing_problems),
        ],
        "titles": titles,
        "sizes": list(dict.fromkeys(entry.network.size for entry in entries if entry.network)),
        "relaxation_names": relaxation_names(),
    }
    return render("comparison.html.j2", context, {"figures": pictures, "replay": None}, reload_seconds)


def _named(runs: Sequence[RunData]) -> dict[str, RunData]:
    """Returns the runs by a name of its own for each: the directory's, or its path where two are alike."""
    short = [run.name for run in runs]
    named: dict[str, RunData] = {}
    for name, run in zip(short, runs, strict=True):
        name = name if short.count(name) == 1 else files.readable(run.workdir)
        while name in named:
            name += " (again)"
        named[name] = run
    return named


def _entry(name: str, run: RunData, problems: list[str]) -> Entry:
    evolution = evolution_of(run)
    derived = evolution.last.genotype if evolution.last else None
    genotype = run.genotype or derived
    cells = None
    if genotype is not None:
        cells = attempt(problems, lambda: draw_genotype(genotype, evolution.space, evolution.confidence), None)
    return Entry(
        name=name,
        run=run,
        evolution=evolution,
        genotype=genotype,
        cells=cells,
        network=summary.network_summary(genotype, run.settings) if genotype else None,
        state=summary.describe_state(run),
        search_accuracy=summary.percent(summary.last(run, "search_accuracy")),
        train_accuracy=summary.percent(summary.last(run, "train_accuracy")),
        skips=summary.skips(genotype),
        coin_flips=summary.coin_flips(evolution),
        duration=summary.duration(summary.total_seconds(run)),
    )


def _agreement(entries: Sequence[Entry]) -> list[tuple[str, list[float | None]]]:
    """Returns, for each run with a genotype, its agreement with each of them."""
    found = [(entry.name, entry.genotype) for entry in entries if entry.genotype is not None]
    if len(found) < 2:
        return []
    return [(name, [summary.share_of_equal_items(one, other) for _, other in found]) for name, one in found]


def _curve_figures(runs: Mapping[str, RunData], curves: Mapping[str, tuple]) -> dict[str, Figure]:
    found = {}
    for column, (_, axis, percent, whole) in curves.items():
        lines = {
            name: (run.columns["epoch"], run.columns[column])
            for name, run in runs.items()
            if {"epoch", column} <= set(run.columns) and np.isfinite(run.columns[column]).any()
        }
        figure = figures.curves(lines, axis, percent, whole)
        if figure is not None:
            found[f"curve_{column}"] = figure
    return found


def _heat_maps(entries: Sequence[Entry]) -> dict[str, Figure]:
    found = {}
    for place, entry in enumerate(entries):
        space = entry.run.derivation.space
        for kind, weights in entry.run.mixing_weights().items():
            chosen = chosen_places(entry.evolution.epochs[-1], kind, space)
            found[f"heat_{kind}_{place}"] = figures.heat_map(weights[-1], space, kind, chosen)
    return found
