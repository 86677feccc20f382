"""The command `animate`: where the GIF goes, and exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from report_testing import change_flag, make_run

from fairdarts_tf.cli.animate import COMMAND, main

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", epochs=2, nodes=1)


def animate(*arguments: object) -> int:
    return COMMAND.execute(main, ["animate", *map(str, arguments)])


def test_writes_into_the_run_or_elsewhere(run: Path, capsys: pytest.CaptureFixture[str]):
    assert animate(f"--workdir={run}", "--width=200") == 0
    assert capsys.readouterr() == (f"2 epochs in {run / 'evolution.gif'}\n", "")
    assert animate(f"--workdir={run}", f"--output={run / 'b.gif'}", "--width=300", "--fps=10") == 0
    for name, width, duration in (("evolution.gif", 200, 250), ("b.gif", 300, 100)):
        with Image.open(run / name) as gif:
            assert (gif.size[0], gif.n_frames, gif.info["duration"]) == (width, 2, duration)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--workdir"),
        (["--workdir={run}/absent"], "does not exist"),
        (["--workdir={run}/history.npz"], "is a file"),
        (["--workdir={run}/empty"], "holds no run"),
        (["--workdir={run}", "--fps=0"], "fps"),
        (["--workdir={run}", "--fps=fast"], "fps"),
        (["--workdir={run}", "--width=1"], "width"),
        (["--workdir={run}", "--output={run}/absent/a.gif"], "absent"),
        (["--workdir={run}", "--output={run}/empty", "--width=200"], "cannot use"),
        (["--workdir={run}", "--wdith=1"], "wdith"),
    ],
)
def test_bad_input_is_one_line(run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str):
    (run / "empty").mkdir()
    before = sorted(path.name for path in run.iterdir())
    assert animate(*(argument.format(run=run) for argument in arguments)) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("animate: ") and error.count("\n") == 1
    assert words in error
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize("name", ["flags.txt", "history.csv", "history.npz", "alphas.npz", "genotype.json"])
def test_no_file_of_the_search_is_overwritten(run: Path, capsys: pytest.CaptureFixture[str], name: str):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert animate(f"--workdir={run}", f"--output={run / name}", "--width=200") == 2
    error = capsys.readouterr().err
    assert "file of the search" in error and error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_the_last_alphas_of_an_unknown_epoch(run: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("history.npz", "history.csv"):
        (run / name).unlink()
    assert animate(f"--workdir={run}", "--width=200") == 0
    output, error = capsys.readouterr()
    assert output.startswith("1 epoch in ") and "Which epoch's they are is not known" in error


def test_broken_alphas(run: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("history.npz", "alphas.npz"):
        (run / name).write_bytes((run / name).read_bytes()[:200])
    assert animate(f"--workdir={run}") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_unusable_is_named_and_the_rest_is_shown(run: Path, capsys: pytest.CaptureFixture[str]):
    change_flag(run, "threshold", "high")
    assert animate(f"--workdir={run}", "--width=200") == 0
    output, error = capsys.readouterr()
    assert output.startswith("2 epochs in ") and "--threshold=high" in error and error.count("\n") == 1


def test_one_epoch_is_one_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    workdir = make_run(tmp_path / "run", epochs=1, nodes=1)
    assert animate(f"--workdir={workdir}", "--width=200") == 0
    assert capsys.readouterr().out.startswith("1 epoch in ")


def test_script_in_an_active_environment(run: Path):
    script = PROJECT / "bin" / "animate"
    result = subprocess.run([script, "--help"], capture_output=True, text=True, check=False, env=environment())
    assert result.returncode == 0 and "--fps" in result.stdout


def test_starts_without_tensorflow():
    check = (
        "import sys, fairdarts_tf.cli.animate; print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", check], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "VIRTUAL_ENV": sys.prefix}
