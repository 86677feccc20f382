"""What TensorBoard shows of a search: numbers, histograms and pictures by epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from fairdarts_tf.event_files import EventLog, by_part
from fairdarts_tf.event_pictures import write_picture
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import History, Row
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings

if TYPE_CHECKING:
    from fairdarts_tf.search_recorder import SearchRecorder

MOST_SECONDS = 0.1
"""Pictures that take no longer than this are drawn after every epoch."""

MOST_SHARE = 0.03
"""Slower ones are drawn as often as this share of the search's seconds allows, and after the last epoch."""


class TensorBoardLog(EventLog):
    """Writes each epoch's numbers, histograms of mixing weights and of weights, and pictures to event files.

    The pictures are the cells, with each operation's mixing weight and smallest margin; heat maps of the alphas,
    sigmoid beside softmax; and, by epoch so far, losses, accuracies, mixing weights, dominant operations and skips.

    Where Graphviz cannot be used, the cells are left out and a warning says so, once.

    Args:
        run: Whose ``tensorboard`` directory is written.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._pace = _Pace()
        self._warned = False

    def write_epoch(self, row: Row, recorder: SearchRecorder, is_last: bool) -> None:
        """Writes histograms of the mixing weights and, where they are due, pictures."""
        settings = recorder.settings
        for kind, table in recorder.model.mixing_weights().items():
            tf.summary.histogram(f"mixing_weights/{kind}", table)
        if self._pace.is_due(float(row["seconds"])) or is_last:
            began = time.perf_counter()
            _write_pictures(settings, recorder.history)
            decisive = settings.derivation.weights_after(recorder.history.tables())
            self._write_cells(settings, decisive, recorder.genotype)
            self._pace.spent(time.perf_counter() - began)

    def weights(self, recorder: SearchRecorder) -> Mapping[str, np.ndarray]:
        """Returns the weights of the supernet, without alphas, by its parts: stem, cells or layers, classifier."""
        supernet = recorder.model.supernet
        return by_part(supernet.network_weights, supernet.name)

    def is_last(self, row: Row, recorder: SearchRecorder) -> bool:
        """Returns whether the search is complete with an epoch, be it that it stopped early."""
        return recorder.stop is not None or super().is_last(row, recorder)

    def final_row(self, recorder: SearchRecorder) -> Row:
        """Returns the row of the epoch whose alphas the genotype is derived from."""
        return recorder.history.rows[(recorder.stop.counts if recorder.stop else 0) - 1]

    def _write_cells(
        self, settings: SearchSettings, mixing_weights: Mapping[str, np.ndarray], genotype: AnyGenotype | None
    ) -> None:
        from fairdarts_tf.report import cells, drawing
        from fairdarts_tf.report.graphviz_layout import LayoutError

        if genotype is None or self._warned:
            return
        decisive = settings.derivation
        notes = drawing.notes_of(decisive.confidence(mixing_weights))
        try:
            write_picture("cells", cells.draw_genotype(genotype, notes, decisive.space))
        except LayoutError as error:
            # A search is worth more than its pictures.
            print(f"warning: {error}", file=sys.stderr)
            self._warned = True


class _Pace:
    """Decides how often to draw, by what the last drawing cost."""

    def __init__(self) -> None:
        self._epochs_seconds = 0.0
        self._spent: list[float] = []

    def is_due(self, epoch_seconds: float) -> bool:
        self._epochs_seconds += epoch_seconds
        # The first drawing also loads what draws, so it says little of those that follow.
        if len(self._spent) < 2 or self._spent[-1] <= MOST_SECONDS:
            return True
        return sum(self._spent) + self._spent[-1] <= MOST_SHARE * self._epochs_seconds

    def spent(self, seconds: float) -> None:
        self._spent.append(seconds)


def _write_pictures(settings: SearchSettings, history: History) -> None:
    from fairdarts_tf.report import curves, heat_map

    write_picture("heat_maps", heat_map.draw_relaxations(history.alphas[-1], settings.derivation))
    columns = curves.columns_of(history.rows)
    write_picture("curves", curves.draw_curves(columns, history.arrays(), settings.derivation))
