"""Which steps a profile is of, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf

from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.runs import FREE_TO_CHANGE, Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_checks import MOST_PROFILED_STEPS, profiled_steps
from fairdarts_tf.step_profiler import StepProfiler
from fairdarts_tf.training.settings import TrainSettings


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What TensorFlow's profiler is asked to do, with the step in hand."""
    calls: list[object] = []
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda place, options: calls.append(place))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: calls.append("stop"))
    return calls


def profiled(calls: list[object], steps: str, first: int, last: int, workdir: Path, writes: bool = True) -> list[int]:
    """Runs the steps from the first to the last and returns those within a profile."""
    recorder = SimpleNamespace(step=first - 1)
    profiler = StepProfiler(Run(workdir, writes=writes), steps, recorder)
    found = []
    for step in range(first, last + 1):
        profiler.on_train_batch_begin(0)
        if len(calls) % 2:
            found.append(step)
        recorder.step = step  # As the recorder does, before others hear of the step.
        profiler.on_train_batch_end(0)
    profiler.on_train_end()
    profiler.release()
    assert calls.count("stop") == len(calls) - calls.count("stop")
    assert set(calls) <= {"stop", str(workdir / "tensorboard")}
    return found


@pytest.mark.parametrize(
    ("steps", "first", "last", "found"),
    [
        ("", 1, 5, []),
        ("2:3", 1, 5, [2, 3]),
        ("1:1", 1, 5, [1]),
        ("5:5", 1, 5, [5]),
        ("4:9", 1, 5, [4, 5]),
        ("2:6", 4, 9, [4, 5, 6]),
        ("2:3", 4, 9, []),
    ],
)
def test_which_steps(calls, steps, first, last, found, tmp_path):
    assert profiled(calls, steps, first, last, tmp_path) == found


def test_only_the_chief_profiles(calls, tmp_path):
    assert profiled(calls, "2:3", 1, 5, tmp_path, writes=False) == []


def test_a_place_that_cannot_be_written(tmp_path, monkeypatch):
    def fail(place, options):
        raise tf.errors.PermissionDeniedError(None, None, f"{place}; Permission denied")

    monkeypatch.setattr(tf.profiler.experimental, "start", fail)
    profiler = StepProfiler(Run(tmp_path), "1:1", SimpleNamespace(step=0))
    with pytest.raises(RunError, match="cannot write to --workdir.*Permission denied"):
        profiler.on_train_batch_begin(0)
    profiler.release()


@pytest.mark.parametrize(
    "text", ["5", "5:", ":5", "0:3", "3:2", "a:b", "1:2:3", "-1:3", "1: 2", f"1:{MOST_PROFILED_STEPS + 1}"]
)
def test_other_texts_are_refused(text):
    for settings in (SearchSettings, TrainSettings):
        base = {"genotype": "FairDARTS_a"} if settings is TrainSettings else {}
        with pytest.raises(ConfigurationError, match="--profile_steps is .* but must be FIRST:LAST"):
            settings(**base, profile_steps=text)


def test_what_is_asked_for():
    assert profiled_steps("") == range(0)
    assert profiled_steps("10:12") == range(10, 13)
    assert SearchSettings(profile_steps="10:12").as_flags()["profile_steps"] == "10:12"
    assert "profile_steps" in FREE_TO_CHANGE
