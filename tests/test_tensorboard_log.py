"""What TensorBoard gets of a search: numbers, histograms and pictures at their steps."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fairdarts_tf import tensorboard_log
from fairdarts_tf.derivation import derive
from fairdarts_tf.errors import GenotypeError, RunError
from fairdarts_tf.history import History
from fairdarts_tf.relaxations import relaxation
from fairdarts_tf.report import cell_layout
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.tensorboard_log import TensorBoardLog

SETTINGS = SearchSettings(nodes=2, epochs=4)
PICTURES = ("cells", "curves", "heat_maps")
_EDGES = 5


class Recorded:
    """Stands for a search's recorder: its history grows epoch by epoch."""

    def __init__(self) -> None:
        self.settings = SETTINGS
        self.history = History()
        self.genotype = None
        self.model = SimpleNamespace(mixing_weights=lambda: self.weights)

    def advance(self, strength: float, seconds: float = 10.0) -> dict:
        numbers = np.random.default_rng(0)
        alphas = {kind: strength * numbers.uniform(-3, 4, (_EDGES, 7)) for kind in ("normal", "reduce")}
        self.weights = {kind: relaxation("sigmoid").of_array(table) for kind, table in alphas.items()}
        try:
            self.genotype = derive(self.weights, SETTINGS.operations, SETTINGS.method, SETTINGS.threshold)
        except GenotypeError:
            self.genotype = None
        row = {"epoch": len(self.history.rows) + 1, "train_loss": 1.5, "seconds": seconds}
        counts = dict.fromkeys(("operations_on", "operations_off", "operations_undecided"), 1)
        self.history.append(row | counts, alphas)
        return self.history.rows[-1]


def events(workdir: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(workdir / "tensorboard"), size_guidance={"tensors": 0})
    accumulator.Reload()
    return accumulator


def pictures(accumulator: EventAccumulator, tag: str) -> dict[int, tuple[int, int]]:
    """Returns the (width, height) of a picture by step, after checking that the PNG has the size that is announced."""
    sizes = {}
    for event in accumulator.Tensors(tag):
        width, height, png = event.tensor_proto.string_val
        assert tf.io.decode_png(png).shape == (int(height), int(width), 3)
        sizes[event.step] = (int(width), int(height))
    return sizes


@pytest.fixture
def unhurried(monkeypatch):
    """Lets pictures take as long as a busy machine needs."""
    monkeypatch.setattr(tensorboard_log, "MOST_SECONDS", float("inf"))


def test_everything_of_each_epoch(tmp_path, unhurried):
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    for strength in (0.0, 0.7, 1.0):
        log(recorder.advance(strength), recorder)
    found = events(tmp_path)
    tags = {"train_loss", "seconds", "operations_on", "mixing_weights/normal", "mixing_weights/reduce", *PICTURES}
    assert tags <= set(found.Tags()["tensors"])
    assert "epoch" not in found.Tags()["tensors"] and "search_loss" not in found.Tags()["tensors"]
    assert [event.step for event in found.Tensors("train_loss")] == [1, 2, 3]
    assert tf.make_ndarray(found.Tensors("train_loss")[0].tensor_proto) == 1.5
    assert list(pictures(found, "curves")) == list(pictures(found, "heat_maps")) == [1, 2, 3]
    assert len(set(pictures(found, "heat_maps").values())) == 1
    assert list(pictures(found, "cells")) == [2, 3]
    plugins = {found.SummaryMetadata(tag).plugin_data.plugin_name for tag in PICTURES}
    assert plugins == {"images"}


def test_cells_may_change_their_size(tmp_path, unhurried):
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    for strength in (0.55, 1.0):
        log(recorder.advance(strength), recorder)
    assert len(set(pictures(events(tmp_path), "cells").values())) == 2


def test_without_graphviz_all_but_the_cells_is_there_and_a_warning_says_so_once(
    tmp_path, unhurried, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    cell_layout.lay_out.cache_clear()
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    for strength in (0.9, 1.0):
        log(recorder.advance(strength), recorder)
    found = events(tmp_path)
    assert set(PICTURES) & set(found.Tags()["tensors"]) == {"curves", "heat_maps"}
    assert list(pictures(found, "heat_maps")) == [1, 2]
    warning = capsys.readouterr().err
    assert warning.startswith("warning: cells cannot be drawn") and warning.count("\n") == 1


def test_nothing_is_left_before_the_first_epoch(tmp_path):
    TensorBoardLog(Run(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "tensorboard").write_text("in the way")
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    with pytest.raises(RunError, match="cannot write to --workdir"):
        log(recorder.advance(0.0), recorder)


@pytest.mark.parametrize(
    ("cost", "seconds", "steps"),
    [
        (0.09, 2.0, [1, 2, 3, 4]),
        (1.5, 2.0, [1, 2, 4]),
        (1.5, 40.0, [1, 2, 4]),
        (1.5, 200.0, [1, 2, 3, 4]),
    ],
)
def test_slow_pictures_are_drawn_less_often_but_at_the_end(tmp_path, monkeypatch, cost, seconds, steps):
    drawn = []
    clock = iter(np.cumsum([0.0, cost] * 20))
    monkeypatch.setattr(tensorboard_log, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    monkeypatch.setattr(tensorboard_log, "_write_pictures", lambda _, history, *__: drawn.append(len(history.rows)))
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    for _ in range(SETTINGS.epochs):
        log(recorder.advance(1.0, seconds), recorder)
    assert drawn == steps
