"""What a command does when its output cannot be written: nothing that looks like an error of the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).resolve().parents[1]


def derive(stdout: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fairdarts_tf.cli.derive", *map(str, arguments)]
    # Where Python writes at once, print fails; else only what empties the buffer, at the end.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        command, cwd=PROJECT, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


@pytest.fixture
def alphas(tmp_path: Path) -> Path:
    np.savez(tmp_path / "alphas.npz", **dict.fromkeys(("normal", "reduce"), np.full((14, 7), 3.0, np.float32)))
    return tmp_path / "alphas.npz"


@pytest.mark.parametrize("flag", ["--alphas={}", "--help"])
def test_a_reader_that_has_gone_ends_it_quietly(alphas, flag):
    reader, writer = os.pipe()
    os.close(reader)
    result = derive(writer, flag.format(alphas))
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


def test_a_full_disk_behind_the_output_is_one_line(alphas):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        result = derive(full.fileno(), f"--alphas={alphas}")
    assert result.returncode == 2
    assert result.stderr.startswith("derive: cannot write to standard output: No space left on device")
    assert result.stderr.count("\n") == 1
