"""Choosing operations that can be differentiated twice, at the price of speed and memory."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_wanted: contextvars.ContextVar[bool] = contextvars.ContextVar("twice_differentiable", default=False)


@contextlib.contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within, a supernet is composed of TensorFlow's own operations and gradients, as it always is in float64.

    The gradients of `separable_chain` are right once. Differentiated again within a graph they miss terms, silently.
    """
    token = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(token)


def second_derivatives_wanted() -> bool:
    """Returns whether `twice_differentiable` is in force."""
    return _wanted.get()
