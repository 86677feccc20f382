"""What a training records after each epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from fairdarts_tf.history import Row, pack_rows, read_epochs, rows_as_csv

COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "drop_path",
    "skipped_steps",
    "seconds",
    "images_per_second",
)
"""Columns of a training's history.csv.

``epoch`` counts from 1. The training loss is the main classifier's, with smoothed labels, averaged over the epoch in
training mode; the validation loss is the plain cross-entropy of the held-back images after the epoch. ``skipped_steps``
counts, over the run, steps whose gradient overflowed in float16. ``seconds`` are those of the training alone.
"""


@dataclasses.dataclass
class TrainHistory:
    """Rows of all epochs so far."""

    rows: list[Row] = dataclasses.field(default_factory=list)

    def append(self, row: Row) -> None:
        """Records an epoch; what it did not measure is None."""
        self.rows.append({column: row.get(column) for column in COLUMNS})

    def csv(self) -> str:
        """Returns the rows as CSV with a header; what an epoch did not measure is empty."""
        return rows_as_csv(COLUMNS, self.rows)

    def best_epoch(self) -> int | None:
        """Returns the epoch of the highest validation accuracy, the first of equals; None where none was validated."""
        measured = [row for row in self.rows if row["validation_accuracy"] is not None]
        if not measured:
            return None
        return int(max(measured, key=lambda row: (row["validation_accuracy"], -row["epoch"]))["epoch"])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns all of it as arrays that `from_arrays` reads."""
        return {"rows": pack_rows(self.rows)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TrainHistory:
        """Reads what `to_arrays` returned.

        Raises:
            KeyError: When an array is missing.
            ValueError: When they are something else.
        """
        return cls(read_epochs(arrays["rows"], COLUMNS))
