"""The flags of a search: one for each field of `SearchSettings`, whose docstring is their help."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from absl import flags

from fairdarts_tf.settings import SearchSettings

SUBJECTS: dict[str, tuple[str, ...]] = {
    "data": ("dataset", "data_dir", "download", "image_size", "train_portion", "cutout"),
    "search space": ("space", "relaxation", "operations", "nodes", "init_channels", "layers", "stem_multiplier"),
    "derivation": ("threshold", "method"),
    "run": ("seed", "strategy", "checkpoint_steps"),
}
"""Fields by subject; those not named here belong to the search itself."""


def define_search_flags(flag_values: flags.FlagValues) -> None:
    """Defines one flag for each field of `SearchSettings`, with its default and its description."""
    subjects = {name: subject for subject, names in SUBJECTS.items() for name in names}
    descriptions = _descriptions()
    for field in dataclasses.fields(SearchSettings):
        define = {
            bool: flags.DEFINE_boolean,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
            tuple: flags.DEFINE_list,
        }[type(field.default)]
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        define(
            field.name,
            default,
            descriptions[field.name],
            flag_values=flag_values,
            module_name=subjects.get(field.name, "search"),
        )


def read_search_settings(flag_values: flags.FlagValues, recorded: Mapping[str, str] | None) -> SearchSettings:
    """Returns the settings that the flags say.

    Args:
        flag_values: Parsed flags.
        recorded: The settings of the run that is to go on, as text: they stand for every flag that was not given.

    Raises:
        ConfigurationError: When a value is outside its range.
        absl.flags.Error: When a recorded value cannot be parsed.
    """
    names = [field.name for field in dataclasses.fields(SearchSettings)]
    for name in names:
        if not flag_values[name].present and name in (recorded or {}):
            flag_values[name].parse(recorded[name])
    return SearchSettings(**{name: flag_values[name].value for name in names})


def _descriptions() -> dict[str, str]:
    """Returns each field's description from the docstring of `SearchSettings`."""
    arguments = SearchSettings.__doc__.split("Args:")[1].split("Raises:")[0]
    found = re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |\Z)", arguments, flags=re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}
