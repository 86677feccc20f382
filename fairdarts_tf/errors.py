"""Errors that a user can mend: each message says what was wrong, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FairDartsError(ValueError):
    """Base of every error that bad input may cause. Commands print it as one line and exit with code 2.

    Example:
        >>> try:
        ...     fd.load_dataset("digitz")
        ... except fd.FairDartsError as error:
        ...     print(str(error).split("?")[0])
        unknown dataset 'digitz'. Did you mean 'digits'
    """


class GenotypeError(FairDartsError):
    """A genotype, or a table of alphas, that cannot be read or does not fit its search space."""


class DataError(FairDartsError):
    """A data set that is unknown, absent, broken or unfit for the network."""


class ConfigurationError(FairDartsError):
    """A setting outside its range, or settings that contradict each other."""


class RunError(FairDartsError):
    """A run's directory that cannot be written, read or continued."""


class NotFiniteError(FairDartsError):
    """A run whose loss or gradient became NaN or infinite. Commands exit with a code of its own, 3."""


class WorkerLostError(FairDartsError):
    """Another worker of the run is gone; it goes on once all are started again. Commands then exit with 75."""


class ExportError(FairDartsError):
    """A network that a format cannot hold, that computes something else there, or that has no place to go."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Returns a message for an unknown name that suggests the nearest known one.

    Args:
        kind: What the name stands for, as in ``"operation"``.
        name: What was given in its place.
        known: All names that would have been right.
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    suggestion = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{suggestion} Known: {', '.join(known)}."
