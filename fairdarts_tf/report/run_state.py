"""How far a search is, as its files tell: nothing else says whether it still goes on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

_EVENT_FILE = re.compile(r"events\.out\.tfevents\.(\d{9,11})\.")
_SHORTEST_SILENCE, _SILENCE_BEFORE_FIRST_EPOCH = 60.0, 1800.0
_EPOCHS_OF_SILENCE = 3


@dataclasses.dataclass(frozen=True)
class Dates:
    """When a search's files were written, in seconds since 1970.

    Args:
        begun: When its first event file was begun, which the file's name tells; None without any.
        first: The date of its flags, which it writes before all others; None without them.
        last: The date of what it wrote last, 0 without any.
    """

    begun: float | None
    first: float | None
    last: float

    def can_be_of_a_search(self, seconds: float) -> bool:
        """Returns whether the dates leave room for epochs of so many seconds together; those of a copy may not."""
        return self.first is None or self.last - self.first >= 0.5 * seconds

    def started(self, seconds: float | None) -> float | None:
        """Returns when the search began, or None where no date that can be trusted tells.

        Args:
            seconds: Of its epochs together; None if they are not known, when no copy can be told from a search.
        """
        if self.begun is not None:
            return self.begun
        return self.first if seconds is not None and self.can_be_of_a_search(seconds) else None


@dataclasses.dataclass(frozen=True)
class State:
    """How far a run is.

    Args:
        name: ``"finished"``, ``"unfinished"``, or ``"unknown"`` where no flag says how long it was to be, or no file
            how far it came.
        epochs: Epochs done, as far as they are known.
        planned: Epochs that it was to have; None if its flags do not say.
        started: When it began, in seconds since 1970; None if not known.
        written: When it last wrote a file, in seconds since 1970; None where the dates are, or may be, those of a copy.
        copied: Whether the dates of its files are those of a copy.
        silence: Seconds since the newest of its files, copied or not.
        patience: Seconds without a new file that a search which goes on may need.
    """

    name: str
    epochs: int
    planned: int | None
    started: float | None
    written: float | None
    copied: bool
    silence: float
    patience: float

    @property
    def may_go_on(self) -> bool:
        """Whether another epoch may come: it is not finished, and has not been silent for the time of several."""
        return self.name != "finished" and self.silence <= self.patience


def state_of(
    epochs: int, planned: int | None, seconds: np.ndarray, dates: Dates, now: float, are_all: bool = True
) -> State:
    """Returns the state of a run.

    Args:
        epochs: Epochs done.
        planned: Epochs that it was to have, if that is known.
        seconds: The time of each epoch; NaN where it is not known.
        dates: Of its files.
        now: Seconds since 1970.
        are_all: Whether ``epochs`` are all that were done. Defaults to True; False if there may be more.
    """
    known = seconds[np.isfinite(seconds)]
    patience = _EPOCHS_OF_SILENCE * float(known.max()) if len(known) else _SILENCE_BEFORE_FIRST_EPOCH
    spent = float(known.sum()) if len(known) else None
    is_possible = spent is not None and dates.can_be_of_a_search(spent)
    return State(
        name=_name(epochs, planned, are_all),
        epochs=epochs,
        planned=planned,
        started=dates.started(spent),
        written=dates.last if is_possible else None,
        copied=spent is not None and not is_possible,
        silence=max(now - dates.last, 0.0),
        patience=max(patience, _SHORTEST_SILENCE),
    )


def _name(epochs: int, planned: int | None, are_all: bool) -> str:
    if planned is None:
        return "unknown"
    if epochs >= planned:
        return "finished"
    return "unfinished" if are_all else "unknown"


def dates_of(workdir: Path, records: Iterable[str]) -> Dates:
    """Returns the dates of a directory's files.

    Args:
        workdir: A search's directory.
        records: Names of the files that it writes after every epoch.
    """
    flags, events = _modified(workdir / "flags.txt"), _entries(workdir / "tensorboard")
    # The name of an event file holds its date, which survives copying.
    starts = [float(match[1]) for path in events if (match := _EVENT_FILE.match(path.name))]
    paths = [*(workdir / name for name in records), *_entries(workdir / "checkpoints"), *events]
    written = [flags, *map(_modified, paths)]
    return Dates(
        begun=min(starts, default=None),
        first=flags,
        last=max((date for date in written if date is not None), default=0.0),
    )


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
