"""What TensorBoard shows of a search: numbers, histograms and pictures by epoch."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from fairdarts_tf.event_files import readable_errors, write_row
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import History, Row
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fairdarts_tf.search_recorder import SearchRecorder

MOST_SECONDS = 0.1
"""Pictures that take no longer than this are drawn after every epoch."""

MOST_SHARE = 0.03
"""Slower ones are drawn as often as this share of the search's seconds allows, and after the last epoch."""

_DPI = 100


class TensorBoardLog:
    """Writes each epoch's numbers, histograms of the mixing weights and pictures to event files.

    The pictures are the cells, with each operation's mixing weight and smallest margin; heat maps of the alphas,
    sigmoid beside softmax; and, by epoch so far, losses, accuracies, mixing weights, dominant operations and skips.

    Where Graphviz cannot be used, the cells are left out and a warning says so, once.

    Args:
        run: Whose ``tensorboard`` directory is written.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pace = _Pace()
        self._warned = False

    @functools.cached_property
    def _writer(self) -> tf.summary.SummaryWriter:
        """Made with the first epoch, as making it leaves a file."""
        return tf.summary.create_file_writer(str(self._run.tensorboard))

    def __call__(self, row: Row, recorder: SearchRecorder) -> None:
        """Writes one epoch.

        Raises:
            RunError: When the files cannot be written.
        """
        with readable_errors(self._run):
            self._write(row, recorder)

    def close(self) -> None:
        """Closes the file, if there is one; each epoch is in it already."""
        if "_writer" in self.__dict__:
            with contextlib.suppress(tf.errors.OpError):
                self._writer.close()

    def _write(self, row: Row, recorder: SearchRecorder) -> None:
        epoch, settings = int(row["epoch"]), recorder.settings
        mixing_weights = recorder.model.mixing_weights()
        with self._writer.as_default(step=epoch):
            write_row(row)
            for kind, table in mixing_weights.items():
                tf.summary.histogram(f"mixing_weights/{kind}", table)
            if self._pace.is_due(float(row["seconds"])) or epoch == settings.epochs:
                began = time.perf_counter()
                _write_pictures(settings, recorder.history)
                decisive = settings.derivation.weights_after(recorder.history.tables())
                self._write_cells(settings, decisive, recorder.genotype)
                self._pace.spent(time.perf_counter() - began)
        self._writer.flush()

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
            _write_picture("cells", cells.draw_genotype(genotype, notes, decisive.space))
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

    _write_picture("heat_maps", heat_map.draw_relaxations(history.alphas[-1], settings.derivation))
    columns = curves.columns_of(history.rows)
    _write_picture("curves", curves.draw_curves(columns, history.arrays(), settings.derivation))


def _write_picture(name: str, figure: Figure) -> None:
    from fairdarts_tf.report.animation import pixels

    # Each epoch's picture may have a size of its own: TensorBoard keeps the size with every step.
    tf.summary.image(name, pixels(figure, _DPI)[np.newaxis])
