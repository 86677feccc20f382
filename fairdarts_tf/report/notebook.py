"""What a notebook shows of genotypes, alphas and searches: HTML that needs no script and nothing from a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import escape

from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import History
from fairdarts_tf.report import cells_svg
from fairdarts_tf.report.curves_svg import curves_svg
from fairdarts_tf.report.drawing import Notes, natural_size, notes_of
from fairdarts_tf.report.graphviz_layout import LayoutError
from fairdarts_tf.report.heat_map_svg import heat_map_svg

if TYPE_CHECKING:
    from fairdarts_tf.derivation import Confidence
    from fairdarts_tf.search_result import Alphas
    from fairdarts_tf.settings import SearchSettings
    from fairdarts_tf.spaces import SearchSpace

_PIXELS_PER_INCH = 96
_CURVES = {
    "accuracy": {"train_accuracy": "training half", "search_accuracy": "search half"},
    "cross-entropy": {"train_loss": "training half", "search_loss": "search half"},
}


def genotype_html(genotype: AnyGenotype, notes: Notes | None = None, space: SearchSpace | None = None) -> str:
    """Returns a genotype as a drawing at its natural size; arguments as for `fairdarts_tf.report.cells_svg.svg`.

    Where Graphviz cannot be used it is the genotype as text.
    """
    try:
        width, _ = natural_size(genotype, notes, space)
        drawing = cells_svg.svg(genotype, notes, space)
    except LayoutError as error:
        return f"<p>{escape(error)}</p><pre>{escape(genotype.to_json())}</pre>"
    return f'<div style="max-width:{width * _PIXELS_PER_INCH:.0f}px">{drawing}</div>'


def heat_maps_html(weights: Mapping[str, np.ndarray], space: SearchSpace, genotype: AnyGenotype | None = None) -> str:
    """Returns mixing weights as heat maps side by side.

    Args:
        weights: By kind, (rows, operations).
        space: The search space.
        genotype: Whose choices are framed. Defaults to None: none.
    """
    maps = []
    for kind, title in space.titles.items():
        in_play = space.in_play.get(kind)
        table = weights[kind] if in_play is None else np.where(in_play, weights[kind], np.nan)
        chosen = space.chosen(genotype, kind) if genotype else ()
        maps.append(heat_map_svg(title, table, space.row_names(kind), space.operations, chosen))
    return _row(maps)


def search_html(
    history: History,
    settings: SearchSettings,
    alphas: Alphas,
    genotype: AnyGenotype | None = None,
    confidence: Iterable[Confidence] = (),
    why_none: str = "",
) -> str:
    """Returns what a search stands at: a line of words, its curves, its cells and its heat maps.

    Args:
        history: Of its epochs, at least one.
        settings: The search's.
        alphas: Those that count.
        genotype: What is derived. Defaults to None: nothing.
        confidence: Of its items. Defaults to nothing.
        why_none: Why nothing is. Defaults to nothing said.
    """
    row, space = history.rows[-1], alphas.settings.space
    measured = row.get("search_accuracy") is not None
    words = f", accuracy on the search half {row['search_accuracy']:.1%}" if measured else ""
    cells = genotype_html(genotype, notes_of(confidence), space) if genotype else f"<p>{escape(why_none)}</p>"
    maps = heat_maps_html(alphas.mixing_weights(), space, genotype)
    return f"<div><p>epoch {row['epoch']} of {settings.epochs}{words}</p>{_curves(history)}{cells}{maps}</div>"


def _curves(history: History) -> str:
    epochs = [int(row["epoch"]) for row in history.rows]
    figures = []
    for title, columns in _CURVES.items():
        lines = {
            name: [np.nan if row.get(column) is None else float(row[column]) for row in history.rows]
            for column, name in columns.items()
        }
        figures.append(curves_svg(title, epochs, lines))
    return _row(figures)


def _row(pictures: list[str]) -> str:
    return f'<div style="display:flex;flex-wrap:wrap;gap:1.5em">{"".join(pictures)}</div>'
