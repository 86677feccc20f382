"""A run that SIGKILL ends again and again comes to the same bits as one that was never killed."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_search
import tiny_training

from fairdarts_tf.checkpoints import list_checkpoints

TESTS = Path(__file__).resolve().parent


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def untimed(workdir: Path) -> list[dict[str, str]]:
    with open(workdir / "history.csv", newline="") as file:
        timed = ("seconds", "images_per_second")
        return [{name: value for name, value in row.items() if name not in timed} for row in csv.DictReader(file)]


def killed(folder: Path, **plans: tuple[int, int, dict[str, object]]) -> list[list[dict[str, object]]]:
    """Runs whole and killed, compares both to the bit, and returns what each start of each plan came to.

    Args:
        folder: Where to.
        plans: By kind of run: how many kills, in which of a start's first writes, and the settings; see `killing`.
    """
    seed = random.SystemRandom().getrandbits(32)
    print(f"the moments' seed is {seed}")
    names = ("kills", "most_writes", "settings")
    document = {kind: dict(zip(names, plan, strict=True)) | {"seed": seed} for kind, plan in plans.items()}
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    program = [sys.executable, str(TESTS / "killing.py"), str(folder), json.dumps(document)]
    subprocess.run(program, env=environment, check=True)
    return [assert_kills_changed_nothing(kind, folder / kind) for kind in plans]


def assert_kills_changed_nothing(kind: str, folder: Path) -> list[dict[str, object]]:
    whole, other = folder / "whole", folder / "killed"
    assert untimed(whole) == untimed(other)
    names = ("alphas.npz", "history.npz") if kind == "search" else ("best.npz", "last.npz")
    for name in names:
        np.testing.assert_equal(arrays(other / name), arrays(whole / name))
    last, expected = (arrays(list_checkpoints(run / "checkpoints")[-1]) for run in (other, whole))
    state = {name for name in expected if name.startswith("state/")}
    assert state == {name for name in last if name.startswith("state/")}
    assert any("velocity" in name for name in state)
    for name in state:
        np.testing.assert_array_equal(last[name], expected[name], err_msg=name)
    assert {path.name for path in whole.rglob("*") if path.is_file() and "tfevents" not in path.name} == {
        path.name for path in other.rglob("*") if path.is_file() and "tfevents" not in path.name
    }
    outcomes = json.loads((folder / "outcomes.json").read_text())
    print(*outcomes, sep="\n")
    assert outcomes[-1]["code"] == 0
    assert {outcome["code"] for outcome in outcomes[:-1]} <= {0, -9}
    return outcomes[:-1]


def search_settings(**changes: object) -> dict[str, object]:
    return tiny_search.TINY | {"checkpoint_steps": 3, "epochs": 3, "steps_per_epoch": 4} | changes


def train_settings(folder: Path, **changes: object) -> dict[str, object]:
    own = {"genotype": str(tiny_training.genotype_file(folder)), "average_decay": 0.9, "drop_path": 0.5}
    return tiny_training.TINY | own | {"checkpoint_steps": 3, "epochs": 3, "steps_per_epoch": 4} | changes


def test_a_search_and_a_training_killed_in_a_write_and_among_the_steps(tmp_path):
    outcomes = killed(tmp_path, search=(2, 8, search_settings()), train=(1, 6, train_settings(tmp_path)))
    assert [starts[0]["code"] for starts in outcomes] == [-9, -9], "killed in a write"


@pytest.mark.slow
def test_a_search_killed_at_twenty_random_moments(tmp_path):
    (outcomes,) = killed(tmp_path, search=(20, 12, search_settings(epochs=30, steps_per_epoch=10, alpha_noise=0.1)))
    assert sum(outcome["code"] == -9 for outcome in outcomes) >= 15, "most of them before the end"
    assert len({tuple(outcome["steps"]) for outcome in outcomes}) > 5, "at many steps"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_training_killed_at_twenty_random_moments(tmp_path, precision):
    settings = train_settings(tmp_path, epochs=30, steps_per_epoch=10, precision=precision)
    (outcomes,) = killed(tmp_path, train=(20, 12, settings))
    assert sum(outcome["code"] == -9 for outcome in outcomes) >= 15, "most of them before the end"
