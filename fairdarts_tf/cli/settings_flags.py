"""The flags of a run: one for each field of its settings, whose docstring is their help."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from absl import flags

from fairdarts_tf.cli.flag_kinds import define_name, define_names, define_whole_or_auto
from fairdarts_tf.data.names import DATASETS
from fairdarts_tf.genotypes import ALL_OPERATIONS, published_names
from fairdarts_tf.spaces import SPACES

Settings = TypeVar("Settings")


def define_flags(
    settings: type,
    subjects: Mapping[str, tuple[str, ...]],
    otherwise: str,
    flag_values: flags.FlagValues,
    choices: Mapping[str, Collection[str]] | None = None,
    without: Collection[str] = (),
    defaults: Mapping[str, object] | None = None,
    automatic: Collection[str] = (),
) -> None:
    """Defines one flag for each field of a dataclass of settings, with its default and its description.

    Args:
        settings: The dataclass; its docstring describes each field under ``Args:``.
        subjects: Fields by subject, under which ``--help`` shows them.
        otherwise: The subject of all other fields.
        flag_values: Where to.
        choices: The names that a field, or each item of one that lists several, may have. Defaults to none: it is
            the settings alone that refuse others.
        without: Fields that get no flag. Defaults to none.
        defaults: Values in place of the fields' own defaults. Defaults to None: none.
        automatic: Whole numbers for which ``auto`` may stand, which is 0. Defaults to none.
    """
    subject_of = {name: subject for subject, names in subjects.items() for name in names}
    descriptions = _descriptions(settings)
    for field in dataclasses.fields(settings):
        if field.name in without:
            continue
        default = (defaults or {}).get(field.name, field.default)
        _define(field, default, choices or {}, field.name in automatic)(
            description=descriptions[field.name],
            flag_values=flag_values,
            module_name=subject_of.get(field.name, otherwise),
        )


def read_settings(
    settings: type[Settings], flag_values: flags.FlagValues, recorded: Mapping[str, str] | None
) -> Settings:
    """Returns the settings that the flags say.

    Args:
        settings: Their dataclass.
        flag_values: Parsed flags.
        recorded: The settings of the run that is to go on, as text: they stand for every flag that was not given.

    Raises:
        ConfigurationError: When a value is outside its range.
        absl.flags.Error: When a recorded value cannot be parsed.
    """
    return settings(**read_values(settings, flag_values, recorded))


def read_values(settings: type, flag_values: flags.FlagValues, recorded: Mapping[str, str] | None) -> dict[str, object]:
    """Returns the values of all fields that have a flag; arguments and errors are those of `read_settings`."""
    names = [field.name for field in dataclasses.fields(settings) if field.name in flag_values]
    for name in names:
        if not flag_values[name].present and name in (recorded or {}):
            flag_values[name].parse(recorded[name])
    return {name: flag_values[name].value for name in names}


def _define(
    field: dataclasses.Field, default: object, choices: Mapping[str, Collection[str]], automatic: bool
) -> Callable[..., None]:
    """Returns what defines a field's flag, given description, place and subject."""
    name, kind = field.name, type(field.default)
    if automatic:
        return functools.partial(define_whole_or_auto, name, default)
    if kind is tuple:
        return functools.partial(define_names, name, default, tuple(choices.get(name) or _KNOWN.get(name, ())))
    if name in choices:
        return lambda description, **place: flags.DEFINE_enum(name, default, list(choices[name]), description, **place)
    if name in _KNOWN:
        return functools.partial(define_name, name, default, _KNOWN[name])
    define = _DEFINITIONS[kind]
    return lambda description, **place: define(name, default, description, **place)


_DEFINITIONS = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}

_KNOWN: Mapping[str, Sequence[str]] = {
    "dataset": DATASETS,
    "genotype": published_names(),
    "operations": ALL_OPERATIONS,
    "space": tuple(SPACES),
}
"""Names, by field, beside which there are others, as those of files."""


def _descriptions(settings: type) -> dict[str, str]:
    """Returns each field's description from the docstring of a dataclass."""
    arguments = settings.__doc__.split("Args:")[1].split("Raises:")[0]
    found = re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |\Z)", arguments, flags=re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}
