"""Searches and trainings on photographs of several sizes that stay encoded, by their commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from photographs import write_folder
from tiny_search import NoLog, search, tiny_flags, without_pictures
from tiny_training import tiny_flags as tiny_training_flags
from tiny_training import train

from fairdarts_tf import search_run
from fairdarts_tf.checkpoints import list_checkpoints, load_latest
from fairdarts_tf.evaluation.run import evaluate_run
from fairdarts_tf.runs import Run
from fairdarts_tf.training import run as training_run

DATA = {
    "image_size": 16,
    "resize_size": 20,
    "storage": "encoded",
    "crop": "resized",
    "color_jitter": 0.4,
    "classes": "china,hopper",
    "cutout": 0,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    without_pictures(monkeypatch)
    return


def _search_flags(root: Path, workdir: Path, **changes: object) -> list[str]:
    shares = {"train_portion": 0.4, "search_portion": 0.3, "batch_size": 4}
    return tiny_flags(workdir, dataset=f"folder:{root}", **DATA | shares | {"checkpoint_steps": 1} | changes)


@pytest.mark.slow
def test_a_search_goes_on_to_the_bit(root: Path, tmp_path: Path):
    assert search(*_search_flags(root, tmp_path / "whole")) == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    list_checkpoints(tmp_path / "stopped" / "checkpoints")[-1].unlink()  # As if it had been killed in its last step.
    assert search(*_search_flags(root, tmp_path / "stopped", cache_dir=tmp_path)) == 0, "the cache may move"
    first, second = (load_latest(tmp_path / name / "checkpoints")[0] for name in ("whole", "stopped"))
    states = [name for name in first if name.startswith("state/")]
    assert states and all(np.array_equal(first[name], second[name]) for name in states)
    recorded = Run(tmp_path / "whole").settings()
    assert (recorded["storage"], recorded["classes"], recorded["search_portion"]) == ("encoded", "china,hopper", "0.3")


def test_a_training_is_validated_and_evaluated_on_the_same_squares(root: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(training_run, "TensorBoardLog", NoLog)
    flags = tiny_training_flags(
        tmp_path, dataset=f"folder:{root}", **DATA | {"batch_size": 4, "validation_portion": 0.3, "layers": 3}
    )
    assert train(*flags) == 0
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    accuracies = [float(row.split(",")[rows[0].split(",").index("validation_accuracy")]) for row in rows[1:]]
    held_back = evaluate_run(tmp_path / "run", split="held_back")
    assert held_back.measures.top_1 == pytest.approx(max(accuracies))
    assert held_back.class_names == ("china", "hopper")
    assert evaluate_run(tmp_path / "run").images == 3, "of the other class, the test images do not count"


def test_an_image_that_breaks_while_a_search_runs_ends_it_by_name(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(root, tmp_path / "photographs")
    build = search_run.build_search

    def build_and_break(*arguments: object) -> object:
        for file in (tmp_path / "photographs" / "train" / "hopper").iterdir():
            file.write_bytes(file.read_bytes()[:500])
        return build(*arguments)

    monkeypatch.setattr(search_run, "build_search", build_and_break)
    assert search(*_search_flags(tmp_path / "photographs", tmp_path / "run")) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("search: ")]
    assert "cannot decode image" in line and "hopper" in line and line.endswith("Replace or remove the file.")
