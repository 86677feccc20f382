"""The state of a search, as arrays: what a checkpoint must hold for the search to go on to the bit."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from fairdarts_tf.errors import RunError
from fairdarts_tf.search import Search


def read_state(search: Search) -> dict[str, np.ndarray]:
    """Returns weights, alphas, running statistics, both optimizers' states and the metrics, by name."""
    return {name: np.array(variable.numpy()) for name, variable in _variables(search).items()}


def write_state(search: Search, arrays: Mapping[str, np.ndarray]) -> None:
    """Sets what `read_state` returned.

    Raises:
        RunError: When a variable is missing or has another shape; nothing is set then.
    """
    variables = _variables(search)
    for name, variable in variables.items():
        if name not in arrays or tuple(arrays[name].shape) != tuple(variable.shape):
            found = f"has shape {arrays[name].shape}" if name in arrays else "is missing"
            raise RunError(
                f"the checkpoint does not fit the search: {name!r} {found}, but must have shape "
                f"{tuple(variable.shape)}. It was written by another version; start in another --workdir."
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def read_metrics(search: Search) -> list[np.ndarray]:
    """Returns the metrics' running sums, which `fit` resets when an epoch begins."""
    return [np.array(variable.numpy()) for variable in search.metrics_variables]


def write_metrics(search: Search, values: list[np.ndarray]) -> None:
    """Sets what `read_metrics` returned."""
    for variable, value in zip(search.metrics_variables, values, strict=True):
        variable.assign(value)


def _variables(search: Search) -> dict[str, keras.Variable]:
    named = {variable.path: variable for variable in search.supernet.variables}
    for kind, optimizer in (("weight_optimizer", search.optimizer), ("alpha_optimizer", search.alpha_optimizer)):
        named |= {f"{kind}/{variable.path}": variable for variable in optimizer.variables}
    return named | {f"metrics/{variable.path}": variable for variable in search.metrics_variables}
