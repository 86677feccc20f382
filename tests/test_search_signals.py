"""Stopping a search from the keyboard or by the system: it saves, says how to go on, and does."""

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
