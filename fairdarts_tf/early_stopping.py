"""When a search stops before its last epoch, and which epoch's alphas then count.

Each criterion looks at nothing but what the search has recorded, so that a search that is resumed stops where one that
was never interrupted does.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf.errors import RunError
from fairdarts_tf.files import open_file, write_text_atomically
from fairdarts_tf.genotypes import learnable_operations
from fairdarts_tf.history import History

if TYPE_CHECKING:
    from fairdarts_tf.settings import SearchSettings

FILE = "early_stopping.json"
_MAX_BYTES = 10_000


@dataclasses.dataclass(frozen=True)
class Stop:
    """An early end of a search.

    Args:
        criterion: A name of `CRITERIA`.
        reason: What was met, in words.
        after: Epochs done.
        counts: The epoch whose alphas the genotype is derived from, counted from 1.
    """

    criterion: str
    reason: str
    after: int
    counts: int

    def save(self, workdir: Path) -> None:
        """Writes it to a search's directory, atomically; raises an OSError where it cannot be written."""
        write_text_atomically(workdir / FILE, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, workdir: str | os.PathLike[str]) -> Stop | None:
        """Reads what `save` wrote, or returns None where there is nothing.

        Raises:
            RunError: When the file cannot be read or holds something else.
        """
        path = Path(workdir, FILE)
        if not path.exists():
            return None
        try:
            with open_file(path) as file:
                fields = json.loads(file.read(_MAX_BYTES))
            stop = cls(**fields)
            wholesome = 1 <= stop.counts <= stop.after and {str} == {type(stop.criterion), type(stop.reason)}
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise RunError(
                f"{path} cannot be read ({error}). Start the search again to have it written anew."
            ) from None
        if not wholesome:
            raise RunError(f"{path} does not say when the search stopped. Start the search again to have it written.")
        return stop


def find_stop(history: History, settings: SearchSettings) -> Stop | None:
    """Returns how the search stops after its last recorded epoch, by the first criterion that is met, or None."""
    for name in settings.early_stopping:
        stop = CRITERIA[name](history, settings)
        if stop is not None:
            return stop
    return None


def too_many_skips(history: History, settings: SearchSettings) -> Stop | None:
    """DARTS+, criterion 1: the normal cell that would be derived has so many skip connections (Liang et al., 2019).

    In a space without cells it is all of the layers.
    """
    if len(history.rows) <= settings.warmup_epochs:
        return None
    space = settings.derivation.space
    skips = history.rows[-1][f"{space.skip_kind}_skips"] or 0
    if skips < settings.stop_skips:
        return None
    epochs = len(history.rows)
    return Stop("skips", f"the {space.titles[space.skip_kind].lower()} has {skips} skip connections", epochs, epochs)


def stable_ranking(history: History, settings: SearchSettings) -> Stop | None:
    """DARTS+, criterion 1*: on every edge the order of the operations with weights has not changed for some epochs."""
    epochs = len(history.rows)
    needed = settings.stop_ranking_epochs
    if epochs - settings.warmup_epochs < needed:
        return None
    learnable = learnable_operations(settings.derivation.operations)
    for tables in history.tables().values():
        orders = np.argsort(-tables[-needed:][:, :, learnable], axis=-1, kind="stable")
        if np.any(orders != orders[0]):
            return None
    return Stop("ranking", f"the ranking of the operations with weights stood for {needed} epochs", epochs, epochs)


def growing_eigenvalue(history: History, settings: SearchSettings) -> Stop | None:
    """RobustDARTS: the largest eigenvalue of the Hessian in the alphas has grown too fast (Zela et al., section 4.3).

    With its mean m(i) over the k epochs up to i, the search stops where ``m(i - k) / m(i)`` falls below a ratio, and
    the alphas of epoch i - k count.
    """
    window = settings.stop_eigenvalue_epochs
    measured = [row.get("dominant_eigenvalue") for row in history.rows[settings.warmup_epochs :]]
    if len(measured) < 2 * window or None in measured[-2 * window :]:
        return None
    before, now = _mean(measured[-2 * window : -window]), _mean(measured[-window:])
    if now <= 0 or before / now >= settings.stop_eigenvalue_ratio:
        return None
    epochs = len(history.rows)
    reason = f"the largest eigenvalue grew from {before:.3g} to {now:.3g}, means of {window} epochs"
    return Stop("eigenvalue", reason, epochs, epochs - window)


CRITERIA: dict[str, Callable[[History, SearchSettings], Stop | None]] = {
    "skips": too_many_skips,
    "ranking": stable_ranking,
    "eigenvalue": growing_eigenvalue,
}
"""Every criterion by name."""


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
