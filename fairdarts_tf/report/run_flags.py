"""What a search's flags say of how its alphas become a genotype, with a default for whatever they do not say."""

from __future__ import annotations

from collections.abc import Mapping

from fairdarts_tf.derivation import METHODS
from fairdarts_tf.errors import unknown_name
from fairdarts_tf.genotypes import DARTS_OPERATIONS, FAIRDARTS_OPERATIONS
from fairdarts_tf.relaxations import RELAXATIONS
from fairdarts_tf.sensitivity import DerivationSettings
from fairdarts_tf.settings import SearchSettings

_DECISIVE = ("relaxation", "operations", "method", "threshold")


def derivation_settings(settings: Mapping[str, str], columns: int | None, problems: list[str]) -> DerivationSettings:
    """Returns what decides the derivation.

    Args:
        settings: The flags as recorded, by name.
        columns: How many the alphas have, if that is known.
        problems: Takes what is missing or unusable.
    """
    default = SearchSettings()
    lacking = [name for name in ("epochs", *_DECISIVE) if name not in settings]
    if settings and lacking:
        problems.append(
            f"flags.txt is cut short: it lacks --{', --'.join(lacking)}. A search's defaults stand for them."
        )
    return DerivationSettings(
        relaxation=_one_of("relaxation", settings, RELAXATIONS, default.relaxation, problems),
        operations=_operations(settings.get("operations"), columns, problems),
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


def _operations(listed: str | None, count: int | None, problems: list[str]) -> tuple[str, ...]:
    """Returns one name for each column, invented where the recorded ones do not fit."""
    names = tuple(name.strip() for name in listed.split(",")) if listed else ()
    known = {len(operations): operations for operations in (FAIRDARTS_OPERATIONS, DARTS_OPERATIONS)}
    if count is None:
        return names or FAIRDARTS_OPERATIONS
    if len(names) == count:
        return names
    if names:
        problems.append(f"flags.txt names {len(names)} operations, and the alphas have {count} columns.")
    elif count in known:
        return known[count]
    return tuple(f"operation {column}" for column in range(1, count + 1))
