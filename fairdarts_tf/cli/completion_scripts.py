"""Scripts that let bash and zsh complete the commands: flags, the names that they may have, and files."""

from __future__ import annotations

import importlib
import pkgutil
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import fairdarts_tf.cli
from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.flag_kinds import known_values, may_be_file, takes_list

SHELLS = ("bash", "zsh")
FILES = "/"
"""Stands among names for those of files."""

_TEMPLATES = Path(__file__).with_name("completion_templates")


def all_commands() -> list[Command]:
    """Returns every command, in the order of their names."""
    modules = sorted(module.name for module in pkgutil.iter_modules(fairdarts_tf.cli.__path__))
    loaded = (importlib.import_module(f"fairdarts_tf.cli.{name}") for name in modules)
    return [module.COMMAND for module in loaded if isinstance(getattr(module, "COMMAND", None), Command)]


def completion_script(shell: str, commands: Sequence[Command], scripts: Path | None = None) -> str:
    """Returns a script that a shell is to source: bash from 3.2 on, or zsh after ``compinit``.

    Args:
        shell: One of `SHELLS`.
        commands: What is completed.
        scripts: The directory of the scripts that start them in a checkout. Defaults to None: there is none.
    """
    programs = [program for command in commands for program in _programs(command, scripts)]
    lists = [f"{command.name}:{name}" for command in commands for name in _lists(command)]
    parts = {
        "@FLAGS@": _branches((command.name, _flags(command)) for command in commands),
        "@VALUES@": _branches(pair for command in commands for pair in _values(command)),
        "@LISTS@": f"        {' | '.join(lists)}) return 0 ;;",
        "@PROGRAMS@": " ".join(map(shlex.quote, programs)),
    }
    text = "".join((_TEMPLATES / f"{name}.sh").read_text(encoding="utf-8") for name in ("words", shell))
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text


def _programs(command: Command, scripts: Path | None) -> list[str]:
    """Returns the names by which a command is started; bare ones, as ``export``, belong to the shell."""
    by_path = [f"bin/{command.name}", f"./bin/{command.name}", *([str(scripts / command.name)] if scripts else [])]
    return [f"fairdarts-{command.name.replace('_', '-')}", *by_path]


def _branches(pairs: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Returns branches of a shell's ``case``, each of which prints its words, one a line."""
    lines = (f"        {name}) printf '%s\\n' {' '.join(map(shlex.quote, words))} ;;" for name, words in pairs if words)
    return "\n".join(lines)


def _flags(command: Command) -> list[str]:
    found = ["--flagfile=", "--help", "--version"]
    for name in command.flags:
        found += [f"--{name}", f"--no{name}"] if command.flags[name].boolean else [f"--{name}="]
    return sorted(found)


def _values(command: Command) -> Iterator[tuple[str, list[str]]]:
    """Yields what may stand for each flag, and for the command's arguments."""
    if command.arguments:
        yield f"{command.name}:", list(command.known_arguments) or [FILES]
    for name in command.flags:
        flag = command.flags[name]
        yield f"{command.name}:{name}", [*known_values(flag), *([FILES] if may_be_file(flag) else [])]


def _lists(command: Command) -> list[str]:
    return [name for name in command.flags if takes_list(command.flags[name])]
