"""The command `report`: where the page goes, exit codes, watching."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from report_testing import Elements, make_run

from fairdarts_tf.tuning.settings import TuningSettings

PROJECT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "fairdarts_tf.cli.report"]


def command(*arguments: object, cwd: Path = PROJECT, path: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={"PYTHONPATH": f"{path}{os.pathsep}{PROJECT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_writes_beside_the_run_and_prints_where(tmp_path: Path):
    workdir = make_run(tmp_path / "run", epochs=2)
    result = command(f"--workdir={workdir}")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{workdir / 'report.html'}\n"
    assert (workdir / "report.html").is_file()


def test_output_and_comparison(tmp_path: Path):
    runs = [make_run(tmp_path / name, epochs=2) for name in ("one", "other")]
    assert command(f"--workdir={runs[0]}", f"--output={tmp_path / 'a.html'}").stdout == f"{tmp_path / 'a.html'}\n"
    both = ",".join(map(str, runs))
    assert command(f"--workdir={both}", cwd=tmp_path).stdout == "comparison.html\n"
    assert "2 searches compared" in (tmp_path / "comparison.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--workdir"),
        (["--workdir="], "--workdir"),
        (["--workdir=absent"], "does not exist"),
        (["--workdir=tests"], "holds no run"),
        (["--workdir=RUN", "--output=absent/page.html"], "absent"),
        (["--workdir=RUN", "--output=tests"], "tests"),
        (["--workdir=RUN", "--watch", "--interval=0"], "--interval"),
        (["--workdir=RUN,absent"], "does not exist"),
        (["--wrokdir=RUN"], "wrokdir"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], words: str):
    run = make_run(tmp_path / "run", epochs=2)
    result = command(*(argument.replace("RUN", str(run)) for argument in arguments))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("report: ") and result.stderr.count("\n") == 1
    assert words in result.stderr


def test_without_graphviz_all_but_the_cells_is_there(tmp_path: Path):
    workdir = make_run(tmp_path / "run", epochs=2, threshold=0.1)
    (tmp_path / "pygraphviz.py").write_text("raise ImportError('libcdt.so.6: cannot open shared object file')\n")
    result = command(f"--workdir={workdir}", path=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    page = Elements((workdir / "report.html").read_text())
    assert "libcdt.so.6" in page.text and "pip install" in page.text
    assert page.text.count("The cells could not be drawn.") == 2
    data = json.loads(page.data)
    assert {"loss", "heat_sigmoid_normal"} <= set(data["figures"])
    assert data["replay"]["drawings"] == [None, None]
    assert data["replay"]["absences"] == ["The cells could not be drawn."] * 2


@pytest.mark.parametrize("name", ["flags.txt", "history.csv", "history.npz", "alphas.npz", "genotype.json"])
def test_no_file_of_the_search_is_overwritten(tmp_path: Path, name: str):
    workdir = make_run(tmp_path / "run", epochs=2, threshold=0.1)
    before = (workdir / name).read_bytes()
    (tmp_path / "link").symlink_to(workdir)
    result = command(f"--workdir={workdir}", f"--output={tmp_path / 'link' / name}")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "file of the search" in result.stderr
    assert (workdir / name).read_bytes() == before


def test_a_path_that_is_no_utf_8(tmp_path: Path):
    workdir = make_run(tmp_path / os.fsdecode(b"x\xff"), epochs=2)
    result = subprocess.run(
        [*COMMAND, b"--workdir=" + os.fsencode(workdir)],
        cwd=PROJECT,
        env={"PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.endswith(b"/x\\udcff/report.html\n")
    assert "x\ufffd" in (workdir / "report.html").read_text(encoding="utf-8")


def test_watching_ends_with_the_search(tmp_path: Path):
    workdir = make_run(tmp_path / "run", recorded=1, epochs=3, threshold=0.1)
    page = workdir / "report.html"
    process = subprocess.Popen([*COMMAND, f"--workdir={workdir}", "--watch", "--interval=0.2"], cwd=PROJECT)
    try:
        _wait_for(lambda: page.exists() and "1 of 3 epochs" in page.read_text())
        assert 'data-reload-seconds="0.2"' in page.read_text()
        make_run(workdir, epochs=3, threshold=0.1)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
    assert "3 of 3 epochs" in page.read_text() and "data-reload-seconds=" not in page.read_text()


def test_an_interrupt_leaves_a_page_that_rests(tmp_path: Path):
    workdir = make_run(tmp_path / "run", recorded=1, epochs=3, threshold=0.1)
    page = workdir / "report.html"
    # A shell starts what runs in its background with interrupts ignored, and its children with it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([*COMMAND, f"--workdir={workdir}", "--watch", "--interval=30"], cwd=PROJECT)
    signal.signal(signal.SIGINT, before)
    try:
        _wait_for(page.exists)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
    assert "data-reload-seconds=" not in page.read_text()


def _wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_watching_ends_where_the_search_was_stopped(tmp_path: Path):
    workdir = make_run(tmp_path / "run", recorded=3)
    for path in (workdir, *workdir.rglob("*")):
        os.utime(path, (1e9, 1e9))
    result = command(f"--workdir={workdir}", "--watch", "--interval=0.1")
    assert result.returncode == 0
    assert "not finished" in result.stderr and result.stderr.count("\n") == 1
    assert "data-reload-seconds=" not in (workdir / "report.html").read_text()


def test_several_directories_each_with_its_own_flag(tmp_path: Path):
    runs = [make_run(tmp_path / name) for name in ("one", "two, three")]
    output = tmp_path / "both.html"
    assert command(*(f"--workdir={run}" for run in runs), f"--output={output}").returncode == 0
    assert "two, three" in output.read_text()


def test_a_training_is_refused_in_one_line(tmp_path: Path):
    (tmp_path / "flags.txt").write_text("--genotype=FairDARTS_a\n--layers=20\n")
    (tmp_path / "history.csv").write_text("epoch,train_loss,validation_loss\n1,2.0,2.1\n")
    result = command(f"--workdir={tmp_path}")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "holds a training" in result.stderr


@pytest.mark.parametrize("what", ["search", "train"])
def test_a_tuning_is_refused_with_one_of_its_searches(tmp_path: Path, what: str):
    make_run(tmp_path / "trials" / "2" / "search", epochs=1)
    flags = TuningSettings(what=what).as_flags() | {"genotype": "FairDARTS_a"}
    (tmp_path / "flags.txt").write_text("".join(f"--{name}={value}\n" for name, value in flags.items()))
    result = command(f"--workdir={tmp_path}")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert f"holds a tuning, and this shows a search. Name one of its searches, as {tmp_path}/trials/2/search." in (
        result.stderr
    )
    assert not list(tmp_path.glob("*.html"))


def test_a_study_is_refused_with_one_of_its_searches(tmp_path: Path):
    make_run(tmp_path / "runs" / "darts_seed0" / "search", epochs=1)
    result = command(f"--workdir={tmp_path}")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert f"Name one of its searches, as {tmp_path}/runs/darts_seed0/search." in result.stderr


def test_a_random_search_is_refused(tmp_path: Path):
    (tmp_path / "flags.txt").write_text("--candidates=2\n--epochs=2\n")
    result = command(f"--workdir={tmp_path}")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "holds a random search, and this shows a search. There is none in it" in result.stderr


def test_a_directory_of_pipes_is_refused_at_once(tmp_path: Path):
    for name in ("flags.txt", "history.csv", "history.npz", "alphas.npz", "genotype.json"):
        os.mkfifo(tmp_path / name)
    result = command(f"--workdir={tmp_path}")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
