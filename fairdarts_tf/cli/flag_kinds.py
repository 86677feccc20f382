"""Kinds of flags: those that stand for names, and what ``--help`` and shells show of any kind."""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags


class NamesParser(flags.ListParser):
    """Reads names, comma-separated; whoever uses them checks them.

    Args:
        known: Names that are shown and completed.
        files: Whether files may be named too.
    """

    def __init__(self, known: Sequence[str], files: bool = False) -> None:
        super().__init__()
        self.known = tuple(known)
        self.files = files


class NameParser(flags.ArgumentParser):
    """Reads a name, which may be another than the known ones; whoever uses it checks it.

    Args:
        known: Names that are completed.
    """

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__()
        self.known = tuple(known)


class WholeOrAutoParser(flags.IntegerParser):
    """Reads a whole number, or ``auto``, which is 0."""

    known = ("auto",)

    def convert(self, argument: str | int) -> int:
        """Returns the number."""
        return 0 if argument == "auto" else super().convert(argument)


def define_names(
    name: str,
    default: Sequence[str],
    known: Sequence[str],
    description: str,
    flag_values: flags.FlagValues,
    module_name: str,
    files: bool = False,
) -> None:
    """Defines a flag for names, comma-separated, some of which are known, or for files too."""
    flags.DEFINE(
        NamesParser(known, files),
        name,
        list(default),
        description,
        flag_values=flag_values,
        serializer=flags.CsvListSerializer(","),
        module_name=module_name,
    )


def define_name(
    name: str,
    default: str | None,
    known: Sequence[str],
    description: str,
    flag_values: flags.FlagValues,
    module_name: str,
) -> None:
    """Defines a flag for a name, of which some are known."""
    flags.DEFINE(NameParser(known), name, default, description, flag_values=flag_values, module_name=module_name)


def define_whole_or_auto(
    name: str, default: int | None, description: str, flag_values: flags.FlagValues, module_name: str
) -> None:
    """Defines a flag for a whole number, or ``auto``, which is 0."""
    flags.DEFINE(WholeOrAutoParser(), name, default, description, flag_values=flag_values, module_name=module_name)


def known_values(flag: flags.Flag) -> tuple[str, ...]:
    """Returns the names that a flag may have, or some of them; none where it takes no names."""
    parser = flag.parser
    return tuple(parser.enum_values) if isinstance(parser, flags.EnumParser) else getattr(parser, "known", ())


def may_be_file(flag: flags.Flag) -> bool:
    """Returns whether a flag's value may be the name of a file or directory, as far as its kind tells."""
    if isinstance(flag.parser, NamesParser):
        return flag.parser.files
    kinds = (flags.EnumParser, flags.IntegerParser, flags.FloatParser)
    return not flag.boolean and not isinstance(flag.parser, kinds)


def takes_list(flag: flags.Flag) -> bool:
    """Returns whether a flag takes several values, comma-separated."""
    return isinstance(flag.parser, flags.ListParser)


def description(flag: flags.Flag) -> str:
    """Returns what a flag does, without the names that absl puts before it."""
    names = f"<{'|'.join(flag.parser.enum_values)}>: " if isinstance(flag.parser, flags.EnumParser) else ""
    return flag.help.removeprefix(names)


def written(flag: flags.Flag) -> str:
    """Returns how a flag is written, with what stands for its value, as in ``--epochs=INTEGER``."""
    if flag.boolean:
        return f"--[no]{flag.name}"
    return f"--{flag.name}={_kind(flag)}"


def default_text(flag: flags.Flag) -> str:
    """Returns a flag's default in words; empty where it has none."""
    return "" if flag.default is None else value_text(flag.default)


def value_text(value: object) -> str:
    """Returns a flag's value for people."""
    match value:
        case bool():
            return "on" if value else "off"
        case list() | tuple():
            return ", ".join(map(str, value)) or "empty"
        case float():
            return f"{value:g}"
    return str(value) or "empty"


def _kind(flag: flags.Flag) -> str:
    parser = flag.parser
    if isinstance(parser, flags.EnumParser):
        return f"{{{','.join(parser.enum_values)}}}"
    if isinstance(parser, flags.ListParser):
        return "NAME,..." if known_values(flag) else "VALUE,..."
    kinds = {
        WholeOrAutoParser: "INTEGER|auto",
        flags.IntegerParser: "INTEGER",
        flags.FloatParser: "NUMBER",
        NameParser: "NAME",
    }
    return next((kind for of, kind in kinds.items() if isinstance(parser, of)), "TEXT")
