"""What type a value that a program gives must have, and what is taken for it: NumPy's numbers for Python's, as well."""

from __future__ import annotations

import dataclasses
import numbers
import os
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np

from fairdarts_tf.errors import ConfigurationError

Value = TypeVar("Value")

EXPECTED: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list",
}
"""Every type that is checked, in words."""

_TAKEN = {
    bool: bool | np.bool_,
    int: numbers.Integral,
    float: numbers.Real,
    str: str | os.PathLike,
    tuple: Iterable,
}
_REFUSED = {int: bool, float: bool, tuple: str | bytes | Mapping}
"""What Python counts among them, though hardly anybody means it: 1 for true, and a text for the list of its letters."""


def set_types(settings: object, prefix: str = "--") -> None:
    """Gives each field of a dataclass the type of its default, where its value can stand for one; see `as_type`.

    Args:
        settings: The dataclass; it may be frozen.
        prefix: What a message names a field with. Defaults to that of a flag.

    Raises:
        ConfigurationError: When a value has another type.
    """
    for field in dataclasses.fields(settings):
        value = as_type(f"{prefix}{field.name}", getattr(settings, field.name), field.default)
        object.__setattr__(settings, field.name, value)


def as_type(name: str, value: object, example: Value) -> Value:
    """Returns a value as one of the type of an example.

    Args:
        name: What the value is called in a message.
        value: A whole number may stand for any number, a path for a text, and whatever can be iterated over for a
            tuple, but for a text. The items of a tuple are whole numbers where the example's are, which texts may stand
            for, and texts otherwise.
        example: Its type alone counts. One of a type that is not in `EXPECTED` has any value pass.

    Raises:
        ConfigurationError: When it has another type.
    """
    kind = type(example)
    if kind not in EXPECTED:
        return value
    if not isinstance(value, _TAKEN[kind]) or isinstance(value, _REFUSED.get(kind, ())):
        raise _misfit(name, value, EXPECTED[kind])
    if kind is str:
        return value  # A path stays one: it never means a published genotype.
    return _as_tuple(name, tuple(value), example) if kind is tuple else kind(value)


def _as_tuple(name: str, values: tuple, example: tuple) -> tuple:
    if not all(type(item) is int for item in example or ("",)):
        if not all(isinstance(value, _TAKEN[str]) for value in values):
            raise _misfit(name, values, "a list of texts")
        return values
    try:
        return tuple(value if type(value) is int else int(str(value)) for value in values)
    except ValueError:
        raise ConfigurationError(
            f"{name} is {','.join(map(str, values))!r:.200}, but must be whole numbers, comma-separated."
        ) from None


def _misfit(name: str, value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{name} is {value!r:.80} ({type(value).__name__}), but must be {expected}.")
