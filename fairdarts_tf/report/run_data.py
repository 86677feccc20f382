"""Reading what a search leaves, as far as it can be read.

A run may still be going, may have been copied only in part, or may be broken: whatever cannot be read is named in
`RunData.problems`, and the rest is there.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from fairdarts_tf.alphas import load_alphas, load_history
from fairdarts_tf.derivation import METHODS
from fairdarts_tf.errors import FairDartsError, RunError, unknown_name
from fairdarts_tf.genotypes import DARTS_OPERATIONS, FAIRDARTS_OPERATIONS, Genotype
from fairdarts_tf.history import COLUMNS
from fairdarts_tf.relaxations import RELAXATIONS, relaxation
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings

RECORDS = ("history.csv", "history.npz", "alphas.npz", "genotype.json")
"""What a search writes after every epoch."""

MAX_HISTORY_BYTES = 16 * 2**20

_EVENT_FILE = re.compile(r"events\.out\.tfevents\.(\d{9,11})\.")
_SHORTEST_SILENCE, _SILENCE_BEFORE_FIRST_EPOCH = 60.0, 1800.0
"""Seconds without a new file after which a search counts as stopped."""
_EPOCHS_OF_SILENCE = 3

_DECISIVE = ("relaxation", "operations", "method", "threshold")

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class DerivationSettings:
    """What decides how a run's alphas become a genotype.

    Args:
        relaxation: A name of `fairdarts_tf.relaxations.RELAXATIONS`.
        operations: Names of the alphas' columns.
        method: A name of `fairdarts_tf.derivation.METHODS`.
        threshold: The least value that is kept.
    """

    relaxation: str
    operations: tuple[str, ...]
    method: str
    threshold: float


@dataclasses.dataclass(frozen=True)
class State:
    """How far a run is.

    Args:
        name: ``"finished"``, ``"going"``, ``"stopped"``, or ``"unknown"`` where no flag says how long it was to be.
        epochs: Epochs done.
        planned: Epochs that it was to have; None if its flags do not say.
        silence: Seconds since it last wrote a file.
    """

    name: str
    epochs: int
    planned: int | None
    silence: float


@dataclasses.dataclass(frozen=True)
class RunData:
    """One search, read from its directory.

    Args:
        workdir: The directory.
        settings: The flags as recorded, by name; empty if they cannot be read.
        derivation: How a genotype is derived, with the search's defaults for what is not recorded.
        columns: The columns of history.csv, float64 of shape (epochs,); what an epoch did not measure is NaN.
        alphas: By kind of cell, float64 of shape (epochs, edges, operations); empty if they cannot be read.
        epochs: The number of each epoch that `alphas` holds, int64 of shape (epochs,).
        genotype: What genotype.json holds, or None.
        started: When the search began, in seconds since 1970, or None.
        written: When it last wrote a file.
        problems: What is missing or broken, one sentence or two for each.
    """

    workdir: Path
    settings: Mapping[str, str]
    derivation: DerivationSettings
    columns: Mapping[str, np.ndarray]
    alphas: Mapping[str, np.ndarray]
    epochs: np.ndarray
    genotype: Genotype | None
    started: float | None
    written: float
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.workdir.resolve().name or str(self.workdir)

    @property
    def epochs_done(self) -> int:
        """The last epoch recorded, 0 if none is."""
        recorded = [int(numbers[-1]) for numbers in (self.epochs, self.columns.get("epoch", ())) if len(numbers)]
        return max(recorded, default=0)

    def mixing_weights(self, name: str | None = None) -> dict[str, np.ndarray]:
        """Returns the relaxed alphas by kind of cell, of shape (epochs, edges, operations).

        Args:
            name: A relaxation. Defaults to None: the run's own.
        """
        relax = relaxation(name or self.derivation.relaxation).of_array
        return {kind: relax(table) for kind, table in self.alphas.items()}

    def state(self, now: float | None = None) -> State:
        """Returns how far the run is.

        No file says that a search was stopped: it counts as stopped when nothing was written for the time of several
        epochs.

        Args:
            now: Seconds since 1970. Defaults to None: the clock.
        """
        planned = _whole_number(self.settings.get("epochs", ""))
        silence = max((time.time() if now is None else now) - self.written, 0.0)
        if planned is not None and self.epochs_done >= planned:
            return State("finished", self.epochs_done, planned, silence)
        if planned is None:
            return State("unknown", self.epochs_done, None, silence)
        seconds = self.columns.get("seconds", np.empty(0))
        known = seconds[np.isfinite(seconds)]
        patience = _EPOCHS_OF_SILENCE * float(known.max()) if len(known) else _SILENCE_BEFORE_FIRST_EPOCH
        name = "going" if silence <= max(patience, _SHORTEST_SILENCE) else "stopped"
        return State(name, self.epochs_done, planned, silence)


def read_run(workdir: str | os.PathLike[str]) -> RunData:
    """Reads a search's directory.

    Raises:
        RunError: When the directory holds nothing of a search.
    """
    workdir = Path(workdir)
    _check_is_run(workdir)
    problems: list[str] = []
    settings = _attempt(problems, lambda: _read_flags(workdir), {})
    columns: dict[str, np.ndarray] = {}
    alphas, epochs, genotype = {}, np.empty(0, np.int64), None
    if any((workdir / name).exists() for name in RECORDS):
        columns = _attempt(problems, lambda: _read_columns(workdir / "history.csv", problems), {})
        alphas, epochs = _read_alphas(workdir, columns, problems)
        genotype = _read_genotype(workdir, problems)
        _compare_ends(columns, epochs, problems)
        if not (workdir / "alphas.npz").is_file():
            problems.append("alphas.npz is missing: nothing here needs it while history.npz can be read.")
    elif settings:
        problems.append("No epoch has been recorded yet, so there is nothing to draw.")
    derivation = _derivation_settings(settings, alphas, problems)
    return RunData(
        workdir=workdir,
        settings=settings,
        derivation=derivation,
        columns=columns,
        alphas=alphas,
        epochs=epochs,
        genotype=genotype,
        started=_started(workdir),
        written=_written(workdir),
        problems=tuple(problems),
    )


def _check_is_run(workdir: Path) -> None:
    if not workdir.is_dir():
        what = "is a file" if workdir.exists() else "does not exist"
        raise RunError(f"--workdir={workdir} {what}. Name the directory of a search.")
    if not any((workdir / name).is_file() for name in ("flags.txt", *RECORDS)):
        raise RunError(
            f"--workdir={workdir} holds no run: none of flags.txt, {', '.join(RECORDS)} is there. Name the --workdir "
            "that a search was given."
        )


def _attempt(problems: list[str], read: Callable[[], Value], otherwise: Value) -> Value:
    try:
        return read()
    except FairDartsError as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(f"{error.filename}: cannot be read ({error.strerror}). Check its permissions.")
    return otherwise


def _read_flags(workdir: Path) -> dict[str, str]:
    settings = Run(workdir).settings()
    if not settings:
        raise RunError(
            "flags.txt is missing or empty: what ran is not known, and genotypes are derived with a search's defaults."
        )
    return settings


def _read_columns(path: Path, problems: list[str]) -> dict[str, np.ndarray]:
    """Returns the columns of history.csv up to the first line that is broken, which is named."""
    if not path.is_file():
        raise RunError("history.csv is missing: losses, accuracies and times are not known.")
    with open(path, "rb") as file:
        lines = file.read(MAX_HISTORY_BYTES).decode("utf-8", errors="replace").splitlines(keepends=True)
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
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        problems.append(f"{path} lacks the columns {', '.join(absent)}: what they tell is not shown.")
    table = np.array(numbers, np.float64).reshape(len(numbers), len(header))
    return {name: table[:, header.index(name)] for name in COLUMNS if name in header}


def _numbers(fields: list[str], count: int) -> list[float] | None:
    """Returns a line's numbers, NaN for an empty field, or None if it is no whole line of finite numbers."""
    try:
        numbers = [float(field or "nan") for field in fields]
    except ValueError:
        return None
    whole = len(fields) == count and np.isfinite(numbers[0]) and not np.isinf(numbers).any()
    return numbers if whole else None


def _read_alphas(
    workdir: Path, columns: Mapping[str, np.ndarray], problems: list[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns the alphas of all epochs, or, where the history cannot be read, those of the last epoch alone."""
    history = _attempt(problems, lambda: load_history(workdir), None)
    if history is not None:
        epochs = history.pop("epoch")
        return history, epochs
    last = _attempt(problems, lambda: load_alphas(workdir), None)
    if last is None:
        return {}, np.empty(0, np.int64)
    problems.append("Only the last epoch's alphas are known: their way there is not shown.")
    recorded = columns.get("epoch", ())
    epoch = int(recorded[-1]) if len(recorded) else 1
    return {kind: table[np.newaxis] for kind, table in last.items()}, np.array([epoch])


def _compare_ends(columns: Mapping[str, np.ndarray], epochs: np.ndarray, problems: list[str]) -> None:
    # A search writes history.csv first: it may be ahead, never behind.
    recorded = columns.get("epoch", ())
    if len(recorded) and len(epochs) and recorded[-1] < epochs[-1]:
        problems.append(f"history.csv ends at epoch {recorded[-1]:.0f}, and the alphas at epoch {epochs[-1]}.")


def _read_genotype(workdir: Path, problems: list[str]) -> Genotype | None:
    # A search writes none while too few operations reach the threshold: its absence alone is no problem.
    if not (workdir / "genotype.json").exists():
        return None
    return _attempt(problems, lambda: Genotype.load(workdir), None)


def _derivation_settings(
    settings: Mapping[str, str], alphas: Mapping[str, np.ndarray], problems: list[str]
) -> DerivationSettings:
    default = SearchSettings()
    lacking = [name for name in ("epochs", *_DECISIVE) if name not in settings]
    if settings and lacking:
        problems.append(
            f"flags.txt is cut short: it lacks --{', --'.join(lacking)}. A search's defaults stand for them."
        )
    count = next((table.shape[-1] for table in alphas.values()), None)
    return DerivationSettings(
        relaxation=_one_of("relaxation", settings, RELAXATIONS, default.relaxation, problems),
        operations=_operations(settings.get("operations"), count, problems),
        method=_one_of("method", settings, METHODS, default.method, problems),
        threshold=_threshold(settings.get("threshold"), default.threshold, problems),
    )


def _one_of(
    name: str, settings: Mapping[str, str], known: Mapping[str, object], default: str, problems: list[str]
) -> str:
    value = settings.get(name, default)
    if value in known:
        return value
    problems.append(f"flags.txt: --{name}: {unknown_name('value', value, known)} Taken instead: {default}.")
    return default


def _threshold(text: str | None, default: float, problems: list[str]) -> float:
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if 0 <= value <= 1:
        return value
    problems.append(f"flags.txt: --threshold={text} is no number from 0 to 1. Taken instead: {default:g}.")
    return default


def _operations(listed: str | None, count: int | None, problems: list[str]) -> tuple[str, ...]:
    """Returns one name for each column, invented where the recorded ones do not fit."""
    names = tuple(name.strip() for name in listed.split(",")) if listed else ()
    known = {len(operations): operations for operations in (FAIRDARTS_OPERATIONS, DARTS_OPERATIONS)}
    if count is None:
        return names or FAIRDARTS_OPERATIONS
    if len(names) == count:
        return names
    if names:
        problems.append(f"flags.txt names {len(names)} operations, and the alphas have {count} columns.")
    elif count in known:
        return known[count]
    return tuple(f"operation {column}" for column in range(1, count + 1))


def _started(workdir: Path) -> float | None:
    """Returns the start as an event file's name has it, which survives copying, else as flags.txt's date."""
    names = [path.name for path in _entries(workdir / "tensorboard")]
    starts = [float(match[1]) for name in names if (match := _EVENT_FILE.match(name))]
    return min(starts, default=None) or _modified(workdir / "flags.txt")


def _written(workdir: Path) -> float:
    own = [workdir / name for name in ("flags.txt", *RECORDS)]
    paths = [*own, *_entries(workdir / "checkpoints"), *_entries(workdir / "tensorboard")]
    return max((modified for path in paths if (modified := _modified(path)) is not None), default=0.0)


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _whole_number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None
