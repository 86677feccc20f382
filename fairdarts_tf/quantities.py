"""Numbers as people write them, with a unit's prefix: ``300M``, ``4.2M``, ``12ms``."""

from __future__ import annotations

import math
import re

from fairdarts_tf.errors import ConfigurationError

_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d{1,2}))?\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)


def read_quantity(name: str, text: str, unit: str = "") -> float:
    """Returns the number that a text says.

    Args:
        name: Of the flag that it was given by.
        text: A positive number, then nothing, the unit, or k, M or G (B): thousands, millions, thousand millions.
        unit: The unit that it is in, as ``"ms"``, which then takes the prefixes' place. Defaults to none.

    Raises:
        ConfigurationError: When it says no positive number.
    """
    match = _NUMBER.fullmatch(text)
    factor = None
    if match:
        suffix = match[3].lower()
        factor = (1.0 if suffix in ("", unit) else None) if unit else _FACTORS.get(suffix)
    value = float(f"{match[1]}e{match[2] or 0}") * factor if factor else math.nan
    if not 0 < value < math.inf:
        expected = f"a positive number of {unit}, as 12 or 2.5{unit}" if unit else "a positive number, as 300M or 4.2M"
        raise ConfigurationError(f"--{name} is {text!r}, but must be {expected}.")
    return value


def write_quantity(value: float, unit: str = "") -> str:
    """Returns a number for people, to three digits: ``"541 M"``, ``"4.85 M"``, ``"12.3 ms"``."""
    if unit:
        return f"{_three_digits(value)} {unit}"
    for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * factor:
            return f"{_three_digits(value / factor)} {prefix}"
    return _three_digits(value)


def _three_digits(value: float) -> str:
    rounded = float(f"{value:.2e}")
    digits = max(0, 2 - math.floor(math.log10(rounded))) if rounded > 0 else 0
    return f"{rounded:.{min(digits, 6)}f}"
