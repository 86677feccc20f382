"""Choosing operations that can be differentiated twice, at the price of speed and memory."""

from __future__ import annotations

import contextlib

from fairdarts_tf.scoped_switch import ScopedSwitch

_wanted = ScopedSwitch("twice_differentiable")


def twice_differentiable() -> contextlib.AbstractContextManager[None]:
    """Within, a supernet is composed of TensorFlow's own operations and gradients, as it always is in float64.

    The gradients of `separable_chain` are right once. Differentiated again within a graph they miss terms, silently.
    """
    return _wanted.within()


def second_derivatives_wanted() -> bool:
    """Returns whether `twice_differentiable` is in force."""
    return _wanted.is_on()
