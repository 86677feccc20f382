"""Runs `fit` to a run's end, also where the numbers of a step go wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from fairdarts_tf.checkpoints import list_checkpoints, step_of
from fairdarts_tf.errors import NotFiniteError
from fairdarts_tf.failed_step import FailedStepError, save_failed_step
from fairdarts_tf.finite_check import FiniteCheck
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.resuming import fit_from, restore
from fairdarts_tf.workers import gather

MOST_RETRIES = 10
"""Retries of a run, after which it stops: its rates are then a thousandth of what they were."""


class Trained(Protocol):
    """What a run asks of its model besides `keras.Model`'s methods and `fairdarts_tf.model_state.Stateful`'s."""

    finite_check: FiniteCheck
    before_updates: tuple[str, ...]

    def learning_rates(self) -> dict[str, float]:
        """Returns the rates in use, by what they are for."""

    def alphas_of_last_step(self) -> dict[str, np.ndarray]:
        """Returns the alphas that the last step began with, by kind of cell; empty where there are none."""


def fit_run(
    recorder: Recorder,
    model: Trained,
    batches_from: Callable[..., tf.data.Dataset],
    *,
    epochs: int,
    on_nan: str,
    on_retry: Callable[[int], None],
    **options: object,
) -> None:
    """Runs `fit` from where the recorder stands to the end.

    A step whose loss or gradient is NaN or infinite ends the run, or sends it back to its last checkpoint with half the
    learning rates, and to the one before it where that is of no use. What the step computed with is written to the
    run's directory before.

    Args:
        recorder: Of the run; also among the callbacks in the options.
        model: To be fitted.
        batches_from: Returns the endless batches of the run from a step on, or those ``parts`` of each that it is
            asked for.
        epochs: Of the whole run.
        on_nan: ``"stop"`` or ``"retry"``.
        on_retry: Called with the step that the run goes back to.
        options: Of `keras.Model.fit`.

    Raises:
        NotFiniteError: When a step is not finite, and the run is to stop or was sent back too often.
    """
    recorder.set_model(model)
    if on_nan == "retry" and recorder.step == 0:
        recorder.save(0.0)
    while True:
        try:
            fit_from(
                recorder.step, model, batches_from, epochs=epochs, steps_per_epoch=recorder.steps_per_epoch, **options
            )
        except FailedStepError as failed:
            said = _keep(recorder, model, batches_from, failed)
            if on_nan == "stop":
                raise NotFiniteError(f"{said} {_ADVICE}") from None
            before = _step_to_go_back_before(recorder, model, failed, said)
            kind = type(recorder.history)
            recorder.go_back(restore(recorder.run, model, kind, recorder.steps_per_epoch, before), failed)
            on_retry(recorder.step)
            print(
                f"warning: {said} Going on from step {recorder.step} with half the learning rates, now "
                f"1/{2 ** len(recorder.retries)} of the settings'.",
                file=sys.stderr,
            )
        else:
            return


_ADVICE = (
    "What was saved before it is whole. To go on from there with half the learning rates, give the same command with "
    "--on_nan=retry; or begin anew with a lower --learning_rate, or a --gradient_clip."
)

_NO_HELP = (
    "Look at the batch: broken images, or a --weight_decay or --zero_one_weight that is too large. If the loss grew "
    "for long before, begin anew with a lower --learning_rate, or a --gradient_clip."
)


def _step_to_go_back_before(recorder: Recorder, model: Trained, failed: FailedStepError, said: str) -> int | None:
    """Returns None where the newest checkpoint will do, or its step, where it will not and there is one before it.

    It will not where its very next step has failed twice: little of what a step computes depends on its own rates.

    Raises:
        NotFiniteError: When no retry is left, or would be of use.
    """
    if len(recorder.retries) >= MOST_RETRIES:
        said += f" Halving the learning rates {MOST_RETRIES} times did not help."
        raise NotFiniteError(f"{said} {_NO_HELP}") from None
    last = recorder.retries[-1] if recorder.retries else {}
    again = last.get("failed_step") == failed.step and last.get("went_back_to") == failed.step - 1
    if not again:
        return None
    one_before = any(step_of(path) < failed.step - 1 for path in list_checkpoints(recorder.run.checkpoints))
    # Of several workers only the chief has checkpoints.
    if gather(float(one_before), model.distribute_strategy)[0]:
        return failed.step - 1
    if failed.what[0] in model.before_updates:
        said += " It follows on the first checkpoint, whatever the learning rates."
        raise NotFiniteError(f"{said} {_NO_HELP}") from None
    return None


def _keep(
    recorder: Recorder, model: Trained, batches_from: Callable[[int], tf.data.Dataset], failed: FailedStepError
) -> str:
    """Writes the failed step's file and returns what is to be said of it."""
    # Which images a step sees follows from its number.
    batch = next(iter(batches_from(failed.step - 1).take(1)))
    alphas = model.alphas_of_last_step()
    path = save_failed_step(recorder.run, failed, batch, model.learning_rates(), alphas, len(recorder.retries))
    kept = "Its batch and the alphas it began with are" if alphas else "Its batch is"
    return f"{failed.describe(recorder.steps_per_epoch)}. {kept} in {path}."
