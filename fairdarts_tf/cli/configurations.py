"""The configurations that come with the package: what ``--flagfile=configs/NAME.flags`` means outside a checkout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FOLDER = "configs"
_FLAG = "flagfile"
_PACKAGE = Path(__file__).resolve().parents[1]


def with_configurations(argv: Sequence[str]) -> list[str]:
    """Returns arguments in which a flagfile ``configs/NAME.flags`` that is not there is the package's own."""
    found = list(argv)
    for place, text in enumerate(argv[1:], start=1):
        if text == "--":
            break
        name, given, path = text.partition("=")
        if name.lstrip("-") == _FLAG and given:
            found[place] = f"{name}={_configuration(path)}"
        elif argv[place - 1].lstrip("-") == _FLAG and argv[place - 1].startswith("-"):
            found[place] = _configuration(text)
    return found


def _configuration(path: str) -> str:
    """Returns where a flagfile is: the path itself, unless nothing is there and the package has one of that name."""
    if Path(path).exists() or Path(path).parent != Path(FOLDER):
        return path
    # In a checkout they lie beside the package, in an installed one within it.
    for folder in (_PACKAGE / FOLDER, _PACKAGE.parent / FOLDER):
        if (folder / Path(path).name).is_file():
            return str(folder / Path(path).name)
    return path
