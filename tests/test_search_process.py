"""The search as a process: signals, and what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_search import tiny_flags, tiny_settings, without_pictures

from fairdarts_tf.checkpoints import list_checkpoints, step_of
from fairdarts_tf.search_result import SearchResult
from fairdarts_tf.search_run import run_search

PROJECT = Path(__file__).resolve().parents[1]


def terminated_in(epoch: int) -> Callable[[SearchResult], None]:
    """Returns what sends this process a signal once an epoch has been recorded."""

    def terminate(so_far: SearchResult) -> None:
        if len(so_far.history.rows) == epoch:
            signal.raise_signal(signal.SIGTERM)

    return terminate


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


def test_a_signal_in_the_last_epoch_finds_the_search_complete(tmp_path, monkeypatch):
    """It is told to whoever has more to do."""
    without_pictures(monkeypatch)
    result = run_search(tiny_settings(), tmp_path / "run", on_epoch=terminated_in(2))
    assert (result.stopped_by, result.asked_to_stop) == (None, signal.SIGTERM)
    assert result.genotype is not None and len(result.history.rows) == 2


def test_a_signal_at_the_end_of_an_epoch_that_was_begun_before(tmp_path, monkeypatch):
    """The rest of such an epoch is fitted by itself; the others must not follow."""
    without_pictures(monkeypatch)
    for epoch, step in ((1, 3), (2, 4)):
        result = run_search(tiny_settings(epochs=3), tmp_path / "run", on_epoch=terminated_in(epoch))
        assert (result.stopped_by, result.asked_to_stop) == (signal.SIGTERM, signal.SIGTERM)
        assert max(map(step_of, list_checkpoints(tmp_path / "run" / "checkpoints"))) == step


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
