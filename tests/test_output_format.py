"""The flag `--format`: one and the same in every command that prints tables or JSON."""

from __future__ import annotations

import pytest
from absl import flags

from fairdarts_tf.cli import benchmark, evaluate, export, measure_data, predict, profile
from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.output_format import define_format, formatted

COMMANDS = [module.COMMAND for module in (benchmark, evaluate, export, measure_data, predict, profile)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_the_same(command: Command, capsys):
    flag = command.flags["format"]
    assert (flag.default, flag.parser.enum_values) == ("text", ["text", "json"])
    assert command.execute(lambda: pytest.fail("it ran"), [command.name, "--format=jsno"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "text|json" in line


def test_only_what_is_asked_for_is_made():
    values = flags.FlagValues()
    define_format(values)
    made = []
    for given, wanted in (([], "text"), (["--format=json"], "json")):
        values["format"].unparse()
        values(["command", *given])
        printed = formatted(values, lambda: made.append("text") or "text", lambda: made.append("json") or "json")
        assert printed == wanted
    assert made == ["text", "json"]
