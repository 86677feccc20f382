"""Numbers with a unit's prefix, read and written."""

from __future__ import annotations

import pytest

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.quantities import read_quantity, write_quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("300M", "", 3e8), (" 4.2 m", "", 4.2e6), ("600", "", 600), ("1.5G", "", 1.5e9), ("2b", "", 2e9), ("3e8", "", 3e8)]
    + [("7k", "", 7e3), ("12ms", "ms", 12), ("2.5", "ms", 2.5), (".5 MS", "ms", 0.5)],
)
def test_reads(text, unit, value):
    assert read_quantity("target", text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "unit"),
    [("", ""), ("M", ""), ("-3M", ""), ("0", ""), ("300X", ""), ("nan", ""), ("12M", "ms"), ("3ms", "")]
    + [("3 0", ""), ("٣", "")],
)
def test_refuses(text, unit):
    with pytest.raises(ConfigurationError, match="--target is .* but must be a positive number"):
        read_quantity("target", text, unit)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(541_201_152, "", "541 M"), (4_865_248, "", "4.87 M"), (999_900, "", "1.00 M"), (1e9, "", "1.00 G"), (0, "", "0")]
    + [(51_234, "", "51.2 k"), (17.256, "ms", "17.3 ms"), (0.0421, "ms", "0.0421 ms")],
)
def test_writes(value, unit, text):
    assert write_quantity(value, unit) == text
