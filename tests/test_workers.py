"""Searches and trainings on several workers, started by their commands, against one process with the same batches."""

from __future__ import annotations

import csv
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from loopback import codes, said, start
from tiny_search import as_flags, search
from tiny_training import GENOTYPE, train

from fairdarts_tf.checkpoints import list_checkpoints, load_latest

SHARED = {"batch_size": 20, "steps_per_epoch": 3, "epochs": 2, "sync_batch_norm": "true", "checkpoint_steps": 1}
SEARCH = SHARED | {
    "init_channels": 2,
    "layers": 3,
    "nodes": 1,
    "operations": "skip_connect,sep_conv_3x3",
    "method": "darts",
    "alpha_noise": 0.5,
}
TRAIN = SHARED | {"init_channels": 2, "layers": 3, "cutout": 2, "auxiliary_weight": 0, "drop_path": 0.6}
TIMES = {"seconds", "images_per_second"}


def settings(command: str, folder: Path, **changes: object) -> dict[str, object]:
    if command == "search":
        return SEARCH | changes
    GENOTYPE.save(folder / "genotype.json")
    return TRAIN | {"genotype": folder / "genotype.json", "average_decay": 0.9} | changes


def start_workers(command: str, count: int, folder: Path, **changes: object) -> list[subprocess.Popen]:
    """Starts workers, each with a directory of its own, as on machines that share none."""
    shared = settings(command, folder, **changes)
    return start(command, [as_flags(workdir=folder / f"run_{index}", **shared) for index in range(count)], folder)


def run_alone(command: str, folder: Path, **changes: object) -> None:
    """Does the same in this process."""
    flags = as_flags(workdir=folder / "alone", **settings(command, folder, **changes))
    assert {"search": search, "train": train}[command](*flags) == 0


def assert_same_runs(folder: Path) -> None:
    """Compares states and histories of the chief and of one process."""
    (found, _), (expected, _) = (load_latest(folder / run / "checkpoints") for run in ("run_0", "alone"))
    assert set(found) == set(expected)
    states = [name for name in expected if name.startswith("state/") and "metrics/" not in name]
    assert sum(any(part in name for part in ("velocity", "moving_variance", "moment")) for name in states) > 10
    for name in states:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
    rows, expected_rows = (history(folder / run) for run in ("run_0", "alone"))
    assert len(rows) == len(expected_rows) > 0
    for row, other in zip(rows, expected_rows, strict=True):
        assert row == pytest.approx(other, rel=1e-4, abs=1e-5)


def history(run: Path) -> list[dict[str, float]]:
    """Returns the numbers of each epoch but its times."""
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items() if value and name not in TIMES}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(autouse=True)
def no_cluster_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ("search", 2),
        pytest.param("train", 2, marks=pytest.mark.slow),
        pytest.param("search", 4, marks=pytest.mark.slow),
        pytest.param("train", 4, marks=pytest.mark.slow),
    ],
)
def test_workers_compute_what_one_process_does(command: str, count: int, tmp_path: Path):
    workers = start_workers(command, count, tmp_path)
    assert codes(workers) == [0] * count, said(tmp_path, count)
    assert not any((tmp_path / f"run_{index}").exists() for index in range(1, count)), "only the chief writes"
    assert not any((tmp_path / f"{index}.txt").read_text() for index in range(1, count)), "only the chief speaks"
    run_alone(command, tmp_path)
    assert_same_runs(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["search", "train"])
def test_a_killed_worker_ends_all_and_they_go_on(command: str, tmp_path: Path):
    changes = {"epochs": 4}
    workers = start_workers(command, 2, tmp_path, **changes)
    wait_for_checkpoint(tmp_path, 4, workers)
    workers[1].kill()
    assert codes(workers) == [75, -signal.SIGKILL], said(tmp_path, 2)
    assert "another worker stopped" in (tmp_path / "0.txt").read_text()
    # Within the second epoch.
    assert list_checkpoints(tmp_path / "run_0" / "checkpoints")
    workers = start_workers(command, 2, tmp_path, **changes)
    assert codes(workers) == [0, 0], said(tmp_path, 2)
    run_alone(command, tmp_path, **changes)
    assert_same_runs(tmp_path)


@pytest.mark.slow
def test_a_worker_that_is_terminated_stops_all_and_they_go_on(tmp_path: Path):
    changes = {"epochs": 4, "checkpoint_steps": 0}
    workers = start_workers("search", 2, tmp_path, **changes)
    wait_for_checkpoint(tmp_path, 3, workers)
    workers[1].terminate()
    assert codes(workers) == [143, 143], said(tmp_path, 2)
    workers = start_workers("search", 2, tmp_path, **changes)
    assert codes(workers) == [0, 0], said(tmp_path, 2)
    run_alone("search", tmp_path, **changes)
    assert_same_runs(tmp_path)


@pytest.mark.slow
def test_workers_with_different_settings_are_refused(tmp_path: Path):
    flags = [as_flags(workdir=tmp_path / f"run_{index}", **SEARCH | {"seed": index}) for index in range(2)]
    assert codes(start("search", flags, tmp_path)) == [2, 2], said(tmp_path, 2)
    assert all("different values of --seed" in (tmp_path / f"{index}.txt").read_text() for index in range(2))
    assert not (tmp_path / "run_0").exists()


def wait_for_checkpoint(folder: Path, step: int, workers: list[subprocess.Popen]) -> None:
    """Waits until the chief has saved after that step or a later one."""
    until = time.monotonic() + 300
    while not (saved := list_checkpoints(folder / "run_0" / "checkpoints")) or int(saved[-1].stem[-9:]) < step:
        assert time.monotonic() < until and all(worker.poll() is None for worker in workers), said(folder, 2)
        time.sleep(0.05)
