"""Search spaces: `SearchSpace` says what each offers.

A new one is a module with a class like `fairdarts_tf.spaces.darts.DartsSpace`, a line in `SPACES`, a class of genotypes
with a line in `fairdarts_tf.genotype_files.GENOTYPES`, and its fields as settings of a search.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.spaces.space import SearchSpace

if TYPE_CHECKING:
    from fairdarts_tf.settings import SearchSettings

SPACES: dict[str, str | type[SearchSpace]] = {
    "darts": "fairdarts_tf.spaces.darts:DartsSpace",
    "mobile": "fairdarts_tf.spaces.mobile:MobileSpace",
}
"""Every search space by name, as ``module:class``, so that naming one loads no other; one's own is the class itself."""


def search_space(name: str) -> type[SearchSpace]:
    """Returns the class of the search space called ``name``.

    Raises:
        ConfigurationError: When there is no such search space.
    """
    if name not in SPACES:
        raise ConfigurationError(unknown_name("search space", name, SPACES))
    found = SPACES[name]
    if isinstance(found, type):
        return found
    module, class_name = found.split(":")
    return getattr(import_module(module), class_name)


def space_of(settings: SearchSettings) -> SearchSpace:
    """Returns the search space that settings describe: each of its fields is a setting of the same name.

    Raises:
        ConfigurationError: When there is no such space, a value is outside its range, a setting of another space is
            given, or the space cannot do what the settings ask for.
    """
    space = search_space(settings.space)
    _refuse_others_settings(space, settings)
    found = space(**{name: getattr(settings, name) for name in _fields(space)})
    found.check_settings(settings)
    return found


def recorded_space(settings: Mapping[str, str], tables: Mapping[str, tuple[int, ...]]) -> SearchSpace:
    """Returns the space of a search as its files have it.

    Args:
        settings: Its flags as text, by name; what is absent has its default.
        tables: The shapes (rows, operations) of its tables of alphas, by kind, which tell the space where no flag does;
            empty if they are not known.

    Raises:
        ConfigurationError: When the files say of no space what its operations are.
    """
    return recorded_class(settings, tables).of_records(settings, tables)


def recorded_class(settings: Mapping[str, str], tables: Mapping[str, tuple[int, ...]]) -> type[SearchSpace]:
    """Returns the class of the space of a search as its files have it; arguments as for `recorded_space`.

    Raises:
        ConfigurationError: When a flag names a space that there is not, or one that has other tables.
    """
    named = settings.get("space")
    for name in (named,) if named else SPACES:
        space = search_space(name)
        if not tables or set(space.titles) == set(tables):
            return space
    raise ConfigurationError(
        f"the alphas are of {', '.join(sorted(tables))}, which --space={named} does not have. Name the search's own."
    )


def _refuse_others_settings(space: type[SearchSpace], settings: SearchSettings) -> None:
    """Refuses a setting that is given, and that only another space has."""
    own = set(_fields(space))
    for other in map(search_space, SPACES):
        for field in dataclasses.fields(other):
            value = getattr(settings, field.name)
            if field.name not in own and value != field.default:
                raise ConfigurationError(
                    f"--{field.name}={_shown(value)} is of --space={other.name}, not of --space={space.name}. Leave it "
                    "out, or name that space."
                )


def _fields(space: type[SearchSpace]) -> list[str]:
    return [field.name for field in dataclasses.fields(space)]


def _shown(value: object) -> object:
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
