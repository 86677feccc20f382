"""The flag ``--format`` of all commands: what goes to standard output is for people, or JSON, or CSV for programs.

JSON and CSV are alone there; whatever else a command says goes to standard error.
"""

from __future__ import annotations

import contextlib
import json as json_library
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

FORMATS = ("text", "json")
TABLE_FORMATS = (*FORMATS, "csv")
"""Of commands whose result is a table."""

_MEANINGS = {"text": "text for people", "json": "JSON alone", "csv": "CSV alone"}


def define_format(flag_values: flags.FlagValues, formats: Sequence[str] = FORMATS) -> None:
    """Declares ``--format``, by default ``text``, in the flags of a command.

    Args:
        flag_values: The command's.
        formats: Those that it has. Defaults to text and JSON.
    """
    first, *others = (_MEANINGS[name] for name in formats)
    help_text = f"What is printed: {', '.join([first, *others[:-1]])} or {others[-1]}."
    flags.DEFINE_enum("format", formats[0], formats, help_text, flag_values=flag_values, module_name="output")


def formatted(
    flag_values: flags.FlagValues,
    text: Callable[[], str],
    json: Callable[[], str],
    csv: Callable[[], str] | None = None,
) -> str:
    """Returns what a command is to print.

    Args:
        flag_values: With a parsed ``--format``.
        text: Returns the text for people; called only where it is asked for, as are the others.
        json: Returns the JSON text.
        csv: Returns the CSV text. Defaults to None: the command has none.
    """
    return {"text": text, "json": json, "csv": csv}[flag_values.format]().removesuffix("\n")


def to_json(document: object) -> str:
    """Returns a document as JSON text: NumPy's numbers and arrays as plain ones, paths as text, NaN as null."""
    return json_library.dumps(_plain(document), indent=2, allow_nan=False)


@contextlib.contextmanager
def results_alone(flag_values: flags.FlagValues) -> Iterator[None]:
    """Lets what is printed meanwhile go to standard error where standard output is to hold JSON or CSV alone."""
    if flag_values.format == "text":
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _plain(value: object) -> Any:
    match value:
        case Mapping():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple() | np.ndarray():
            return [_plain(item) for item in value]
        case np.generic():
            return _plain(value.item())
        case float() if not math.isfinite(value):
            return None
        case os.PathLike():
            return os.fspath(value)
    return value
