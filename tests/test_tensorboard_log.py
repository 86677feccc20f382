"""What TensorBoard gets of a search: numbers, histograms and pictures at their steps."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from event_reading import events_of as events
from event_reading import histogram_counts, hparams_table, scalars, tags_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fairdarts_tf import tensorboard_log
from fairdarts_tf.derivation import derive
from fairdarts_tf.early_stopping import Stop
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
        self.stop = None
        kernels = {"supernet/stem/kernel": 27, "supernet/cell_0/a/kernel": 5, "supernet/cell_0/b/kernel": 7}
        variables = [SimpleNamespace(path=path, numpy=lambda n=n: np.arange(n)) for path, n in kernels.items()]
        self.model = SimpleNamespace(
            mixing_weights=lambda: self.weights,
            supernet=SimpleNamespace(name="supernet", network_weights=variables),
        )

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


def test_weights_of_each_part_in_one_histogram(tmp_path, unhurried):
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    for strength in (0.5, 1.0):
        log(recorder.advance(strength), recorder)
    found = events(tmp_path)
    assert {tag for tag in tags_of(found) if tag.startswith("weights/")} == {"weights/stem", "weights/cell_0"}
    assert histogram_counts(found, "weights/stem") == {1: 27, 2: 27}
    assert histogram_counts(found, "weights/cell_0") == {1: 12, 2: 12}


def test_of_a_long_run_a_hundred_histograms_of_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(TensorBoardLog, "write_epoch", lambda *_: None)
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    recorder.settings = SearchSettings(nodes=2, epochs=250)
    for _ in range(250):
        log(recorder.advance(1.0), recorder)
    assert list(histogram_counts(events(tmp_path), "weights/stem")) == [*range(3, 250, 3), 250]


def test_what_the_run_is_judged_by_comes_with_the_last_epoch(tmp_path, unhurried):
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    for _ in range(SETTINGS.epochs - 1):
        log(recorder.advance(1.0), recorder)
    assert not any(tag.startswith("final/") for tag in tags_of(events(tmp_path)))
    log(recorder.advance(1.0), recorder)
    found = events(tmp_path)
    assert scalars(found, "final/train_loss") == {SETTINGS.epochs: 1.5}
    assert not {"final/epoch", "final/seconds", "final/learning_rate"} & tags_of(found)


def test_an_early_stop_is_an_end_and_the_epoch_that_counts_is_the_one_judged(tmp_path, unhurried):
    log, recorder = TensorBoardLog(Run(tmp_path)), Recorded()
    log(recorder.advance(1.0) | {"train_loss": 2.0}, recorder)
    recorder.history.rows[0]["train_loss"] = 2.0
    row = recorder.advance(1.0)
    recorder.stop = Stop("skips", "two skips", after=2, counts=1)
    log(row, recorder)
    assert scalars(events(tmp_path), "final/train_loss") == {2: 2.0}


def test_several_runs_compare_in_the_tab_hparams(tmp_path, unhurried):
    for name, rate, epochs in (("one", 0.005, 4), ("other", 0.025, 2)):
        log, recorder = TensorBoardLog(Run(tmp_path / name)), Recorded()
        recorder.settings = SearchSettings(nodes=2, epochs=4, learning_rate=rate, data_dir=f"/{name}")
        for _ in range(epochs):
            log(recorder.advance(1.0), recorder)
        log.close()
    one, other = sorted(hparams_table(tmp_path), key=lambda row: row["settings"]["learning_rate"])
    assert (one["settings"]["learning_rate"], other["settings"]["learning_rate"]) == (0.005, 0.025)
    assert one["settings"]["relaxation"] == "sigmoid" and one["settings"]["unrolled"] is False
    assert one["settings"]["operations"] == ",".join(SETTINGS.operations)
    assert "data_dir" not in one["settings"] and "workdir" not in one["settings"]
    assert one["metrics"]["train_loss"] == other["metrics"]["train_loss"] == 1.5
    assert one["metrics"]["final/train_loss"] == 1.5 and "final/train_loss" not in other["metrics"]
    assert (one["finished"], other["finished"]) == ([True], [False])


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
