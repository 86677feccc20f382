"""Reading what a search leaves, as far as it can be read: for the page, the comparison and the animation.

A run may still be going, may have been copied only in part, or may be broken: whatever cannot be read is named in
`RunData.problems`, and the rest is there.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from fairdarts_tf.early_stopping import Stop
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.files import readable
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.report.run_flags import DerivationSettings, derivation_settings, whole_number
from fairdarts_tf.report.run_records import (
    UNKNOWN_EPOCH,
    attempt,
    compare_ends,
    header_of,
    last_of,
    name_absent,
    read_alphas,
    read_columns,
    read_genotype,
)
from fairdarts_tf.report.run_state import Dates, State, dates_of, state_of
from fairdarts_tf.runs import Run, kind_of

RECORDS = ("history.csv", "history.npz", "alphas.npz", "genotype.json")
"""What a search writes after every epoch."""

_SEARCHES_WITHIN = ("trials/*/search/flags.txt", "runs/*/search/flags.txt")
"""Where the searches of a tuning and of a study are."""

_OF_A_TRAINING = ("model.json", "best.npz")


@dataclasses.dataclass(frozen=True)
class RunData:
    """One search, read from its directory.

    Args:
        workdir: The directory.
        settings: The flags as recorded, by name; empty if they cannot be read.
        derivation: How a genotype is derived, with the search's defaults for what is not recorded.
        columns: The columns of history.csv, float64 of shape (epochs,); what an epoch did not measure is NaN.
        alphas: By kind, float64 of shape (epochs, rows, operations); empty if they cannot be read.
        epochs: The number of each epoch that `alphas` holds, int64 of shape (epochs,); 0 for one that is not known.
        genotype: What genotype.json holds, or None.
        dates: Of its files.
        problems: What is missing or broken, one sentence or two for each.
        stop: How the search stopped early. Defaults to None: it did not.
    """

    workdir: Path
    settings: Mapping[str, str]
    derivation: DerivationSettings
    columns: Mapping[str, np.ndarray]
    alphas: Mapping[str, np.ndarray]
    epochs: np.ndarray
    genotype: AnyGenotype | None
    dates: Dates
    problems: tuple[str, ...]
    stop: Stop | None = None

    @property
    def name(self) -> str:
        """The directory's own name."""
        return readable(self.workdir.resolve().name or self.workdir)

    @property
    def epochs_done(self) -> int:
        """The last epoch recorded, 0 if none is."""
        recorded = [int(numbers[-1]) for numbers in (self.epochs, self.columns.get("epoch", ())) if len(numbers)]
        return max(recorded, default=0)

    def mixing_weights(self, name: str | None = None) -> dict[str, np.ndarray]:
        """Returns the relaxed alphas by kind, of shape (epochs, rows, operations).

        Args:
            name: A relaxation. Defaults to None: the run's own.
        """
        return self.derivation.relax(self.alphas, name)

    def state(self, now: float | None = None) -> State:
        """Returns how far the run is.

        Args:
            now: Seconds since 1970. Defaults to None: the clock.
        """
        planned = self.stop.after if self.stop else whole_number(self.settings.get("epochs", ""))
        seconds = self.columns.get("seconds", np.empty(0))
        now = time.time() if now is None else now
        return state_of(self.epochs_done, planned, seconds, self.dates, now, UNKNOWN_EPOCH not in self.epochs)


def read_run(workdir: str | os.PathLike[str]) -> RunData:
    """Reads a search's directory.

    Raises:
        RunError: When the directory holds nothing of a search, or a training, a tuning or a random search.
    """
    workdir = Path(workdir)
    _check_is_run(workdir)
    problems: list[str] = []
    settings = attempt(problems, lambda: _read_flags(workdir), {})
    _refuse_what_has_several_runs(workdir, settings)
    _refuse_training(workdir, settings)
    columns: dict[str, np.ndarray] = {}
    alphas, epochs, genotype = {}, np.empty(0, np.int64), None
    problems_before = len(problems)
    if any((workdir / name).exists() for name in RECORDS):
        columns = attempt(problems, lambda: read_columns(workdir / "history.csv", problems), {})
        last_epoch = UNKNOWN_EPOCH if len(problems) > problems_before else last_of(columns)
        name_absent(workdir / "history.csv", columns, problems)
        alphas, epochs = read_alphas(workdir, last_epoch, problems)
        genotype = read_genotype(workdir, problems)
        compare_ends(columns, epochs, problems)
    elif settings:
        problems.append("No epoch has been recorded yet, so there is nothing to draw.")
    stop = attempt(problems, lambda: Stop.load(workdir), None)
    derivation = derivation_settings(settings, {kind: table.shape[1:] for kind, table in alphas.items()}, problems)
    return RunData(
        workdir=workdir,
        settings=settings,
        derivation=derivation,
        columns=columns,
        alphas=alphas,
        epochs=epochs,
        genotype=genotype,
        dates=dates_of(workdir, RECORDS),
        problems=tuple(problems),
        stop=stop,
    )


def refuse_overwriting(output: str | os.PathLike[str], workdirs: Iterable[str | os.PathLike[str]]) -> None:
    """Checks that a picture or page of searches takes the place of none of their own files.

    Raises:
        ConfigurationError: When it would.
    """
    output = Path(output)
    for own in (Path(workdir, name) for workdir in workdirs for name in ("flags.txt", *RECORDS)):
        if _is_same(output, own) or (output.name == own.name and _is_same(output.parent, own.parent)):
            raise ConfigurationError(
                f"--output={output} is a file of the search itself, which would be lost. Name another."
            )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _check_is_run(workdir: Path) -> None:
    if not workdir.is_dir():
        what = "is a file" if workdir.exists() else "does not exist"
        raise RunError(f"--workdir={workdir} {what}. Name the directory of a search.")
    if not any((workdir / name).is_file() for name in ("flags.txt", *RECORDS)):
        raise RunError(
            f"--workdir={workdir} holds no run: none of flags.txt, {', '.join(RECORDS)} is a file there. "
            + (_search_within(workdir) or "Name the --workdir that a search was given.")
        )


def _refuse_what_has_several_runs(workdir: Path, settings: Mapping[str, str]) -> None:
    kind = kind_of(settings)
    if kind in ("tuning", "random search"):
        raise RunError(
            f"--workdir={workdir} holds a {kind}, and this shows a search. "
            + (_search_within(workdir) or "There is none in it: name the directory of one.")
        )


def _search_within(workdir: Path) -> str:
    """Returns which search of a tuning or a study to name, nothing where there is none."""
    found = sorted(place for pattern in _SEARCHES_WITHIN for place in workdir.glob(pattern))
    return f"Name one of its searches, as {readable(found[0].parent)}." if found else ""


def _refuse_training(workdir: Path, settings: Mapping[str, str]) -> None:
    is_training = "genotype" in settings and "relaxation" not in settings
    if not (workdir / "flags.txt").exists():
        is_training = any((workdir / name).exists() for name in _OF_A_TRAINING)
    if is_training or "validation_loss" in header_of(workdir / "history.csv"):
        raise RunError(
            f"--workdir={workdir} holds a training, and this shows searches. Name the directory of a search; a "
            f"training's curves are in its history.csv, and TensorBoard shows them: tensorboard --logdir={workdir}."
        )


def _read_flags(workdir: Path) -> dict[str, str]:
    settings = Run(workdir).settings()
    if not settings:
        raise RunError(
            "flags.txt is missing or empty: what ran is not known, and genotypes are derived with a search's defaults."
        )
    return settings
