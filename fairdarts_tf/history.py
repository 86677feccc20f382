"""What a search records after each epoch: a row of numbers, and the alphas."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf.genotypes import CELL_KINDS

if TYPE_CHECKING:
    from fairdarts_tf.genotype_files import AnyGenotype


def columns_for(kinds: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns of history.csv of a search whose tables of alphas are of these kinds."""
    return (
        "epoch",
        "train_loss",
        "train_accuracy",
        "search_loss",
        "search_accuracy",
        "zero_one",
        "learning_rate",
        "seconds",
        "images_per_second",
        "operations_on",
        "operations_off",
        "operations_undecided",
        *(f"{kind}_above_threshold" for kind in kinds),
        *(f"{kind}_skips" for kind in kinds),
        "skipped_steps",
        "node_penalty",
        "dominant_eigenvalue",
        "cost_penalty",
        "expected_cost",
        "derived_cost",
    )


COLUMNS = columns_for(CELL_KINDS)
"""Columns of history.csv of a search in S1.

``epoch`` counts from 1. Losses and accuracies are means over the epoch, on each half, in training mode. An operation is
on if its mixing weight reaches the threshold, off if it is at most one minus the threshold. Skips are those of the
genotype that the run's method derives after the epoch; a cell that would be empty has none. ``skipped_steps`` counts,
over the run, updates whose gradient overflowed in float16. ``node_penalty`` is the mean of that penalty without its
weight, ``dominant_eigenvalue`` the largest of the Hessian of the search loss in the alphas; both are empty where off.
``cost_penalty`` is the mean of that penalty without its weight; ``expected_cost`` and ``derived_cost`` are what the
network costs that the alphas let expect after the epoch, and that of the genotype so far: multiply-adds, parameters or
milliseconds, as ``--cost`` says. They are empty without it.
"""

Row = dict[str, float | int | str | None]


@dataclasses.dataclass
class History:
    """Rows and alphas of all epochs so far."""

    rows: list[Row] = dataclasses.field(default_factory=list)
    alphas: list[dict[str, np.ndarray]] = dataclasses.field(default_factory=list)

    def append(self, row: Row, alphas: Mapping[str, np.ndarray]) -> None:
        """Records an epoch: its row, and its alphas by kind, (rows, operations)."""
        self.rows.append({column: row.get(column) for column in columns_for(tuple(alphas))})
        self.alphas.append({kind: np.asarray(table, np.float32) for kind, table in alphas.items()})

    def csv(self) -> str:
        """Returns the rows as CSV with a header; what an epoch did not measure is empty."""
        return rows_as_csv(columns_for(tuple(self.alphas[0])) if self.alphas else COLUMNS, self.rows)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns ``epoch`` (epochs,) and, by kind of cell, the raw alphas (epochs, edges, operations), float32."""
        return self.tables() | {"epoch": np.arange(1, len(self.rows) + 1, dtype=np.int64)}

    def tables(self) -> dict[str, np.ndarray]:
        """Returns the raw alphas by kind of cell, (epochs, edges, operations), float32; empty without epochs."""
        kinds = self.alphas[0] if self.alphas else ()
        return {kind: np.stack([alphas[kind] for alphas in self.alphas]) for kind in kinds}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns all of it as arrays that `from_arrays` reads."""
        return self.arrays() | {"rows": pack_rows(self.rows)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> History:
        """Reads what `to_arrays` returned.

        Raises:
            KeyError: When an array is missing.
            ValueError: When they are something else.
        """
        kinds = [name for name in arrays if name not in ("rows", "epoch")]
        rows = read_epochs(arrays["rows"], columns_for(kinds) if kinds else COLUMNS)
        if any(arrays[kind].ndim != 3 or len(arrays[kind]) != len(rows) for kind in kinds):
            raise ValueError(f"no alphas of {len(rows)} epochs")
        alphas = [{kind: arrays[kind][epoch] for kind in kinds} for epoch in range(len(rows))]
        return cls(rows, alphas)


def pack_rows(rows: Sequence[Row]) -> np.ndarray:
    """Returns rows as an array of bytes that `read_rows` reads."""
    return np.frombuffer(json.dumps(rows).encode(), np.uint8)


def read_rows(content: np.ndarray, columns: Sequence[str], words: Sequence[str] = ()) -> list[Row]:
    """Reads what `pack_rows` returned; a column that was not there yet is None.

    Args:
        content: Bytes.
        columns: Names of the columns.
        words: Columns that hold no numbers. Defaults to none.

    Raises:
        ValueError: When it is something else than such rows.
    """
    try:
        # As `bytes` of an array that is one number, there would be as many.
        rows = json.loads(content.tobytes().decode())
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no rows")
    for row in rows:
        for column, value in row.items():
            if value is not None and not isinstance(value, str if column in words else int | float):
                raise ValueError(f"{column!r:.50} is {value!r:.50}")
    return [{column: row.get(column) for column in columns} for row in rows]


def read_epochs(content: np.ndarray, columns: Sequence[str]) -> list[Row]:
    """Reads the rows of a history, one for each epoch.

    Raises:
        ValueError: As `read_rows` does, and when epochs are not counted from 1.
    """
    rows = read_rows(content, columns)
    if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
        raise ValueError("rows whose epochs do not count from 1")
    return rows


def count_operations(
    mixing_weights: Mapping[str, np.ndarray],
    in_play: Mapping[str, np.ndarray],
    threshold: float,
    genotype: AnyGenotype | None,
) -> Row:
    """Counts what the columns of a row say of the alphas.

    Args:
        mixing_weights: By kind, (rows, operations).
        in_play: Which entries exist, as `SearchSpace.in_play` says; the others are not counted.
        threshold: The least mixing weight of an operation that is on.
        genotype: What is derived at this epoch, or None if nothing can be.
    """
    existing = {
        kind: table[in_play[kind]] if kind in in_play else np.ravel(table) for kind, table in mixing_weights.items()
    }
    flat = np.concatenate(list(existing.values()))
    on = int(np.sum(flat >= threshold))
    off = int(np.sum((flat <= 1 - threshold) & (flat < threshold)))
    counts: Row = {"operations_on": on, "operations_off": off, "operations_undecided": flat.size - on - off}
    for kind, table in existing.items():
        counts[f"{kind}_above_threshold"] = int(np.sum(table >= threshold))
        counts[f"{kind}_skips"] = genotype.skips(kind) if genotype else 0
    return counts


def rows_as_csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Returns rows as CSV with a header; None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{column: _format(value) for column, value in row.items()} for row in rows])
    return text.getvalue()


def _format(value: float | int | str | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int | str) else f"{value:.9g}"
