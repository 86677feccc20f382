"""The flag `--format`: one and the same in every command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.completion_scripts import all_commands
from fairdarts_tf.cli.output_format import TABLE_FORMATS, define_format, formatted, results_alone, to_json

COMMANDS = [command for command in all_commands() if command.name != "completion"]
TABLES = {"random_search", "study", "tune"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_the_same(command: Command, capsys):
    flag = command.flags["format"]
    formats = ["text", "json", *(["csv"] if command.name in TABLES else [])]
    assert (flag.default, flag.parser.enum_values) == ("text", formats)
    assert command.execute(lambda: pytest.fail("it ran"), [command.name, "--format=jsno"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "Did you mean 'json'?" in line


def values_of(*arguments: str) -> flags.FlagValues:
    values = flags.FlagValues()
    define_format(values, TABLE_FORMATS)
    values(["command", *arguments])
    return values


def test_only_what_is_asked_for_is_made():
    made = []
    for given, wanted in (([], "text"), (["--format=json"], "json"), (["--format=csv"], "csv")):
        makers = [lambda name=name: made.append(name) or name for name in ("text", "json", "csv")]
        assert formatted(values_of(*given), *makers) == wanted
    assert made == ["text", "json", "csv"]


def test_json_of_what_results_hold():
    document = {
        "path": Path("a/b"),
        "count": np.int64(3),
        "share": np.float32(0.5),
        "table": np.array([[1.0, np.nan]]),
        "names": ("a", None),
        "rate": float("inf"),
        7: True,
    }
    wanted = {"path": "a/b", "count": 3, "share": 0.5, "table": [[1.0, None]], "names": ["a", None], "rate": None}
    assert json.loads(to_json(document)) == wanted | {"7": True}


def test_what_else_is_said_goes_to_stderr(capsys):
    for given in ((), ("--format=json",)):
        with results_alone(values_of(*given)):
            print("epoch 1", file=sys.stdout)
    assert capsys.readouterr() == ("epoch 1\n", "epoch 1\n")
