"""The search as a process: signals, and what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_search import tiny_flags

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves(tmp_path, number, code):
    process = subprocess.Popen(
        [sys.executable, "-m", "fairdarts_tf.cli.search", *tiny_flags(tmp_path / "run", epochs=500)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert any(line.startswith("epoch 1/500") for line in process.stdout)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert "stopped and saved" in error and "flags.txt" in error and "Traceback" not in error
    steps = [int(path.stem.split("-")[1]) for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert 2 <= max(steps) < 1000


def test_bad_input_is_one_line_even_where_tensorflow_was_loaded(tmp_path):
    flags = tiny_flags(tmp_path / "run", dataset="cifar11")
    result = subprocess.run(
        [sys.executable, "-m", "fairdarts_tf.cli.search", *flags],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "cifar10" in line
