"""Checkpoints with a right checksum that no run has saved: one line that names them, and nothing of them is used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from fuzzing import FAST_AND_SLOW, fuzz, little_is_taken, nothing_runs
from hypothesis import strategies as st
from tiny_search import tiny_settings, without_pictures
from tiny_training import tiny_settings as training_settings

from fairdarts_tf.checkpoints import list_checkpoints, load_checkpoint, path_of, save_checkpoint
from fairdarts_tf.errors import RunError
from fairdarts_tf.history import History
from fairdarts_tf.model_state import read_state
from fairdarts_tf.resuming import Recorded, restore
from fairdarts_tf.runs import Run
from fairdarts_tf.search_run import run_search
from fairdarts_tf.training.history import TrainHistory
from fairdarts_tf.training.run import run_training

Arrays = dict[str, np.ndarray]
STEP = 3

pytestmark = pytest.mark.filterwarnings("ignore:Even though the .*run_functions_eagerly:UserWarning")


class Saved:
    """A model and what its run saved within its second epoch of two steps.

    Args:
        model: The model.
        recorded: The kind of its history.
        workdir: The run's directory.
    """

    def __init__(self, model: keras.Model, recorded: type[Recorded], workdir: Path) -> None:
        self.model = model
        self.recorded = recorded
        self.checkpoints = workdir / "checkpoints"
        self.arrays = load_checkpoint(path_of(self.checkpoints, STEP))
        for path in list_checkpoints(self.checkpoints):
            path.unlink()
        self.run = Run(workdir)

    def restored(self, arrays: Arrays) -> int:
        """Saves other arrays and returns the step that the run then goes on from."""
        save_checkpoint(self.checkpoints, STEP, arrays)
        return restore(self.run, self.model, self.recorded, 2).step

    def refused(self, arrays: Arrays) -> str:
        with pytest.raises(RunError) as caught:
            self.restored(arrays)
        message = str(caught.value)
        assert path_of(self.checkpoints, STEP).name in message and "\n" not in message and len(message) < 1_000
        return message

    def some_names(self) -> list[str]:
        """Returns the names of all arrays but most of the model's own, which are many and alike."""
        own = sorted(name for name in self.arrays if name.startswith("state/"))
        return [name for name in self.arrays if name not in own] + own[:: len(own) // 10]


@pytest.fixture(scope="module", params=["search", "train"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        without_pictures(patch)
        tf.config.run_functions_eagerly(True)
        try:
            if request.param == "search":
                result = run_search(tiny_settings(checkpoint_steps=1, batch_size=10), folder / "run")
                return Saved(result.search, History, folder / "run")
            result = run_training(training_settings(folder, batch_size=10), folder / "run")
            return Saved(result.training, TrainHistory, folder / "run")
        finally:
            tf.config.run_functions_eagerly(False)


def text(content: object) -> np.ndarray:
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


def test_as_it_was_saved_it_is_used(saved: Saved):
    assert saved.restored(saved.arrays) == STEP


def test_every_array_is_missed(saved: Saved):
    """But for the retries, of which older versions knew none, and the epochs' numbers, which the rows have too."""
    for name in set(saved.some_names()) - {"step", "retries", "history/epoch"}:
        message = saved.refused({other: value for other, value in saved.arrays.items() if other != name})
        assert name.rpartition("/")[2] in message or name.startswith("history/")


def test_arrays_of_another_shape_or_type(saved: Saved):
    before = read_state(saved.model)
    for name in saved.some_names():
        value = saved.arrays[name]
        if name.startswith(("state/", "metrics/", "history/normal", "history/reduce")):
            saved.refused(saved.arrays | {name: np.stack([value, value])})
        if name.startswith("state/") and value.dtype.kind in "iu":
            saved.refused(saved.arrays | {name: np.full(value.shape, np.nan)})
    np.testing.assert_equal(read_state(saved.model), before)


ROWS = {
    "no text": np.array([255, 254], np.uint8),
    "no JSON": np.frombuffer(b"[{", np.uint8),
    "nested": np.frombuffer(b"[" * 100_000, np.uint8),
    "digits": np.frombuffer(b"[" + b"9" * 5000 + b"]", np.uint8),
    "numbers": np.linspace(0, 1, 5),
    "a number": np.array(10**12),
    "no list": text({"epoch": 1}),
    "no rows": text([1]),
    "words": text([{"epoch": "one"}]),
    "lists": text([{"epoch": [1]}]),
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_rows_that_are_none(saved: Saved, rows: np.ndarray):
    for name in ("history/rows", "retries"):
        with little_is_taken(), nothing_runs():
            saved.refused(saved.arrays | {name: rows})


@pytest.mark.parametrize("rows", [[], [{"epoch": 1}, {"epoch": 2}], [{"epoch": 2}], [{}]])
def test_rows_of_other_epochs(saved: Saved, rows: list):
    saved.refused(saved.arrays | {"history/rows": text(rows)})


@pytest.mark.parametrize("seconds", [-1.0, np.nan, np.inf, [1.0, 2.0]])
def test_seconds_that_are_none(saved: Saved, seconds: object):
    saved.refused(saved.arrays | {"seconds_in_epoch": np.array(seconds)})


def test_a_step_that_is_not_its_names(saved: Saved):
    save_checkpoint(saved.checkpoints, STEP, saved.arrays)
    own, other = (path_of(saved.checkpoints, step) for step in (STEP, 2))
    own.rename(other)
    with pytest.raises(RunError, match=re.escape(other.name)):
        restore(saved.run, saved.model, saved.recorded, 2)


VALUES = st.one_of(
    st.sampled_from(
        [np.zeros(0), np.zeros((2, 2)), np.array(np.nan), np.int64(-1), np.bool_(True), text([]), text({})]
    ),
    st.binary(max_size=8).map(lambda content: np.frombuffer(content, np.uint8)),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
)


@FAST_AND_SLOW
def test_any_changes(saved: Saved, examples: int):
    """Restored, or refused with the file's name; no other exception."""
    names = sorted(set(saved.arrays) - {"step"})
    changes = st.dictionaries(st.sampled_from([*names, "history/other", "retries"]), st.none() | VALUES, max_size=3)

    def check(changed: dict[str, np.ndarray | None]) -> None:
        arrays = {name: value for name, value in (saved.arrays | changed).items() if value is not None}
        try:
            saved.restored(arrays)
        except RunError as error:
            assert path_of(saved.checkpoints, STEP).name in str(error) and "\n" not in str(error)

    # Each takes a tenth of a second.
    fuzz(check, changes, examples // 5)
