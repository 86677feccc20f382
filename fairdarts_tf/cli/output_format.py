"""The flag ``--format`` of the commands that print either tables for people or JSON for programs."""

from __future__ import annotations

from collections.abc import Callable

from absl import flags

FORMATS = ("text", "json")


def define_format(flag_values: flags.FlagValues) -> None:
    """Declares ``--format``, by default ``text``, in the flags of a command."""
    help_text = "What is printed: tables for people, or JSON."
    flags.DEFINE_enum("format", FORMATS[0], FORMATS, help_text, flag_values=flag_values, module_name="output")


def formatted(flag_values: flags.FlagValues, text: Callable[[], str], json: Callable[[], str]) -> str:
    """Returns what a command is to print.

    Args:
        flag_values: With a parsed ``--format``.
        text: Returns the text for people; called only where it is asked for, as is the other.
        json: Returns the JSON text.
    """
    return {"text": text, "json": json}[flag_values.format]()
