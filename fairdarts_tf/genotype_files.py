"""Reading genotypes of every search space: by the name of a published one, from a file, or from a run's directory."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Protocol

from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.genotype_text import brief, parse_json, read_text
from fairdarts_tf.genotypes import SPACE, Genotype, absent, published, published_names

GENOTYPES = {
    "darts": "fairdarts_tf.genotypes:Genotype",
    "mobile": "fairdarts_tf.mobile_genotypes:MobileGenotype",
}
"""The class of the genotypes of every search space, as ``module:class``."""

GENOTYPE_FILE = "genotype.json"


class Item(Protocol):
    """One choice of a genotype: a named tuple that compares by value and can be hashed."""

    op: str

    @property
    def place(self) -> str:
        """Where it is, as drawings and tables name it."""

    @property
    def coordinates(self) -> dict[str, str]:
        """The same, number by number, by what each is called."""


class AnyGenotype(Protocol):
    """A genotype of any search space. Compares by value and can be hashed."""

    space: str
    """Name of its search space."""
    kinds: tuple[str, ...]
    """Names of the tables of alphas that its items come from."""

    def items(self, kind: str) -> tuple[Item, ...]:
        """Returns the choices made in a table of alphas."""

    def skips(self, kind: str) -> int:
        """Returns how many of them are skip connections."""

    def to_json(self) -> str:
        """Returns JSON text of a fixed form, without a newline at the end."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the genotype as JSON, atomically."""


def genotype_class(space: object) -> type:
    """Returns the class of the genotypes of a search space.

    Raises:
        GenotypeError: When there is no such space.
    """
    if not isinstance(space, str) or space not in GENOTYPES:
        expected = " or ".join(map(repr, GENOTYPES))
        raise GenotypeError(f"a genotype of the search space {brief(space)}. Expected {expected}.")
    module, name = GENOTYPES[space].split(":")
    return getattr(import_module(module), name)


def genotype_from_json(text: str) -> AnyGenotype:
    """Reads the JSON form of a genotype of any space; one that names no space is of S1.

    Raises:
        GenotypeError: Whatever is wrong with the text.
    """
    document = parse_json(text)
    space = document.get("space", SPACE) if isinstance(document, dict) else SPACE
    return genotype_class(space).from_json(text)


def load_genotype(name_or_path: str | os.PathLike[str]) -> AnyGenotype:
    """Reads a genotype of any space by the name of a published one, from a file, or from a run's directory.

    Args:
        name_or_path: A name of `fairdarts_tf.genotypes.published_names`; a JSON file; a file with a literal of DARTS or
            FairDARTS; or a directory that holds ``genotype.json``. A text that is a published name means the published
            genotype even where there is such a file: ``"./FairDARTS_a"``, or a `Path`, means the file.

    Raises:
        GenotypeError: When it is none of these, or cannot be read.

    Example:
        >>> genotype = fd.load_genotype("FairDARTS_a")
        >>> genotype.space, genotype.items("reduce")[0].op
        ('darts', 'max_pool_3x3')
        >>> fd.load_genotype("FairDARTS_z")
        Traceback (most recent call last):
        ...
        fairdarts_tf.errors.GenotypeError: unknown genotype 'FairDARTS_z'. Did you mean ...
    """
    if not isinstance(name_or_path, str | os.PathLike):
        raise GenotypeError(f"{brief(name_or_path)} is no genotype's name and no path. Name a published one or a file.")
    name = os.fspath(name_or_path)
    if name_or_path in published_names():
        return published(name)
    if not os.path.exists(name):
        raise GenotypeError(absent(name_or_path))
    path = Path(name, GENOTYPE_FILE) if os.path.isdir(name) else Path(name)
    try:
        text = read_text(path)
        return genotype_from_json(text) if text.lstrip().startswith("{") else Genotype.from_literal(text)
    except GenotypeError as error:
        raise GenotypeError(f"{path}: {error}") from None
