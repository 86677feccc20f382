"""The command `animate`: where the GIF goes, and exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairdarts_tf.cli.animate import COMMAND, main

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    tables = np.random.default_rng(0).normal(0, 3, (2, 2, 7))
    np.savez(tmp_path / "history.npz", epoch=np.arange(1, 3), normal=tables, reduce=tables)
    return tmp_path


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
        (["--workdir={run}/absent"], "no directory"),
        (["--workdir={run}/history.npz"], "no directory"),
        (["--workdir={run}/empty"], "history.npz"),
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
    assert animate(*(argument.format(run=run) for argument in arguments)) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("animate: ") and error.count("\n") == 1
    assert words in error
    assert sorted(path.name for path in run.iterdir()) == ["empty", "history.npz"]


def test_broken_history(run: Path, capsys: pytest.CaptureFixture[str]):
    path = run / "history.npz"
    path.write_bytes(path.read_bytes()[:200])
    assert animate(f"--workdir={run}") == 2
    assert capsys.readouterr().err.count("\n") == 1


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
