"""Search spaces. Each offers its supernet, the shapes of its alphas and the derivation of a genotype.

A new search space is a module with a class like `fairdarts_tf.spaces.darts.DartsSpace` and a line in `SPACES`.
"""

from __future__ import annotations

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
