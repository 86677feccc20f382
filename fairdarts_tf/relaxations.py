"""Relaxations: from alphas to the mixing weights of a mixed operation.

DARTS takes the softmax over the operations of an edge: what one gains the others lose. FairDARTS takes a sigmoid of
each, so that operations do not compete (FairDARTS).

Each relaxation has two forms of one formula: of tensors, for the search, and of arrays in float64, for what reads a
search's files and must not wait for TensorFlow to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from fairdarts_tf.errors import ConfigurationError, unknown_name

if TYPE_CHECKING:
    import tensorflow as tf


_OUT = -1e9
"""Of an alpha that is not in play: its power is 0 beside any other's."""


class Relaxation(Protocol):
    """A function of alphas (..., rows, operations) to mixing weights of the same shape, in [0, 1].

    Where not all entries of a table exist, ``in_play`` (rows, operations) says which do; the others have a weight of 0,
    and the rest is as if they were not there.

    Attributes:
        competes: Whether the weights of a row sum to 1, so that each is the probability of its operation to be the one
            chosen; one's own relaxation may leave it out for False.
    """

    competes: bool

    def of_tensor(self, alphas: tf.Tensor, in_play: np.ndarray | None = None) -> tf.Tensor:
        """Returns the mixing weights, differentiable in the alphas."""

    def of_array(self, alphas: np.ndarray, in_play: np.ndarray | None = None) -> np.ndarray:
        """Returns the mixing weights in float64."""


class Sigmoid:
    """The logistic function of each alpha (FairDARTS): operations do not compete."""

    competes = False

    def of_tensor(self, alphas: tf.Tensor, in_play: np.ndarray | None = None) -> tf.Tensor:
        """Returns the mixing weights, differentiable in the alphas."""
        from keras import ops

        weights = ops.sigmoid(alphas)
        return weights if in_play is None else ops.where(in_play, weights, ops.zeros_like(weights))

    def of_array(self, alphas: np.ndarray, in_play: np.ndarray | None = None) -> np.ndarray:
        """Returns the mixing weights in float64."""
        weights = np.exp(-np.logaddexp(0.0, -np.asarray(alphas, np.float64)))
        return weights if in_play is None else np.where(in_play, weights, 0.0)


class Softmax:
    """The softmax over an edge's operations (DARTS): what one gains the others lose."""

    competes = True

    def of_tensor(self, alphas: tf.Tensor, in_play: np.ndarray | None = None) -> tf.Tensor:
        """Returns the mixing weights, differentiable in the alphas."""
        from keras import ops

        if in_play is None:
            return ops.softmax(alphas, axis=-1)
        # Where none is left the row is 0, and so is its gradient: no infinity takes part.
        out = ops.full_like(alphas, _OUT)
        weights = ops.softmax(ops.where(in_play, alphas, out), axis=-1)
        return ops.where(in_play, weights, ops.zeros_like(weights))

    def of_array(self, alphas: np.ndarray, in_play: np.ndarray | None = None) -> np.ndarray:
        """Returns the mixing weights in float64."""
        alphas = np.asarray(alphas, np.float64)
        if in_play is not None:
            return np.where(in_play, self.of_array(np.where(in_play, alphas, _OUT)), 0.0)
        powers = np.exp(alphas - alphas.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)


RELAXATIONS: dict[str, Relaxation] = {"sigmoid": Sigmoid(), "softmax": Softmax()}
"""Every relaxation by name. A new one is a class above and a line here."""


def competes(name: str) -> bool:
    """Returns whether the mixing weights of a row sum to 1 with the relaxation called ``name``.

    Raises:
        ConfigurationError: When there is no such relaxation.
    """
    return getattr(relaxation(name), "competes", False)


def relaxation(name: str) -> Relaxation:
    """Returns the relaxation called ``name``.

    Raises:
        ConfigurationError: When there is no such relaxation.
    """
    if name not in RELAXATIONS:
        raise ConfigurationError(unknown_name("relaxation", name, RELAXATIONS))
    return RELAXATIONS[name]
