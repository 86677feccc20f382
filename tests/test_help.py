"""`--help` and `--version`: what they show, in which width, and that they start at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fairdarts_tf
from fairdarts_tf.cli import random_search, search, train
from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.completion_scripts import all_commands
from fairdarts_tf.cli.help_text import help_text
from fairdarts_tf.paper_values import SEARCHES, TRAININGS
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_checks import as_flags
from fairdarts_tf.spaces.mobile import MobileSpace
from fairdarts_tf.training.settings import TrainSettings

PROJECT = Path(__file__).resolve().parents[1]
COMMANDS = all_commands()


def entry(text: str, flag: str) -> str:
    """Returns what the help says of a flag, as one line."""
    found = re.search(rf"^  --(?:\[no\])?{flag}\b.*?(?=^  --|^$|\Z)", text, flags.DOTALL | flags.MULTILINE)
    return " ".join(found[0].split())


flags = re


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@pytest.mark.parametrize("width", [60, 100, 140])
def test_every_flag_is_there_once_within_the_width(command: Command, width: int):
    text = help_text(command, width)
    shown = re.findall(r"^  --(?:\[no\])?(\w+)", text, re.MULTILINE)
    assert sorted(shown) == sorted([*command.flags, "flagfile", "help", "version"])
    assert "``" not in text and "`" not in text
    for line in text.splitlines():
        # A command to copy, and a word that is longer than the line, stay whole.
        assert len(line) <= width or line.lstrip().startswith(("bin/", "--", "echo")) or len(line.split()) == 1


def test_flags_are_grouped_and_in_their_order():
    text = search.COMMAND.help()
    headings = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    wanted = ["Run", "Data", "Search space", "Search", "Switches", "Cost of the network", "Memory", "Derivation"]
    assert headings[: len(wanted)] == wanted
    assert text.index("--epochs") < text.index("--batch_size") < text.index("--learning_rate=")


def test_type_default_and_the_papers_values():
    text = help_text(search.COMMAND, 100)
    assert entry(text, "batch_size").startswith("--batch_size=INTEGER Images of a step")
    assert entry(text, "batch_size").endswith("[default: 128; FairDARTS: 128; DARTS: 64]")
    assert entry(text, "layers").endswith("[default: 8; FairDARTS and DARTS: 8]")
    assert entry(text, "relaxation").startswith("--relaxation={sigmoid,softmax}")
    assert entry(text, "download") == (
        "--[no]download Whether data that are not prepared may be downloaded. [default: off]"
    )
    assert "[names: skips, ranking, eigenvalue; default: empty]" in entry(text, "early_stopping")
    text = help_text(train.COMMAND, 100)
    assert entry(text, "layers").endswith("[default: 20; CIFAR-10: 20; ImageNet: 14]")
    assert entry(text, "init_channels").startswith("--init_channels=INTEGER|auto")
    assert entry(help_text(random_search.COMMAND, 100), "epochs").endswith(
        "[default: 15; CIFAR-10: 600; ImageNet: 250]"
    )


def recorded(config: str) -> dict[str, str]:
    lines = (PROJECT / "configs" / f"{config}.flags").read_text().splitlines()
    given = (line.removeprefix("--").partition("=") for line in lines if line.startswith("--"))
    return {name: value or "true" for name, _, value in given}


OURS = {"workdir", "seed", "genotype", "storage", "validation_portion"}
"""What a configuration must decide and no paper does, or decides otherwise for a reason that the file gives."""


@pytest.mark.parametrize(
    ("settings", "papers", "paper", "config"),
    [
        (SearchSettings, SEARCHES, "FairDARTS", "cifar10"),
        (SearchSettings, SEARCHES, "DARTS", "darts_second"),
        (TrainSettings, TRAININGS, "CIFAR-10", "train_cifar10"),
        (TrainSettings, TRAININGS, "ImageNet", "train_imagenet"),
    ],
)
def test_the_papers_values_are_those_of_the_configurations(settings, papers, paper, config):
    base = {"genotype": "FairDARTS_a"} if settings is TrainSettings else {}
    values = {name: value for name, value in papers[paper].items() if not name.startswith("mobile")}
    stated = as_flags(settings(**base, **values))
    given = recorded(config)
    assert set(given) - OURS <= set(values), "the table has all that the configuration has"
    of_config = as_flags(settings(**base)) | as_flags(settings.from_flags(given) if not base else _training(given))
    for name in set(values) - OURS:
        assert stated[name] == of_config[name], name


def _training(given: dict[str, str]) -> TrainSettings:
    from fairdarts_tf.settings_checks import values_of

    return TrainSettings(**values_of(TrainSettings, {name: text for name, text in given.items() if name != "workdir"}))


def test_the_papers_space_of_layers_is_the_default():
    stated = {name: value for name, value in SEARCHES["FairDARTS"].items() if name.startswith("mobile")}
    assert MobileSpace(**stated) == MobileSpace()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_version(command: Command, capsys):
    assert command.execute(lambda: pytest.fail("it ran"), [command.name, "--version"]) == 0
    assert capsys.readouterr() == (f"{command.name} (fairdarts_tf) {fairdarts_tf.__version__}\n", "")


def test_help_and_version_load_no_tensorflow():
    names = ", ".join(f"fairdarts_tf.cli.{command.name}" for command in COMMANDS)
    check = f"import sys, {names}; print(sorted({{'tensorflow', 'keras', 'tensorboard'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", check], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("flag", ["--help", "--help=search", "--helpfull", "-h"])
def test_however_help_is_asked_for(flag: str, capsys):
    assert search.COMMAND.execute(lambda: None, ["search", flag]) == 0
    assert capsys.readouterr().out.startswith(search.COMMAND.help())


@pytest.mark.parametrize(("columns", "width"), [(None, 100), ("60", 60), ("10000", 140)])
def test_as_wide_as_the_terminal(columns, width, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert search.COMMAND.execute(lambda: None, ["search", "--help"]) == 0
    assert capsys.readouterr().out == help_text(search.COMMAND, width) + "\n"
