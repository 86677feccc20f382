"""Schedules of the learning rate, from epoch to epoch. A new one is a function and a line in `SCHEDULES`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


class Rates(NamedTuple):
    """What a schedule starts from.

    Attributes:
        first: The rate of the first epoch.
        least: The rate that it falls to.
        decay: What it is multiplied by after each epoch.
    """

    first: float
    least: float = 0.0
    decay: float = 1.0


def cosine(rates: Rates, epoch: int, epochs: int) -> float:
    """Returns the rate of an epoch, counted from 0: half a cosine down to the least (Loshchilov and Hutter, 2017)."""
    return rates.least + (rates.first - rates.least) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def linear(rates: Rates, epoch: int, epochs: int) -> float:
    """Returns the rate of an epoch, counted from 0: a straight line down to the least (P-DARTS on ImageNet)."""
    return rates.first + (rates.least - rates.first) * epoch / epochs


def exponential(rates: Rates, epoch: int, epochs: int) -> float:
    """Returns the rate of an epoch, counted from 0: multiplied by the decay after each (DARTS on ImageNet)."""
    return rates.first * rates.decay**epoch


def constant(rates: Rates, epoch: int, epochs: int) -> float:
    """Returns the first rate."""
    return rates.first


SCHEDULES: dict[str, Callable[[Rates, int, int], float]] = {
    "cosine": cosine,
    "linear": linear,
    "exponential": exponential,
    "constant": constant,
}
"""Every schedule by name."""
