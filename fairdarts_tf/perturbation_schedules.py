"""How strongly a search disturbs its operations, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable

DROPOUT_SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "falling": lambda progress: 1.0 - progress,
    "rising": lambda progress: progress,
}
"""The share of its full rate that a dropout has, by the share of the epochs that is over."""

NOISES = ("none", "gaussian", "uniform")


def dropout_rate(schedule: str, rate: float, epoch: int, epochs: int) -> float:
    """Returns the probability with which something is dropped in an epoch, counted from 0.

    Args:
        schedule: A name of `DROPOUT_SCHEDULES`.
        rate: The full rate.
        epoch: The epoch.
        epochs: How many the search has.
    """
    return rate * DROPOUT_SCHEDULES[schedule](epoch / epochs)


def noise_factor(epoch: int, epochs: int) -> float:
    """Returns what noise is multiplied by in an epoch, counted from 0: a cosine from 1 to 0, then 0 (NoisyDARTS)."""
    return (1 + math.cos(math.pi * epoch / epochs)) / 2 if epoch < epochs else 0.0
