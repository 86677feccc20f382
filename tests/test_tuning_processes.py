"""Tunings as processes: killed and started again, and as a chief with two workers on the loopback device."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_search
from test_tuning import SEARCH
from tiny_search import as_flags

PROJECT = Path(__file__).resolve().parents[1]
SECONDS = 900
VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
GENOTYPE = {name: value for name, value in SEARCH.items() if name != "tune"} | {"what": "genotype", "trials": 4}
GENOTYPE |= {"operations": (*tiny_search.OPERATIONS, "max_pool_3x3")}


def start(workdir: Path, flags: dict[str, object], log: Path, **variables: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "TF_CONFIG")}
    environment |= {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"} | variables
    command = [sys.executable, "-m", "fairdarts_tf.cli.tune", *as_flags(workdir=workdir, **flags)]
    with open(log, "ab") as file:
        return subprocess.Popen(command, env=environment, cwd=workdir.parent, stdout=file, stderr=file)


def table(workdir: Path) -> list[dict[str, str]]:
    with open(workdir / "trials.csv", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def ended(process: subprocess.Popen[bytes], log: Path) -> int:
    try:
        return process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(log.read_text(errors="replace")[-3000:])


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert ended(start(folder / "run", GENOTYPE, folder / "log"), folder / "log") == 0
    return folder / "run"


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_second_trial_it_comes_to_the_same(whole: Path, tmp_path: Path, number: signal.Signals):
    process = start(tmp_path / "run", GENOTYPE, tmp_path / "log")
    wait_for(tmp_path / "run" / "trials" / "1" / "training" / "checkpoints", process)
    process.send_signal(number)
    assert ended(process, tmp_path / "log") in (-number, 128 + number)
    assert ended(start(tmp_path / "run", GENOTYPE, tmp_path / "log"), tmp_path / "log") == 0
    assert table(tmp_path / "run") == table(whole)
    assert (tmp_path / "run" / "genotype.json").read_text() == (whole / "genotype.json").read_text()


@pytest.mark.slow
@pytest.mark.timeout(3 * SECONDS)
def test_a_chief_and_two_workers_do_what_one_process_does(whole: Path, tmp_path: Path):
    """One of the workers is killed in its trial and started again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    workdir = tmp_path / "run"

    def begin(name: str) -> subprocess.Popen[bytes]:
        return start(workdir, GENOTYPE, tmp_path / f"{name}.log", KERASTUNER_TUNER_ID=name, **place)

    processes = {name: begin(name) for name in ("worker1", "chief", "worker2")}
    try:
        wait_for(workdir / "trials" / "0" / "training" / "checkpoints", processes["chief"])
        processes["worker1"].kill()
        processes["worker1"].wait()
        processes["worker1"] = begin("worker1")
        codes = {name: ended(process, tmp_path / f"{name}.log") for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    assert codes == {"worker1": 0, "chief": 0, "worker2": 0}
    found, expected = table(workdir), table(whole)
    # The chief gets numbers in 32 bits.
    numbers = ("objective", "validation_accuracy", "validation_loss", "cost")
    for row, other in zip(found, expected, strict=True):
        assert {name: row[name] for name in row if name not in numbers} == {
            name: other[name] for name in other if name not in numbers
        }
        for name in numbers:
            assert float(row[name]) == pytest.approx(float(other[name]), rel=1e-6)
    assert (workdir / "genotype.json").read_text() == (whole / "genotype.json").read_text()
    assert {path.name for path in (workdir / "keras_tuner").glob("*.json")} == {
        "oracle.json",
        "chief.json",
        "worker1.json",
        "worker2.json",
    }


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("tuner", ["bayesian", "hyperband"])
def test_a_search_with_the_other_tuners(tmp_path: Path, tuner: str):
    """Hyperband pauses searches after an epoch and goes on with the best of them."""
    flags = SEARCH | {"tuner": tuner, "initial_trials": 2, "trials": 3, "hyperband_factor": 2}
    assert ended(start(tmp_path / "run", flags, tmp_path / "log"), tmp_path / "log") == 0
    rows = table(tmp_path / "run")
    assert [row["status"] for row in rows] == ["completed"] * len(rows)
    assert {row["epochs"] for row in rows} == ({"2"} if tuner == "bayesian" else {"1", "2"})
    searches = list((tmp_path / "run" / "trials").glob("*/search/history.csv"))
    assert len(searches) == (3 if tuner == "bayesian" else len(rows) - 1), "one went on in another's directory"
    epochs = sorted(len(path.read_text().splitlines()) - 1 for path in searches)
    assert epochs == ([2, 2, 2] if tuner == "bayesian" else [1, *[2] * (len(rows) - 2)])
