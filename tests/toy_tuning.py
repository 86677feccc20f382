"""A tuning whose trials take no time: what they come to is a function of one flag, and of how many epochs they run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import keras_tuner

from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.tuning.hypermodel import RunHyperModel
from fairdarts_tf.tuning.outcome import Judgement, Outcome

EPOCHS = 9
BEST = 0.8
"""The threshold with which a toy trial comes out best."""


def accuracy(threshold: float, epochs: int, best: float = BEST) -> float:
    return 1 - (threshold - best) ** 2 - 0.5 / (1 + epochs)


class ToyHyperModel(RunHyperModel):
    """A trial writes a line to a file of its own for each epoch, and goes on after those that are there.

    Args:
        fails: Returns whether a trial of such a threshold comes to nothing. Defaults to none.
        before: Called before each epoch, with the trial's directory and the epoch. Defaults to nothing.
        best: The threshold that comes out best. Defaults to `BEST`.
    """

    command = "search"
    columns = ("threshold",)

    def __init__(
        self,
        fails: Callable[[float], bool] = lambda threshold: False,
        before: Callable[[Path, int], object] = lambda place, epoch: None,
        best: float = BEST,
    ) -> None:
        super().__init__()
        self.fails = fails
        self.before = before
        self.best = best

    @property
    def epochs(self) -> int:
        return EPOCHS

    def chosen(self, hp: keras_tuner.HyperParameters) -> Mapping[str, float]:
        return {"threshold": float(f"{hp.Float('threshold', 0.5, 0.95):.4g}")}

    def run(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int, judgement: Judgement) -> Outcome:
        threshold = self.chosen(hp)["threshold"]
        done = ran(place)
        for epoch in range(len(done) + 1, until_epoch + 1):
            self.before(place, epoch)
            with open(place / "epochs.txt", "a") as file:
                print(epoch, threshold, file=file)
        if self.fails(threshold):
            raise GenotypeError(f"nothing derived with\n--threshold={threshold}")
        value = accuracy(threshold, until_epoch, self.best)
        return Outcome(value, 1 - value, until_epoch, 2.0, float(until_epoch), True)

    def best_settings(self, hp: keras_tuner.HyperParameters, place: Path, until_epoch: int) -> dict[str, str]:
        return dataclasses.replace(SearchSettings(), **self.chosen(hp)).as_flags()

    def genotype_of(self, place: Path, until_epoch: int) -> None:
        return None

    def as_flags(self) -> dict[str, str]:
        return {"toy": "yes"}


def ran(place: Path) -> list[tuple[int, float]]:
    """Returns (epoch, threshold) of each line that a trial wrote."""
    if not (place / "epochs.txt").is_file():
        return []
    lines = (line.split() for line in (place / "epochs.txt").read_text().splitlines())
    return [(int(epoch), float(threshold)) for epoch, threshold in lines]
