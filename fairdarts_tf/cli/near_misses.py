"""What is said of a flag that cannot be used: where it stands, and what was probably meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.flag_kinds import WholeOrAutoParser
from fairdarts_tf.errors import unknown_name
from fairdarts_tf.value_types import EXPECTED

_NESTED_AT_MOST = 20
_FIRST_FLAG = re.compile(r"(?:flag |unknown flag )?--?(\w+)")
_NO_SUCH_TYPE = re.compile(
    r"flag --(\w+)=(.*): (?:invalid literal for int\(\)|could not convert string to float|\('Non-boolean argument).*",
    re.DOTALL,
)
_KINDS = (
    (flags.BooleanParser, EXPECTED[bool]),
    (WholeOrAutoParser, f"{EXPECTED[int]} or auto"),
    (flags.IntegerParser, EXPECTED[int]),
    (flags.FloatParser, EXPECTED[float]),
)


def explain(error: flags.Error, values: flags.FlagValues) -> str:
    """Returns what is to be said of an error of parsing.

    Args:
        error: What absl raised.
        values: The flags that the command has.
    """
    if isinstance(error, flags.UnrecognizedFlagError):
        return f"unknown flag --{error.flagname}.{_suggestion(error.flagname, values)} --help lists all flags."
    if isinstance(error, flags.CantOpenFlagFileError):
        return _absent_flagfile(error)
    message = str(error).removeprefix("ERROR:: ")
    name, value = _name_and_value(message)
    parser = values[name].parser if name in values else None
    if isinstance(parser, flags.EnumParser):
        return f"--{name}: {unknown_name('value', value, parser.enum_values)}"
    mistyped = _NO_SUCH_TYPE.fullmatch(message)
    if mistyped:
        expected = next(words for kind, words in _KINDS if isinstance(values[mistyped[1]].parser, kind))
        return f"--{mistyped[1]} is {mistyped[2]!r:.80}, but must be {expected}."
    return f"{message}. --help lists all flags with their types."


def origin(message: str, arguments: Sequence[str]) -> str:
    """Returns the file and line of the flag that a message begins with; empty where no file has set it last.

    Args:
        message: Of an error.
        arguments: Of the command line.
    """
    match = _FIRST_FLAG.match(message)
    if match is None:
        return ""
    place = ""
    for name, where in _flags_in(arguments, ""):
        if match[1] in (name, name.removeprefix("no")):
            place = where
    return place


def _suggestion(name: str, values: flags.FlagValues) -> str:
    known = [*values, *(f"no{flag}" for flag in values if values[flag].boolean), "flagfile", "help", "version"]
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean --{near[0]}?" if near else ""


def _absent_flagfile(error: flags.Error) -> str:
    cause = error.__context__
    if not isinstance(cause, OSError) or not isinstance(cause.filename, str):
        return str(error).removeprefix("ERROR:: ")
    path = Path(cause.filename)
    beside = [file.name for file in path.parent.glob("*.flags")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    suggestion = f" Did you mean {str(path.with_name(near[0]))!r}?" if near else ""
    return f"--flagfile: cannot read {str(path)!r}: {cause.strerror}.{suggestion}"


def _name_and_value(message: str) -> tuple[str, str]:
    """Returns the flag and the value that one of absl's messages on an illegal value is about."""
    head, _, _ = message.partition(": value should be one of <")
    name, _, value = head.removeprefix("flag --").partition("=")
    return name, value


def _flags_in(lines: Sequence[str], file: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yields each flag's name, and the file and line that it stands in; nothing for the command line itself."""
    waiting = False
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        name, _, value = text.lstrip("-").partition("=")
        if waiting or (text.startswith("-") and name == "flagfile"):
            path = text if waiting else value
            waiting = not path
            if path and depth < _NESTED_AT_MOST:
                yield from _flags_in(_lines_of(path), path, depth + 1)
        elif text.startswith("-"):
            yield name, f"{file}, line {number}" if file else ""


def _lines_of(path: str) -> list[str]:
    try:
        return Path(os.path.expanduser(path)).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
