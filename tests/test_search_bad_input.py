"""A disk that is full for the event files alone: one line, and the run goes on once there is space."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from tiny_search import search, tiny_flags

REASON = "{{function_node}} run/tensorboard/events.v2; No space left on device\n\tFailed to flush 1 events"


def test_event_files_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refuse(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, REASON)

    with monkeypatch.context() as patch:
        patch.setattr(tf.summary, "create_file_writer", refuse)
        assert search(*tiny_flags(tmp_path)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"search: cannot write to --workdir={tmp_path}: No space left on device.")
    assert search(f"--workdir={tmp_path}") == 0
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + 2
