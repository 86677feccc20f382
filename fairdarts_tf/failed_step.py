"""A step whose loss or gradient is not finite: what is kept of it, and what the user is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from fairdarts_tf.files import write_atomically
from fairdarts_tf.runs import Run

LARGEST = 10
"""How many of the largest alphas are listed."""


class FailedStepError(Exception):
    """Ends `fit` at a step that is not finite; never seen outside the run.

    Attributes:
        step: The step, counted from 1.
        what: What of it is NaN or infinite, as in ``"the loss"``; the others follow from the first.
    """

    def __init__(self, step: int, what: Sequence[str]) -> None:
        super().__init__(f"step {step}")
        self.step = step
        self.what = tuple(what)

    def describe(self, steps_per_epoch: int) -> str:
        """Returns the beginning of a sentence that says what failed."""
        epoch = (self.step - 1) // steps_per_epoch + 1
        return f"step {self.step} (epoch {epoch}): NaN or infinity in {self.what[0]}"


def save_failed_step(
    run: Run,
    failed: FailedStepError,
    batch: object,
    rates: Mapping[str, float],
    alphas: Mapping[str, np.ndarray],
    retries: int = 0,
) -> Path:
    """Writes what a failed step computed with, as ``not_finite-STEP.npz``, and returns the file; the chief alone does.

    After N retries it is ``not_finite-STEP-N.npz``: when a step fails again, the file of the first time stays.

    It holds ``step``, ``what``, the batch as the model saw it (``images`` and ``labels``; of a search those of both
    halves, with ``train_`` and ``search_`` before), the ``rates``, and of a search the raw ``alphas`` that the step
    began with, by kind of cell, and the largest of them.

    Args:
        run: Where to.
        failed: The step.
        batch: Images and labels, or a pair of such pairs: of the training half and of the search half.
        rates: Learning rates, by name.
        alphas: By kind of cell, (edges, operations); empty where there are none.
        retries: How often the run was sent back before. Defaults to 0.

    Raises:
        RunError: When it cannot be written.
    """
    arrays = {"step": np.int64(failed.step), "what": np.array(failed.what)} | _batch_arrays(batch)
    arrays |= {f"rates/{name}": np.float64(rate) for name, rate in rates.items()}
    arrays |= {f"alphas/{kind}": table for kind, table in alphas.items()}
    if alphas:
        arrays |= _largest(alphas)
    number = f"-{retries}" if retries else ""
    path = run.workdir / f"not_finite-{failed.step:09d}{number}.npz"
    if not run.writes:
        return path
    try:
        write_atomically(path, lambda file: np.savez(file, **arrays))
    except OSError as error:
        raise run.cannot_write(error) from error
    return path


def _batch_arrays(batch: object) -> dict[str, np.ndarray]:
    tensors = [np.array(tensor) for tensor in tf.nest.flatten(batch)]
    halves = ("",) if len(tensors) == 2 else ("train_", "search_")
    return dict(zip([half + part for half in halves for part in ("images", "labels")], tensors, strict=True))


def _largest(alphas: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the alphas of the greatest magnitude, the largest first, and where each is: kind, edge, operation."""
    entries = [
        (float(value), f"{kind}, edge {edge}, operation {operation}")
        for kind, table in alphas.items()
        for (edge, operation), value in np.ndenumerate(table)
    ]
    entries.sort(key=lambda entry: -abs(entry[0]))
    values, places = zip(*entries[:LARGEST], strict=True)
    return {"largest_alphas": np.array(values), "largest_alphas_at": np.array(places)}
