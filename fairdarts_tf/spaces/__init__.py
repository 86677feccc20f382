"""Search spaces. Each offers its supernet, the shapes of its alphas and the derivation of a genotype.

A new search space is a module with a class like `fairdarts_tf.spaces.darts.DartsSpace` and a line in `SPACES`.
"""

from __future__ import annotations

import dataclasses
from importlib import import_module

from fairdarts_tf.errors import ConfigurationError, unknown_name

SPACES = {"darts": "fairdarts_tf.spaces.darts:DartsSpace"}
"""Every search space by name, as ``module:class``, so that naming one loads no other."""


def search_space(name: str) -> type:
    """Returns the class of the search space called ``name``.

    Raises:
        ConfigurationError: When there is no such search space.
    """
    if name not in SPACES:
        raise ConfigurationError(unknown_name("search space", name, SPACES))
    module, class_name = SPACES[name].split(":")
    return getattr(import_module(module), class_name)


def space_of(settings: object) -> object:
    """Returns the search space that settings describe: each of its fields is a setting of the same name.

    Raises:
        ConfigurationError: When there is no such space, or a value is outside its range.
    """
    space = search_space(settings.space)
    return space(**{field.name: getattr(settings, field.name) for field in dataclasses.fields(space)})
