"""docs/commands.md says what the commands are, what they print and how they end; each exit code is met here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairdarts_tf.cli import app, quiet
from fairdarts_tf.cli.app import EXIT_CODES, Command
from fairdarts_tf.cli.completion_scripts import all_commands
from fairdarts_tf.errors import (
    ConfigurationError,
    DataError,
    ExportError,
    GenotypeError,
    NotFiniteError,
    RunError,
    WorkerLostError,
)

PAGE = "\n" + (Path(__file__).resolve().parents[1] / "docs" / "commands.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Returns the cells of the first table after a heading, without its head."""
    lines = PAGE.split(f"\n{heading}\n")[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    table = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_every_command_and_its_formats():
    found = {row[0].strip("`").removeprefix("bin/"): row for row in rows("# Commands")}
    commands = {command.name: command for command in all_commands()}
    assert set(found) >= set(commands)
    for name, command in commands.items():
        assert found[name][1] == f"`fairdarts-{name.replace('_', '-')}`"
        formats = command.flags["format"].parser.enum_values if "format" in command.flags else []
        assert found[name][2] == ", ".join(formats)


def test_every_exit_code():
    assert {int(code): meaning for code, meaning in rows("## Exit codes")} == EXIT_CODES
    constants = {value for name, value in vars(app).items() if name.startswith("EXIT_") and isinstance(value, int)}
    assert constants | {0} == set(EXIT_CODES)


def test_every_environment_variable_is_one_that_the_project_reads():
    root = Path(__file__).resolve().parents[1]
    files = [*root.glob("fairdarts_tf/**/*.py"), *(path for path in root.glob("bin/*") if path.is_file())]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    documented = {name for row in rows("## Environment variables") for name in re.findall(r"`(\w+)`", row[0])}
    others = {"COLUMNS", "NO_COLOR"}  # The libraries read them.
    assert all(name in code for name in documented - others)
    read = set(re.findall(r'environ(?:\.get|\.setdefault)?[\[(]"(\w+)"', code))
    assert read - documented - {"PYTHONPATH"} == set()


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (None, 0),
        (ConfigurationError("unfit"), 2),
        (GenotypeError("unfit"), 2),
        (DataError("unfit"), 2),
        (RunError("unfit"), 2),
        (ExportError("unfit"), 2),
        (OSError(28, "No space left on device", "a"), 2),
        (NotFiniteError("unfit"), 3),
        (WorkerLostError("unfit"), 75),
        (KeyboardInterrupt(), 130),
    ],
)
def test_how_commands_end(raised, code, capsys):
    def main() -> None:
        if raised is not None:
            raise raised

    assert Command("sample", "Does nothing.").execute(main, ["sample"]) == code
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == (code != 0)


def test_a_code_of_its_own_is_handed_on():
    assert Command("sample", "Does nothing.").execute(lambda: app.EXIT_TERMINATED, ["sample"]) == 143


def test_nothing_colours_its_output():
    """So that a log holds no control characters, with or without NO_COLOR."""
    package = Path(quiet.__file__).parents[1]
    for path in package.rglob("*.py"):
        assert "\\033[" not in path.read_text(encoding="utf-8") and "\\x1b[" not in path.read_text(encoding="utf-8")
