"""The smallest search there is: seconds a run, and still all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairdarts_tf.cli.search import COMMAND, main
from fairdarts_tf.history import Row
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings

OPERATIONS = ("skip_connect", "sep_conv_3x3")
EDGES = 2
TINY = {
    "init_channels": 2,
    "layers": 3,
    "nodes": 1,
    "operations": OPERATIONS,
    "batch_size": 50,
    "steps_per_epoch": 2,
    "epochs": 2,
    "method": "darts",
}


def tiny_settings(**changes: object) -> SearchSettings:
    return SearchSettings(**(TINY | changes))


def tiny_flags(workdir: Path, **changes: object) -> list[str]:
    """Returns the command line of the same search."""
    return as_flags(workdir=workdir, **(TINY | changes))


def as_flags(**values: object) -> list[str]:
    return [f"--{name}={','.join(v) if isinstance(v, tuple) else v}" for name, v in values.items()]


class NoLog:
    """Stands for TensorBoard's log and writes nothing."""

    def __init__(self, run: Run, *rest: object) -> None:
        pass

    def __call__(self, row: Row, recorder: Recorder) -> None:
        pass

    def close(self) -> None:
        pass


def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares searches the page and the event files, which take longer than their steps."""
    from fairdarts_tf import search_run

    monkeypatch.setattr(search_run, "_write_report", lambda run: None)
    monkeypatch.setattr(search_run, "TensorBoardLog", NoLog)


def search(*flags: str) -> int:
    """Runs the command in this process and returns its exit code."""
    return COMMAND.execute(main, ["search", *flags])
