"""What a tuning came to so far: a table of its trials, and the flags and the genotype of the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from fairdarts_tf.files import write_text_atomically
from fairdarts_tf.genotype_files import AnyGenotype, load_genotype
from fairdarts_tf.history import Row, rows_as_csv
from fairdarts_tf.tuning.hypermodel import RunHyperModel
from fairdarts_tf.tuning.oracles import KeptOracle
from fairdarts_tf.tuning.outcome import METRICS, OBJECTIVE
from fairdarts_tf.tuning.places import BEST_FLAGS, BEST_RUN, TABLE, Places

_STATUS = {TrialStatus.COMPLETED: "completed", TrialStatus.FAILED: "failed", TrialStatus.INVALID: "failed"}
_HEAD = ("rank", "trial", "status", OBJECTIVE, *METRICS, "epochs")
_END = ("failure",)
_WIDEST = 60
"""Characters of a column of the table for people; trials.csv has all."""


@dataclasses.dataclass(frozen=True)
class Trials:
    """The trials of a tuning.

    Args:
        oracle: Whose trials.
        hypermodel: What they are of.
        workdir: The tuning's directory.
    """

    oracle: KeptOracle
    hypermodel: RunHyperModel
    workdir: Path

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table; what a trial does not have is empty."""
        return (*_HEAD, *self.hypermodel.columns, *_END)

    def rows(self) -> list[Row]:
        """Returns a row for each trial, the best first; trials of fewer epochs and failed ones come last."""
        rows = [self._row(trial) for trial in self.oracle.trials.values()]
        completed = [row for row in rows if row["status"] == "completed"]
        completed.sort(key=lambda row: (-row["epochs"], -row[OBJECTIVE], row["trial"]))
        others = [row for row in rows if row["status"] != "completed"]
        ranked = [row | {"rank": rank} for rank, row in enumerate(completed, start=1)]
        return [*ranked, *sorted(others, key=lambda row: row["trial"])]

    def best(self) -> Trial | None:
        """Returns the trial that is first in the table, or None while none is completed."""
        first = next((row for row in self.rows() if row["rank"] == 1), None)
        return None if first is None else self.oracle.get_trial(str(first["trial"]))

    def genotype(self) -> AnyGenotype | None:
        """Returns the genotype of the best trial, or None where there is none or it was given."""
        best = self.best()
        file = None if best is None else self.hypermodel.genotype_of(*self._place(best))
        return None if file is None else load_genotype(file)

    def csv(self) -> str:
        """Returns the table as CSV."""
        return rows_as_csv(self.columns, self.rows())

    def document(self) -> dict[str, Any]:
        """Returns table and best trial as JSON has them."""
        best = self.best()
        return {
            "workdir": str(self.workdir),
            "best": None if best is None else best.trial_id,
            "flagfile": None if best is None else str(self.workdir / BEST_FLAGS),
            "trials": self.rows(),
        }

    def text(self) -> str:
        """Returns the table for people, and what to do with the best."""
        best = self.best()
        rest = "no trial is completed."
        if best is not None:
            rest = f"best: trial {best.trial_id}; bin/{self.hypermodel.command} --flagfile={self.workdir / BEST_FLAGS}"
        shown = [name for name in self.columns if any(row[name] is not None for row in self.rows())]
        return f"{_table(shown, self.rows())}\n{rest}"

    def write(self) -> None:
        """Writes trials.csv and, as soon as one trial is completed, best.flags and its genotype.

        Raises:
            OSError: When they cannot be written.
        """
        write_text_atomically(self.workdir / TABLE, self.csv())
        best = self.best()
        if best is None:
            return
        genotype = self.genotype()
        if genotype is not None:
            genotype.save(self.workdir / "genotype.json")
        write_text_atomically(self.workdir / BEST_FLAGS, self._best_flags(best))

    def _row(self, trial: Trial) -> Row:
        metrics = {name: trial.metrics.get_last_value(name) for name in trial.metrics.metrics}
        _, epochs = self._place(trial)
        chosen = self.hypermodel.chosen(trial.hyperparameters)
        failure = Places(self.workdir).failure(trial.trial_id)
        return {
            "rank": None,
            "trial": trial.trial_id,
            "status": _STATUS.get(trial.status, "running"),
            OBJECTIVE: trial.score,
            **{name: metrics.get(name) for name in METRICS},
            "epochs": epochs,
            **{name: chosen[name] for name in self.hypermodel.columns},
            "failure": failure.read_text(encoding="utf-8").strip() if failure.is_file() else None,
        }

    def _place(self, trial: Trial) -> tuple[Path, int]:
        places = Places(self.workdir)
        return places.of(trial, self.oracle.get_trial), places.epochs_of(trial, self.hypermodel.epochs)

    def _best_flags(self, best: Trial) -> str:
        flags = self.hypermodel.best_settings(best.hyperparameters, *self._place(best))
        lines = [f"--{name}={value}" for name, value in ({"workdir": str(self.workdir / BEST_RUN)} | flags).items()]
        head = (
            f"# The best of {len(self.oracle.trials)} trials: trial {best.trial_id}, objective {best.score:.6g}.\n"
            f"# bin/{self.hypermodel.command} --flagfile={self.workdir / BEST_FLAGS}\n"
        )
        return head + "\n".join(lines) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    texts = [list(columns), *([_text(row[name]) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in texts
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
