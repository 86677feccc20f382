"""What ``--help`` shows: what a command does, and its flags by subject, with defaults and the papers' values."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from fairdarts_tf.cli.flag_kinds import default_text, description, known_values, takes_list, value_text, written
from fairdarts_tf.paper_values import papers_values

if TYPE_CHECKING:
    from fairdarts_tf.cli.app import Command

WIDTH_WITHOUT_TERMINAL = 100
_LEAST_WIDTH, _LARGEST_WIDTH = 50, 140
_COLUMN = 32
"""Where descriptions begin; flags that are longer have them on the next line."""

_GAP = 2
EVERY_COMMAND = {
    "--flagfile=FILE": "Reads flags from a file, one a line; what is given after it overrides it.",
    "--help": "Shows this.",
    "--version": "Shows the version.",
}
"""Flags that all commands have, with what they do."""


def terminal_width() -> int:
    """Returns how wide text is to be: as the terminal, or as the variable COLUMNS says, within limits."""
    columns = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 24)).columns
    return min(max(columns, _LEAST_WIDTH), _LARGEST_WIDTH)


def help_text(command: Command, width: int) -> str:
    """Returns the help of a command.

    Args:
        command: Whose.
        width: The most characters of a line, but for single words that are longer.
    """
    usage = " ".join(part for part in (f"Usage: {command.name} [--FLAG=VALUE...]", command.arguments) if part)
    blocks = [usage, "\n".join(_wrapped(command.description, width)).rstrip()]
    for subject, members in _subjects(command.flags).items():
        lines = [_heading(subject), *(line for flag in members for line in _flag_lines(command, flag, width))]
        blocks.append("\n".join(lines))
    common = [line for name, text in EVERY_COMMAND.items() for line in _entry(name, [text], width)]
    blocks.append("\n".join([_heading("every command"), *common]))
    return "\n\n".join(blocks)


def _subjects(values: flags.FlagValues) -> dict[str, list[flags.Flag]]:
    """Returns the flags by subject, in the order in which they are defined."""
    by_subject = values.flags_by_module_dict()
    own = set(values)
    return {subject: [flag for flag in members if flag.name in own] for subject, members in by_subject.items()}


def _heading(subject: str) -> str:
    return f"{subject[0].upper()}{subject[1:]}:"


def _wrapped(description: str, width: int) -> Iterator[str]:
    """Yields the lines of a description: paragraphs wrapped anew, lists with a hanging indent, commands as they are."""
    paragraph: list[str] = []
    for line in [*description.strip().splitlines(), ""]:
        if line and not line.startswith((" ", "bin/")):
            paragraph.append(line)
            continue
        yield from textwrap.wrap(" ".join(paragraph), width, break_on_hyphens=False)
        paragraph = []
        if line.endswith("\\") or line.lstrip().startswith(("bin/", "--")):
            yield line
        else:
            hanging = " " * _text_column(line)
            yield from textwrap.wrap(line, width, subsequent_indent=hanging, break_on_hyphens=False) or [line]


def _text_column(line: str) -> int:
    """Returns where, in a list's line such as ``  name  text``, the text begins."""
    match = re.match(r" +\S+ {2,}", line)
    return match.end() if match else 0


def _flag_lines(command: Command, flag: flags.Flag, width: int) -> list[str]:
    return _entry(written(flag), [_plain(description(flag)), _values_line(command, flag)], width)


def _values_line(command: Command, flag: flags.Flag) -> str:
    """Returns the line with a flag's names, default and papers' values."""
    parts = []
    if takes_list(flag) and known_values(flag):
        parts.append(f"names: {', '.join(known_values(flag))}")
    default = default_text(flag)
    if default:
        parts.append(f"default: {default}")
    parts += [f"{paper}: {value}" for paper, value in _shared(papers_values(command.papers, flag.name)).items()]
    return f"[{'; '.join(parts)}]" if parts else ""


def _shared(by_paper: dict[str, object]) -> dict[str, str]:
    """Returns the papers' values in words; papers with the same value are named together."""
    papers: dict[str, list[str]] = {}
    for paper, value in by_paper.items():
        papers.setdefault(value_text(value), []).append(paper)
    return {" and ".join(names): value for value, names in papers.items()}


def _plain(text: str) -> str:
    """Returns a docstring's text for a terminal: ``x`` without quotes, and `x`, which is a setting, as a flag."""
    text = re.sub(r"``(.+?)``", r"\1", text)
    return re.sub(r"`(\w+)`", r"--\1", text)


def _entry(head: str, texts: list[str], width: int) -> list[str]:
    indent = " " * min(_COLUMN, width // 2)
    lines = [
        line
        for text in texts
        if text
        for line in textwrap.wrap(
            text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    ]
    head = f"{' ' * _GAP}{head}"
    if lines and len(head) + _GAP <= len(indent):
        return [head + lines[0][len(head) :], *lines[1:]]
    return [head, *lines]
