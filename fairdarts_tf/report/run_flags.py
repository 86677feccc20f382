"""What a search's flags say of how its alphas become a genotype, with a default for whatever they do not say."""

from __future__ import annotations

from collections.abc import Mapping

from fairdarts_tf.derivation import METHODS
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.relaxations import RELAXATIONS
from fairdarts_tf.sensitivity import DerivationSettings
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import SearchSpace, recorded_class

_DECISIVE = ("relaxation", "operations", "method", "threshold")

Shapes = Mapping[str, tuple[int, ...]]


def derivation_settings(settings: Mapping[str, str], tables: Shapes, problems: list[str]) -> DerivationSettings:
    """Returns what decides the derivation.

    Args:
        settings: The flags as recorded, by name.
        tables: The shapes (rows, operations) of the tables of alphas, by kind; empty if they are not known.
        problems: Takes what is missing or unusable.
    """
    default = SearchSettings()
    lacking = [name for name in ("epochs", *_DECISIVE) if name not in settings]
    if settings and lacking:
        problems.append(
            f"flags.txt is cut short: it lacks --{', --'.join(lacking)}. A search's defaults stand for them."
        )
    return DerivationSettings(
        space=_space(settings, tables, problems),
        relaxation=_one_of("relaxation", settings, RELAXATIONS, default.relaxation, problems),
        method=_one_of("method", settings, METHODS, default.method, problems),
        threshold=_threshold(settings.get("threshold"), default.threshold, problems),
        max_skips=_count("max_skips", settings, problems),
        average_last=_count("average_last", settings, problems) or default.average_last,
    )


def whole_number(text: str) -> int | None:
    """Returns the whole number that a flag holds, or None if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _one_of(
    name: str, settings: Mapping[str, str], known: Mapping[str, object], default: str, problems: list[str]
) -> str:
    value = settings.get(name, default)
    if value in known:
        return value
    problems.append(f"flags.txt: --{name}: {unknown_name('value', value, known)} Taken instead: {default}.")
    return default


def _threshold(text: str | None, default: float, problems: list[str]) -> float:
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if 0 <= value <= 1:
        return value
    problems.append(f"flags.txt: --threshold={text} is no number from 0 to 1. Taken instead: {default:g}.")
    return default


def _count(name: str, settings: Mapping[str, str], problems: list[str]) -> int | None:
    """Returns a number that was recorded, or None where there is none, or -1, which stands for none."""
    text = settings.get(name, "-1")
    if text != "-1" and whole_number(text) is None:
        problems.append(f"flags.txt: --{name}={text} is no whole number. Taken instead: the default.")
    return whole_number(text)


def _space(settings: Mapping[str, str], tables: Shapes, problems: list[str]) -> SearchSpace:
    """Returns the search's space, or one with invented names where the recorded one does not fit the alphas."""
    try:
        space = recorded_class(settings, tables)
    except ConfigurationError as error:
        problems.append(f"flags.txt: {error}")
        settings = {name: value for name, value in settings.items() if name != "space"}
        space = recorded_class(settings, tables)
    try:
        found = space.of_records(settings, tables)
    except ConfigurationError as error:
        if settings and tables:
            problems.append(f"flags.txt: {error}")
        return space.unknown(tables) if tables else space.of_records({}, {})
    columns = next((shape[1] for shape in tables.values()), len(found.operations))
    if len(found.operations) == columns:
        return found
    problems.append(f"flags.txt names {len(found.operations)} operations, and the alphas have {columns} columns.")
    return space.unknown(tables)
