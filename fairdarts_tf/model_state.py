"""The state of a model under training, as arrays: what a checkpoint must hold for it to go on to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import keras
import numpy as np

from fairdarts_tf.errors import RunError


class Stateful(Protocol):
    """A model that names all that changes while it is trained."""

    @property
    def metrics_variables(self) -> list[keras.Variable]:
        """The metrics' running sums."""

    def state_variables(self) -> dict[str, keras.Variable]:
        """Returns weights, running statistics and optimizers' states by name."""


def read_state(model: Stateful) -> dict[str, np.ndarray]:
    """Returns weights, running statistics, optimizers' states and the metrics, by name."""
    return {name: np.array(variable.numpy()) for name, variable in _variables(model).items()}


def write_state(model: Stateful, arrays: Mapping[str, np.ndarray]) -> None:
    """Sets what `read_state` returned.

    Raises:
        RunError: When a variable is missing or has another shape; nothing is set then.
    """
    variables = _variables(model)
    for name, variable in variables.items():
        misfit = _misfit(arrays.get(name), variable)
        if misfit:
            raise RunError(
                f"the checkpoint does not fit the run: {name!r} {misfit}, but must be {variable.dtype} of shape "
                f"{tuple(variable.shape)}. It was written by another version; start in another --workdir."
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _misfit(array: np.ndarray | None, variable: keras.Variable) -> str:
    """Returns in words what keeps an array from being a variable's value, or nothing."""
    if array is None:
        return "is missing"
    if array.shape != tuple(variable.shape):
        return f"has shape {array.shape}"
    if not np.can_cast(array.dtype, variable.dtype, "same_kind"):
        return f"is {array.dtype}"
    return ""


def read_metrics(model: Stateful) -> list[np.ndarray]:
    """Returns the metrics' running sums, which `fit` resets when an epoch begins."""
    return [np.array(variable.numpy()) for variable in model.metrics_variables]


def write_metrics(model: Stateful, values: list[np.ndarray]) -> None:
    """Sets what `read_metrics` returned."""
    for variable, value in zip(model.metrics_variables, values, strict=True):
        variable.assign(value)


def optimizer_variables(kind: str, optimizer: keras.optimizers.Optimizer) -> dict[str, keras.Variable]:
    """Returns an optimizer's variables by name, under the name of what it optimizes."""
    return {f"{kind}/{variable.path}": variable for variable in optimizer.variables}


def _variables(model: Stateful) -> dict[str, keras.Variable]:
    return model.state_variables() | {f"metrics/{variable.path}": variable for variable in model.metrics_variables}
