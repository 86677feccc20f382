"""The examples of trainings in README.md, in `bin/train` and in its --help run as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tiny_training import GENOTYPE, train

from fairdarts_tf.cli.train import COMMAND

PROJECT = Path(__file__).resolve().parents[1]
SHORTENED = ("--epochs=1", "--steps_per_epoch=1", "--batch_size=10", "--validation_portion=0.002")
SEARCHES = ("runs/quickstart", "runs/cifar10_cpu", "runs/mine")


def commands_in(text: str) -> list[list[str]]:
    """Returns the flags of each command `bin/train` of a text; one whose line ends in a backslash goes on."""
    lines = re.findall(r"^(?:#.*: )?bin/train (--.*)", text.replace("\\\n", " "), flags=re.MULTILINE)
    # In a comment, a sentence follows.
    return [shlex.split(line.split(". ")[0], comments=True) for line in lines]


README = (PROJECT / "README.md").read_text(encoding="utf-8")
EXAMPLES = {
    "help": commands_in(COMMAND.help()),
    "script": commands_in((PROJECT / "bin" / "train").read_text(encoding="utf-8")),
    "readme": commands_in(README),
}


def test_there_are_examples():
    assert {place: len(found) for place, found in EXAMPLES.items()} == {
        "help": 3,
        "script": 1,
        "readme": 1,
    }


def distinct_examples() -> list[object]:
    """Returns each example once. Those without a configuration, which train networks of the papers' size, are slow."""
    found = sorted({tuple(flags) for found in EXAMPLES.values() for flags in found})
    marks = [() if flags[0].startswith("--flagfile") else pytest.mark.slow for flags in found]
    return [pytest.param(flags, marks=mark, id=flags[0]) for flags, mark in zip(found, marks, strict=True)]


@pytest.mark.parametrize("flags", distinct_examples())
def test_it_runs(tmp_path, monkeypatch, request, flags):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(PROJECT / "configs")
    for search in SEARCHES:
        Path(search).mkdir(parents=True)
        GENOTYPE.save(Path(search, "genotype.json"))
    own = ["--workdir=own"] if not any(flag.startswith(("--workdir", "--flagfile")) for flag in flags) else []
    if "cifar10" in " ".join(flags):
        data_dir = request.getfixturevalue("shared") / "tfds"
        if not (data_dir / "cifar10").is_dir():
            pytest.skip("needs CIFAR-10, prepared for tensorflow-datasets, in ../shared/tfds")
        own.append(f"--data_dir={data_dir}")
    assert train(*flags, *SHORTENED, *own) == 0
