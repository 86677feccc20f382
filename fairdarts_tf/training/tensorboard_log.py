"""What TensorBoard shows of a training: numbers and histograms by epoch, its cells, its confusion matrix."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf.event_files import EventLog, by_part
from fairdarts_tf.event_pictures import write_picture
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import Row
from fairdarts_tf.runs import Run

if TYPE_CHECKING:
    from fairdarts_tf.training.recorder import TrainRecorder


class TensorBoardLog(EventLog):
    """Writes each epoch's numbers and histograms of the weights to event files.

    With the first epoch come the cells, with the last the confusion matrix of the held-back images after it.

    Args:
        run: Whose ``tensorboard`` directory is written.
        genotype: The network's.
        class_names: By label.
    """

    def __init__(self, run: Run, genotype: AnyGenotype, class_names: Sequence[str]) -> None:
        super().__init__(run)
        self._genotype = genotype
        self._class_names = class_names

    def write_epoch(self, row: Row, recorder: TrainRecorder, is_last: bool) -> None:
        """Writes the pictures of the first and of the last epoch."""
        if row["epoch"] == 1:
            _write_cells(self._genotype)
        if is_last and recorder.confusion is not None:
            from fairdarts_tf.report.confusion import draw_confusion

            write_picture("confusion/held_back", draw_confusion(recorder.confusion, self._class_names))

    def weights(self, recorder: TrainRecorder) -> Mapping[str, np.ndarray]:
        """Returns the weights of the network by its parts: stem, cells or layers, auxiliary head, classifier."""
        network = recorder.model.network
        return by_part(network.trainable_variables, network.name)

    def final_row(self, recorder: TrainRecorder) -> Row:
        """Returns the row of the best epoch, or of the last where none was validated."""
        return recorder.history.rows[(recorder.history.best_epoch() or 0) - 1]


def _write_cells(genotype: AnyGenotype) -> None:
    from fairdarts_tf.report import cells
    from fairdarts_tf.report.graphviz_layout import LayoutError

    try:
        write_picture("cells", cells.draw_genotype(genotype))
    except LayoutError as error:
        # A training is worth more than its pictures.
        print(f"warning: {error}", file=sys.stderr)
