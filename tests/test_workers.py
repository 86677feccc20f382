"""Searches and trainings on several workers, started by their commands, against one process with the same batches."""

from __future__ import annotations

import csv
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import loopback
import numpy as np
import pytest
from loopback import Signal, Workers, said
from tiny_search import as_flags, search
from tiny_training import train

from fairdarts_tf.checkpoints import list_checkpoints, load_latest, step_of
from fairdarts_tf.genotypes import Genotype

SHARED = {
    "batch_size": 20,
    "steps_per_epoch": 3,
    "epochs": 2,
    "sync_batch_norm": "true",
    "checkpoint_steps": 2,
    "init_channels": 2,
    "layers": 3,
}
OPERATIONS = {
    # Quickly traced: most of a worker's time is that of its first step.
    "simple": {"normal": ("skip_connect", "max_pool_3x3"), "reduce": ("max_pool_3x3", "skip_connect")},
    "separable": {"normal": ("skip_connect", "sep_conv_3x3"), "reduce": ("max_pool_3x3", "dil_conv_3x3")},
}
SEARCH = SHARED | {"nodes": 1, "method": "darts", "alpha_noise": 0.5}
TRAIN = SHARED | {"cutout": 2, "auxiliary_weight": 0, "drop_path": 0.6, "average_decay": 0.9}
TIMES = {"seconds", "images_per_second"}


def settings(command: str, folder: Path, kind: str) -> dict[str, object]:
    operations = OPERATIONS[kind]
    if command == "search":
        return SEARCH | {"operations": operations["normal"]}
    cells = {cell: tuple((name, 2, source) for source, name in enumerate(operations[cell])) for cell in operations}
    Genotype(**cells, normal_concat=(2,), reduce_concat=(2,)).save(folder / "genotype.json")
    return TRAIN | {"genotype": folder / "genotype.json"}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with loopback.workers() as started:
        yield started


def run_workers(
    workers: Workers, command: str, kind: str, count: int, folder: Path, sent: Signal | None = None
) -> list[int]:
    """Runs workers, each with a directory of its own, as on machines that share none; returns their exit codes."""
    shared = settings(command, folder, kind)
    flags = [as_flags(workdir=folder / f"run_{index}", **shared) for index in range(count)]
    return workers.codes(command, flags, folder, sent)


def run_alone(command: str, kind: str, folder: Path, workdir: str = "alone") -> None:
    """Does the same in this process."""
    flags = as_flags(workdir=folder / workdir, **settings(command, folder, kind))
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


OF_TENSORFLOW = re.compile(r"[IWE]\d{4} [\d:.]+ |WARNING: All log messages before absl")
"""Lines that TensorFlow's C++ code logs, in some versions also when it is told not to."""


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


def assert_only_the_chief_works_outwards(folder: Path, count: int) -> None:
    assert not any((folder / f"run_{index}").exists() for index in range(1, count)), "only the chief writes"
    for index in range(1, count):
        lines = (folder / f"{index}.txt").read_text().splitlines()
        assert [line for line in lines if not OF_TENSORFLOW.match(line)] == [], "only the chief speaks"


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("command", ["search", "train"])
def test_workers_compute_what_one_process_does(workers: Workers, command: str, count: int, tmp_path: Path):
    assert run_workers(workers, command, "separable", count, tmp_path) == [0] * count, said(tmp_path, count)
    assert_only_the_chief_works_outwards(tmp_path, count)
    run_alone(command, "separable", tmp_path)
    assert_same_runs(tmp_path)


@pytest.mark.parametrize(
    ("command", "kind", "count", "killed"),
    [
        ("search", "simple", 2, 1),
        pytest.param("train", "simple", 2, 0, marks=pytest.mark.slow),
        pytest.param("search", "separable", 4, 2, marks=pytest.mark.slow),
        pytest.param("train", "separable", 4, 3, marks=pytest.mark.slow),
    ],
)
def test_a_killed_worker_ends_all_and_they_go_on(
    workers: Workers, command: str, kind: str, count: int, killed: int, tmp_path: Path
):
    """Within the second epoch; started again, they come to what one process does that was never stopped."""
    kill = Signal(signal.SIGKILL, killed, step=4)
    expected = [-signal.SIGKILL if index == killed else 75 for index in range(count)]
    assert run_workers(workers, command, kind, count, tmp_path, kill) == expected, said(tmp_path, count)
    others = [(tmp_path / f"{index}.txt").read_text() for index in range(count) if index != killed]
    assert all("another worker stopped" in text for text in others)
    assert step_of(list_checkpoints(tmp_path / "run_0" / "checkpoints")[-1]) in (3, 4)
    assert run_workers(workers, command, kind, count, tmp_path) == [0] * count, said(tmp_path, count)
    assert_only_the_chief_works_outwards(tmp_path, count)
    run_alone(command, kind, tmp_path)
    assert_same_runs(tmp_path)


@pytest.mark.parametrize(
    ("command", "kind", "terminated"),
    [("train", "simple", 1), pytest.param("search", "separable", 0, marks=pytest.mark.slow)],
)
def test_a_worker_that_is_terminated_stops_all_and_one_process_goes_on(
    workers: Workers, command: str, kind: str, terminated: int, tmp_path: Path
):
    """Within the second epoch: what the workers have done until then, and saved, is what one process does."""
    stop = Signal(signal.SIGTERM, terminated, step=4)
    assert run_workers(workers, command, kind, 2, tmp_path, stop) == [143, 143], said(tmp_path, 2)
    assert step_of(list_checkpoints(tmp_path / "run_0" / "checkpoints")[-1]) in (4, 5)
    assert not (tmp_path / "run_1").exists()
    run_alone(command, kind, tmp_path, "run_0")
    run_alone(command, kind, tmp_path)
    assert_same_runs(tmp_path)


def test_workers_with_different_settings_are_refused(workers: Workers, tmp_path: Path):
    flags = [as_flags(workdir=tmp_path / f"run_{index}", **SEARCH | {"seed": index}) for index in range(2)]
    assert workers.codes("search", flags, tmp_path) == [2, 2], said(tmp_path, 2)
    assert all("different values of --seed" in (tmp_path / f"{index}.txt").read_text() for index in range(2))
    assert not (tmp_path / "run_0").exists()
