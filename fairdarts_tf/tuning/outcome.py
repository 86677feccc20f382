"""What a trial came to, and what it is judged by."""

from __future__ import annotations

import csv
import dataclasses
import os
import signal
from pathlib import Path

from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.latency_table import LatencyTable
from fairdarts_tf.prices import LATENCY, MACS, PARAMS, Price, latency_price, network_price
from fairdarts_tf.spaces import search_space
from fairdarts_tf.training.history import TrainHistory

OBJECTIVE = "objective"
_MILLION = 1e6


class TrialStopped(Exception):  # noqa: N818 (no error: a signal asked for it)
    """A signal came during the run of a trial, which has saved itself.

    Args:
        stopped_by: The signal.
    """

    def __init__(self, stopped_by: signal.Signals) -> None:
        super().__init__(stopped_by)
        self.signal = stopped_by


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What an accuracy is weighed against.

    Args:
        cost: ``macs``, ``params``, ``latency`` or ``none``. Defaults to none.
        weight: What a million multiply-adds or parameters, or a millisecond, take from the accuracy. Defaults to 0.
        latency_table: File with latencies, for that cost.
        latency_form: What runs the network, for that cost.
    """

    cost: str = "none"
    weight: float = 0.0
    latency_table: str = ""
    latency_form: str = "TFLite"

    def price_of(self, genotype: AnyGenotype, size: NetworkSize) -> float | None:
        """Returns what a network costs, in millions or milliseconds; None where nothing is asked.

        Raises:
            ConfigurationError: When the table of latencies lacks one of its layers, or the cost is unknown.
            RunError: When that table cannot be read.
        """
        if self.cost == "none":
            return None
        price = self._price(genotype, size)
        return network_price(genotype, size, price) / (1.0 if self.cost == LATENCY else _MILLION)

    def objective(self, accuracy: float, cost: float | None) -> float:
        """Returns ``accuracy - weight * cost``, which the tuner makes as large as it can."""
        return accuracy - self.weight * (cost or 0.0)

    def _price(self, genotype: AnyGenotype, size: NetworkSize) -> Price:
        if self.cost != LATENCY:
            return {"macs": MACS, "params": PARAMS}[self.cost]
        if not self.latency_table:
            raise ConfigurationError(
                "--objective_cost=latency needs the latencies of this device: --latency_table, a file that "
                "bin/measure_latency makes."
            )
        table = LatencyTable.load(self.latency_table)
        shapes = [part.shape for part in search_space(genotype.space).network_parts(genotype, size) if part.shape]
        table.check_complete(self.latency_form, shapes, self.latency_table)
        return latency_price(table, self.latency_form)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a trial came to.

    Attributes:
        accuracy: Of the best epoch, on the images held back from training.
        loss: Of that epoch.
        best_epoch: Its number, from 1.
        cost: Of the network, in millions or milliseconds, or None.
        seconds: What its epochs took.
        own_method: Whether the genotype was derived by the search's own method; None where nothing is searched.
    """

    accuracy: float
    loss: float
    best_epoch: int
    cost: float | None
    seconds: float
    own_method: bool | None = None

    def metrics(self, judgement: Judgement) -> dict[str, float]:
        """Returns the numbers that KerasTuner keeps, the objective among them."""
        measured = {
            OBJECTIVE: judgement.objective(self.accuracy, self.cost),
            "validation_accuracy": self.accuracy,
            "validation_loss": self.loss,
            "best_epoch": self.best_epoch,
            "cost": self.cost,
            "seconds": self.seconds,
            "own_method": self.own_method,
        }
        return {name: float(value) for name, value in measured.items() if value is not None}


METRICS = ("validation_accuracy", "validation_loss", "best_epoch", "cost", "seconds", "own_method")
"""The numbers of a trial besides the objective, in the order of the table."""


def of_training(history: TrainHistory, workdir: Path) -> Outcome:
    """Returns what a training came to, in its directory; it says nothing of the cost.

    Raises:
        RunError: When nothing was held back, and so nothing measured.
    """
    best = history.best_epoch()
    if best is None:
        raise RunError(
            f"{workdir} has no accuracy on images that are held back, by which trials are judged. Hold some back: "
            "--validation_portion=0.1."
        )
    row = history.rows[best - 1]
    seconds = seconds_of(workdir)
    return Outcome(float(row["validation_accuracy"]), float(row["validation_loss"]), best, None, seconds)


def seconds_of(workdir: str | os.PathLike[str]) -> float:
    """Returns the sum of the seconds of all epochs of a run's history.csv."""
    with open(Path(workdir) / "history.csv", newline="", encoding="utf-8") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))
