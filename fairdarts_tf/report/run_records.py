"""Reading what a search writes after every epoch, as far as it can be read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from fairdarts_tf.alphas import load_alphas, load_history
from fairdarts_tf.errors import FairDartsError, RunError
from fairdarts_tf.files import open_file
from fairdarts_tf.genotype_files import AnyGenotype, load_genotype
from fairdarts_tf.history import columns_for
from fairdarts_tf.spaces import SPACES, search_space

MAX_HISTORY_BYTES = 16 * 2**20

UNKNOWN_EPOCH = 0
"""Stands for the number of an epoch that is not known: a search numbers its epochs from 1."""

_NEVER_SHOWN = {
    "skipped_steps",
    "node_penalty",
    "dominant_eigenvalue",
    "cost_penalty",
    "expected_cost",
    "derived_cost",
}
"""Columns whose absence is no loss to a report: not shown, or only where the search had something to record."""

Value = TypeVar("Value")


def attempt(problems: list[str], read: Callable[[], Value], otherwise: Value) -> Value:
    """Returns what a function reads, or, where it fails, something else; ``problems`` takes the reason."""
    try:
        return read()
    except FairDartsError as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(f"{error.filename}: cannot be read ({error.strerror}). Copy it again, or mend its permissions.")
    return otherwise


def header_of(path: Path) -> list[str]:
    """Returns the names of a table's columns, none where it cannot be read."""
    try:
        with open_file(path) as file:
            return file.readline(10_000).decode("utf-8", errors="replace").strip().split(",")
    except OSError:
        return []


def read_columns(path: Path, problems: list[str]) -> dict[str, np.ndarray]:
    """Returns the columns of history.csv up to the first line that is broken, which is named."""
    try:
        with open_file(path) as file:
            content = file.read(MAX_HISTORY_BYTES)
    except FileNotFoundError:
        raise RunError("history.csv is missing: losses, accuracies and times are not known.") from None
    lines = content.decode("utf-8", errors="replace").splitlines(keepends=True)
    try:
        rows = list(csv.reader(line for line in lines if line.endswith("\n")))
    except csv.Error as error:
        raise RunError(f"{path} is no table of numbers ({error}). Copy it again.") from error
    header = rows[0] if rows else []
    if "epoch" not in header:
        raise RunError(f"{path} does not begin with the columns of a search's history. Copy it again.")
    numbers = []
    for row in rows[1:]:
        parsed = _numbers(row, len(header))
        # A search numbers its epochs from 1.
        if parsed is None or parsed[header.index("epoch")] != len(numbers) + 1:
            break
        numbers.append(parsed)
    if len(numbers) < len(lines) - 1:
        problems.append(f"{path} is truncated or broken after epoch {len(numbers)}: what follows is not shown.")
    table = np.array(numbers, np.float64).reshape(len(numbers), len(header))
    return {name: table[:, header.index(name)] for name in _columns_of(header) if name in header}


def name_absent(path: Path, columns: Mapping[str, np.ndarray], problems: list[str]) -> None:
    """Names the columns that the pictures need and a table that could be read lacks."""
    absent = [name for name in _columns_of(columns) if name not in {*columns, *_NEVER_SHOWN}]
    if columns and absent:
        problems.append(f"{path} lacks the columns {', '.join(absent)}: what they tell is not shown.")


def _columns_of(header: Iterable[str]) -> tuple[str, ...]:
    """Returns the columns that a history should have: of the search space that has the most of those that it has."""
    found = set(header)
    candidates = [columns_for(tuple(search_space(name).titles)) for name in SPACES]
    return max(candidates, key=lambda columns: len(found & set(columns)))


def _numbers(fields: list[str], count: int) -> list[float] | None:
    """Returns a line's numbers, NaN for an empty field, or None if it is no whole line of finite numbers."""
    try:
        numbers = [float(field or "nan") for field in fields]
    except ValueError:
        return None
    whole = len(fields) == count and np.isfinite(numbers[0]) and not np.isinf(numbers).any()
    return numbers if whole else None


def last_of(columns: Mapping[str, np.ndarray]) -> int:
    """Returns the last epoch of a history's columns."""
    recorded = columns.get("epoch", ())
    return int(recorded[-1]) if len(recorded) else UNKNOWN_EPOCH


def read_alphas(workdir: Path, last_epoch: int, problems: list[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns the alphas of all epochs and their numbers, or, where the history cannot be read, the last epoch's alone.

    Args:
        workdir: A search's directory.
        last_epoch: Its last epoch, if the rest of its files tells.
        problems: Takes what is missing or broken.
    """
    history = attempt(problems, lambda: load_history(workdir), None)
    last = attempt(problems, lambda: _last_alphas(workdir), None)
    if history is not None:
        epochs = history.pop("epoch")
        return history, epochs
    if last is None:
        return {}, np.empty(0, np.int64)
    problems.append("Only the last epoch's alphas are known: their way there is not shown.")
    if last_epoch == UNKNOWN_EPOCH:
        problems.append(
            "Which epoch's they are is not known, as history.csv is not whole, so neither is how many were done."
        )
    return {kind: table[np.newaxis] for kind, table in last.items()}, np.array([last_epoch])


def _last_alphas(workdir: Path) -> dict[str, np.ndarray]:
    if not (workdir / "alphas.npz").exists():
        raise RunError("alphas.npz is missing: nothing here needs it while history.npz can be read.")
    return load_alphas(workdir)


def compare_ends(columns: Mapping[str, np.ndarray], epochs: np.ndarray, problems: list[str]) -> None:
    """Names it where the numbers are older than the alphas."""
    # A search writes history.csv first: it may be ahead, never behind.
    recorded = columns.get("epoch", ())
    if len(recorded) and len(epochs) and recorded[-1] < epochs[-1]:
        problems.append(f"history.csv ends at epoch {recorded[-1]:.0f}, and the alphas at epoch {epochs[-1]}.")


def read_genotype(workdir: Path, problems: list[str]) -> AnyGenotype | None:
    """Returns what genotype.json holds, or None."""
    # A search writes none while too few operations reach the threshold: its absence alone is no problem.
    if not (workdir / "genotype.json").exists():
        return None
    return attempt(problems, lambda: load_genotype(workdir), None)
