"""The report of a run: one self-contained HTML page that a browser opens from disk, without a network."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

from fairdarts_tf import files
from fairdarts_tf.derivation import COIN_FLIP_MARGIN, METHODS, Confidence
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.relaxations import RELAXATIONS
from fairdarts_tf.report import cells_svg, figures, summary
from fairdarts_tf.report.drawing import colour_of, notes_of
from fairdarts_tf.report.evolution import Epoch, Evolution, dominance_threshold, evolution_of
from fairdarts_tf.report.figures import Figure
from fairdarts_tf.report.graphviz_layout import LayoutError
from fairdarts_tf.report.run_data import RunData, read_run, refuse_overwriting
from fairdarts_tf.spaces import SearchSpace

COST_NAMES = {"macs": "multiply-adds", "params": "parameters", "latency": "latency, ms"}

_HERE = Path(__file__).parent
_VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_SEPARATORS = re.compile("([/,])")
_UNSAFE_IN_SCRIPT = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


@dataclasses.dataclass(frozen=True)
class Drawing:
    """The cells of a genotype as SVG, with their natural size in pixels."""

    svg: Markup
    width: float
    height: float


def write_report(
    workdir: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    reload_seconds: float | None = None,
) -> Path:
    """Writes the report of a search, atomically.

    Args:
        workdir: The search's directory; it may still be going.
        output: Defaults to None: ``report.html`` in the directory.
        reload_seconds: After how long the open page loads itself anew. Defaults to None: never.

    Returns:
        Where it is.

    Raises:
        RunError: When the directory holds no run.
        ConfigurationError: When ``output`` is one of its own files.
        OSError: When the file cannot be written.

    Example:
        >>> fd.write_report("runs/mine").name
        'report.html'
    """
    run = read_run(workdir)
    path = Path(output) if output is not None else Path(workdir) / "report.html"
    refuse_overwriting(path, [workdir])
    files.write_text_atomically(path, render_report(run, reload_seconds))
    return path


def render_report(run: RunData, reload_seconds: float | None = None) -> str:
    """Returns the report of a run as HTML text."""
    evolution = evolution_of(run)
    genotype, problems = _final_genotype(run, evolution)
    try:
        cells = draw_genotype(genotype, evolution.space, evolution.confidence) if genotype else None
        drawings, order = _drawings(evolution)
    except LayoutError as error:
        problems.append(str(error))
        cells, drawings, order = None, [], [None] * len(evolution.epochs)
    pictures = _figures(run, evolution)
    size = summary.network_summary(genotype, run.settings) if genotype else None
    context = {
        "title": run.name,
        "run": run,
        "state": run.state(),
        "state_text": summary.describe_state(run),
        "facts": summary.facts(run, evolution),
        "size": size,
        "flags": summary.flags_of(run),
        "problems": [*run.problems, *problems],
        "cells": cells,
        "genotype": genotype,
        "no_genotype": evolution.last.reason if evolution.last else "",
        "evolution": evolution,
        "drawings": drawings,
        "tallest": max((drawing.height for drawing in drawings), default=0),
        "shown": order[-1] if order else None,
        "figures": pictures,
        "relaxations": _relaxations(run),
        "relaxation_names": relaxation_names(),
        "space": run.derivation.space,
        "colour_of": colour_of,
        "leaves_out": any(row.threshold_decides for row in evolution.confidence),
        "has_threshold": METHODS[run.derivation.method].has_threshold,
        "no_drawing": _no_drawing(evolution.last, run.derivation.space.noun) if evolution.last else "",
        "coin_flip_margin": COIN_FLIP_MARGIN,
    }
    data = {"figures": pictures, "replay": _replay(run, evolution, order)}
    return render("report.html.j2", context, data, reload_seconds)


def render(template: str, context: Mapping[str, Any], data: object, reload_seconds: float | None = None) -> str:
    """Returns a page made of a template, with scripts and styles inline.

    Args:
        template: A file name in ``templates``.
        context: The template's variables. Whatever is not markup is escaped.
        data: What the page's script reads; becomes JSON.
        reload_seconds: As `write_report` takes it.
    """
    page = (
        _environment()
        .get_template(template)
        .render(
            context,
            data=json_for_script(data),
            reload_seconds=reload_seconds,
            styles=_asset("report.css"),
            plotly=_asset("plotly-cartesian.min.js"),
            script=_asset("report.js"),
        )
    )
    return files.readable(page)


def json_for_script(value: object) -> Markup:
    """Returns JSON that no text in it can end, or turn into anything else, inside a ``<script>`` element.

    Raises:
        ValueError: When a number in it is not finite, which JSON has no word for.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Markup(text.translate(_UNSAFE_IN_SCRIPT))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"lead": _lead, "breakable": _breakable, "spread": figures.spread}
    return environment


def _lead(margin: float | None) -> str:
    """Returns a margin; that of a coin flip has more digits and stands out."""
    if margin is None:
        return summary.UNKNOWN
    if margin >= COIN_FLIP_MARGIN:
        return f"{margin:+.3f}"
    return Markup('<b class="flip">{}</b>').format(f"{margin:+.4f}" if abs(margin) >= 1e-4 else f"{margin:+.1g}")


def _breakable(text: str) -> Markup:
    """Returns a path or a list, escaped, that a browser breaks after its separators rather than within a name."""
    return Markup(_SEPARATORS.sub(r"\1<wbr>", str(escape(text))))


@functools.cache
def _asset(name: str) -> Markup:
    """Returns a file of the project's own as it is, not as text to be escaped."""
    return Markup((_HERE / "assets" / name).read_text(encoding="utf-8"))


def _final_genotype(run: RunData, evolution: Evolution) -> tuple[AnyGenotype | None, list[str]]:
    """Returns the genotype that the page shows, and what is to be said about where it comes from."""
    derived = evolution.last.genotype if evolution.last else None
    if run.genotype is None and derived is not None:
        # A broken file has been named already.
        missing = "" if (run.workdir / "genotype.json").exists() else "genotype.json is missing: "
        return derived, [f"{missing}the {run.derivation.space.noun} shown are derived from the recorded alphas."]
    if run.stop is not None and run.genotype in [
        epoch.genotype for epoch in evolution.epochs if epoch.number == run.stop.counts
    ]:
        note = (
            f"The search stopped early, and the {run.derivation.space.noun} shown are those of epoch {run.stop.counts}."
        )
        return run.genotype, [note] if run.stop.counts < run.stop.after else []
    if run.genotype is not None and evolution.last and run.genotype != derived:
        return run.genotype, [
            "genotype.json is not what the recorded alphas give by the run's method: the "
            f"{run.derivation.space.noun} shown are the file's."
        ]
    return run.genotype, []


def _drawings(evolution: Evolution) -> tuple[list[Drawing], list[int | None]]:
    """Returns the drawing of each genotype once, and for each epoch which of them it is, None without a genotype.

    Values and margins in it are those of one of its epochs; the page's script writes each epoch's own.
    """
    last_epochs = {epoch.genotype: epoch for epoch in evolution.epochs if epoch.genotype is not None}
    places = {genotype: place for place, genotype in enumerate(last_epochs)}
    drawings = [draw_genotype(genotype, evolution.space, epoch.confidence) for genotype, epoch in last_epochs.items()]
    return drawings, [places.get(epoch.genotype) for epoch in evolution.epochs]


def draw_genotype(genotype: AnyGenotype, space: SearchSpace | None, confidence: Iterable[Confidence]) -> Drawing:
    """Draws a genotype.

    Args:
        genotype: What is drawn.
        space: The search space, or None where it is not known.
        confidence: How sure each choice is: the values and margins in the boxes.

    Raises:
        LayoutError: When Graphviz cannot be used.
    """
    svg = cells_svg.svg(genotype, notes_of(confidence), space)
    width, height = map(float, _VIEW_BOX.search(svg).groups())
    return Drawing(Markup(svg), width, height)


def _no_drawing(epoch: Epoch, noun: str) -> str:
    """Returns what stands in the place of an epoch's genotype where it is not drawn."""
    if epoch.genotype is None:
        return f"No genotype after {epoch.name}: {epoch.reason}"
    return f"The {noun} could not be drawn."


def _notes(epoch: Epoch) -> list[str]:
    """Returns the values and margins of an epoch's choices in the order in which a drawing has its operations."""
    if epoch.genotype is None:
        return []
    notes = notes_of(epoch.confidence)
    return [notes[kind, item] for kind in epoch.genotype.kinds for item in epoch.genotype.items(kind)]


def _relaxations(run: RunData) -> list[str]:
    """Returns all relaxations, the run's own first."""
    return sorted(RELAXATIONS, key=lambda name: name != run.derivation.relaxation)


def _figures(run: RunData, evolution: Evolution) -> dict[str, Figure]:
    """Returns the page's figures by name, without those that lack their data."""
    found: dict[str, Figure | None] = {
        "states": figures.states(run.columns),
        "skips": figures.curves(_skip_lines(run, evolution), "skip connections", whole=True),
        "loss": figures.curves(_halves(run, "loss"), "cross-entropy"),
        "accuracy": figures.curves(_halves(run, "accuracy"), "accuracy, %", percent=True),
        "zero_one": figures.curves(_line(run, "zero-one loss", "zero_one"), "zero-one loss"),
        "cost": figures.curves(
            _line(run, "expected of the alphas", "expected_cost") | _line(run, "of the genotype", "derived_cost"),
            COST_NAMES.get(run.settings.get("cost"), "cost"),
        ),
    }
    epochs = run.epochs.tolist()
    settings = run.derivation
    dominant_from = dominance_threshold(settings.relaxation, settings.threshold)
    for kind, weights in run.mixing_weights().items():
        found[f"trajectories_{kind}"] = figures.trajectories(epochs, weights, settings.space, kind, settings.threshold)
        found[f"dominant_{kind}"] = figures.dominant_operations(epochs, weights, settings.operations, dominant_from)
    for name in _relaxations(run):
        for kind, weights in run.mixing_weights(name).items():
            chosen = chosen_places(evolution.epochs[-1], kind, settings.space)
            found[f"heat_{name}_{kind}"] = figures.heat_map(weights[-1], settings.space, kind, chosen)
    return {name: figure for name, figure in found.items() if figure is not None}


def relaxation_names() -> dict[str, str]:
    """Returns what mixing weights are called, by their relaxation."""
    return {name: f"{name}(alpha)" for name in RELAXATIONS}


def chosen_places(epoch: Epoch, kind: str, space: SearchSpace) -> list[tuple[int, int]]:
    """Returns (row, column) in the table of alphas of each item of an epoch's genotype."""
    return [] if epoch.genotype is None else space.chosen(epoch.genotype, kind)


def _replay(run: RunData, evolution: Evolution, order: list[int | None]) -> dict[str, Any]:
    """Returns what the slider shows at each epoch."""
    space = run.derivation.space
    tables = {
        f"heat_{name}_{kind}": [figures.table(figures.existing(table, space, kind)) for table in weights]
        for name in RELAXATIONS
        for kind, weights in run.mixing_weights(name).items()
    }
    chosen = {kind: [chosen_places(epoch, kind, space) for epoch in evolution.epochs] for kind in space.kinds}
    return {
        "epochs": [epoch.number for epoch in evolution.epochs],
        "absences": [_no_drawing(epoch, space.noun) for epoch in evolution.epochs],
        "drawings": order,
        "notes": [_notes(epoch) for epoch in evolution.epochs],
        "tables": tables,
        "chosen": {f"heat_{name}_{kind}": chosen[kind] for name in RELAXATIONS for kind in space.kinds},
    }


def _skip_lines(run: RunData, evolution: Evolution) -> dict[str, tuple]:
    titles = run.derivation.space.titles
    if evolution.epochs:
        numbers = [epoch.number for epoch in evolution.epochs]
        return {title: (numbers, [epoch.skips(kind) for epoch in evolution.epochs]) for kind, title in titles.items()}
    return {name: line for kind, title in titles.items() for name, line in _line(run, title, f"{kind}_skips").items()}


def _halves(run: RunData, quantity: str) -> dict[str, tuple]:
    train = _line(run, "half that trains the weights", f"train_{quantity}")
    return train | _line(run, "half that trains the alphas", f"search_{quantity}")


def _line(run: RunData, name: str, column: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not {"epoch", column} <= set(run.columns):
        return {}
    return {name: (run.columns["epoch"], run.columns[column])}
