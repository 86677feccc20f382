"""What the settings of all runs share: their ranges, and their form as flags."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping

from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.value_types import EXPECTED, as_type, set_types

STRATEGIES = ("auto", "none", "mirrored", "multi_worker")
ON_NAN = ("stop", "retry")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STORAGES = ("auto", "memory", "disk", "encoded")
CROPS = ("padded", "resized")
MOST_PROFILED_STEPS = 50


def check_settings(
    settings: object, choices: Mapping[str, Collection[str]], ranges: Mapping[str, tuple[float, float]]
) -> None:
    """Checks each setting on its own, and gives it the type of its default; see `fairdarts_tf.value_types`.

    Args:
        settings: A dataclass; it may be frozen.
        choices: The names that a setting, or each item of one that is a tuple, may have, by the setting's name.
        ranges: The least and the greatest value of a setting, by its name.

    Raises:
        ConfigurationError: When a value is not among them, or has another type.
    """
    set_types(settings)
    for name, known in choices.items():
        value = getattr(settings, name)
        for chosen in value if isinstance(value, tuple) else (value,):
            if chosen not in known:
                raise ConfigurationError(f"--{name}: {unknown_name('value', chosen, known)}")
    for name, (least, most) in ranges.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            raise ConfigurationError(f"--{name} is {value}, but must be from {least:g} to {most:g}.")


def check_accumulation(settings: object) -> None:
    """Checks that a batch can be taken in so many parts.

    Args:
        settings: With `batch_size`, `accumulate` and `sync_batch_norm`.

    Raises:
        ConfigurationError: When it cannot.
    """
    if settings.batch_size % settings.accumulate:
        raise ConfigurationError(
            f"--batch_size={settings.batch_size} cannot be taken in {settings.accumulate} equal parts. Make it a "
            "multiple of --accumulate."
        )
    if settings.accumulate > 1 and settings.sync_batch_norm:
        raise ConfigurationError(
            "--sync_batch_norm normalises by the whole batch, of which --accumulate sees one part at a time. Leave one "
            "of them out."
        )


def profiled_steps(text: str) -> range:
    """Returns the steps of a run that ``--profile_steps`` names, counted from 1; none for an empty text.

    Args:
        text: ``FIRST:LAST``, as ``10:12`` for three steps.

    Raises:
        ConfigurationError: When it is something else, or names more than `MOST_PROFILED_STEPS`.
    """
    if not text:
        return range(0)
    match = re.fullmatch(r"([1-9][0-9]{0,11}):([1-9][0-9]{0,11})", text)
    steps = range(int(match[1]), int(match[2]) + 1) if match else range(0)
    if not 0 < len(steps) <= MOST_PROFILED_STEPS:
        raise ConfigurationError(
            f"--profile_steps is {text!r:.100}, but must be FIRST:LAST, two steps of the run counted from 1 and "
            f"at most {MOST_PROFILED_STEPS} in all, as 10:12."
        )
    return steps


def check_data_settings(settings: object) -> None:
    """Checks what the settings of a run say of its images, one beside another.

    Args:
        settings: With the fields ``image_size``, ``resize_size``, ``classes``, ``storage`` and ``cache_dir``.

    Raises:
        ConfigurationError: When they contradict each other.
    """
    if settings.resize_size and not settings.image_size:
        raise ConfigurationError(
            f"--resize_size={settings.resize_size} leaves a margin around the squares of --image_size, which is 0. "
            "Name their side too."
        )
    if 0 < settings.resize_size < settings.image_size:
        raise ConfigurationError(
            f"--resize_size is {settings.resize_size}, below --image_size={settings.image_size}, around whose squares "
            "it is to leave a margin. Raise it, or pass 0 for none."
        )
    if settings.storage == "disk" and not settings.cache_dir:
        raise ConfigurationError(
            "--storage=disk needs a directory for the decoded images. Name it with --cache_dir; docs/imagenet.md says "
            "how large they are."
        )
    if not all(settings.classes) or len(set(settings.classes)) < len(settings.classes):
        raise ConfigurationError(
            f"--classes={','.join(settings.classes)} has a name that is empty, or one twice. Name each class once."
        )
    if len(settings.classes) == 1 and not (settings.classes[0].isdecimal() and int(settings.classes[0]) >= 2):
        raise ConfigurationError(
            f"--classes is {settings.classes[0]!r}, but must be a number from 2 on, or the names of at least two "
            "classes, comma-separated."
        )


def as_flags(settings: object) -> dict[str, str]:
    """Returns every field of a dataclass of settings as text, by its flag's name, as a flagfile holds it."""
    return {field.name: _as_text(getattr(settings, field.name)) for field in dataclasses.fields(settings)}


def default_flags(settings: type) -> dict[str, str]:
    """Returns the default of every field of a dataclass of settings that has one, as `as_flags` does."""
    fields = [field for field in dataclasses.fields(settings) if field.default is not dataclasses.MISSING]
    return {field.name: _as_text(field.default) for field in fields}


def values_of(settings: type, recorded: Mapping[str, str]) -> dict[str, object]:
    """Returns the values of a dataclass' fields from what `as_flags` wrote; what is not there is left out.

    Raises:
        ConfigurationError: When a text is no value of its field's type.
    """
    fields = [field for field in dataclasses.fields(settings) if field.name in recorded]
    return {field.name: _from_text(field, recorded[field.name]) for field in fields}


def _from_text(field: dataclasses.Field, text: str) -> object:
    kind = type(field.default)
    try:
        return as_type(f"--{field.name}", _PARSERS[kind](text), field.default)
    except ConfigurationError:
        raise
    except (KeyError, ValueError):
        raise ConfigurationError(f"--{field.name} is {text!r}, but must be {EXPECTED[kind]}.") from None


_PARSERS: dict[type, Callable[[str], object]] = {
    bool: {"true": True, "false": False}.__getitem__,
    int: int,
    float: float,
    str: str,
    tuple: lambda text: tuple(name.strip() for name in text.split(",") if name.strip()),
}


def _as_text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
    return str(value)
