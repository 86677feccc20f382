"""What a training leaves, that it repeats itself, and that it goes on to the bit after a crash."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import numpy as np
import pytest
from event_reading import events_of, hparams_table, tags_of
from matplotlib.figure import Figure
from sklearn import metrics
from tiny_training import GENOTYPE, arrays, tiny_flags, tiny_settings, train

from fairdarts_tf import data
from fairdarts_tf.checkpoints import list_checkpoints
from fairdarts_tf.data import pipeline
from fairdarts_tf.found_network import load_found_network
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.training.recorder import TrainRecorder
from fairdarts_tf.training.run import run_training

AVERAGED = {"average_decay": 0.9, "drop_path": 0.5}


class CrashError(Exception):
    """Stands for a kill: nothing gets a chance to save."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("finished")
    run_training(tiny_settings(workdir, profile_steps="3:3", **AVERAGED), workdir / "run")
    return workdir / "run"


def rows(workdir: Path) -> list[dict[str, str]]:
    with open(workdir / "history.csv", newline="") as file:
        timed = ("seconds", "images_per_second")
        return [{name: value for name, value in row.items() if name not in timed} for row in csv.DictReader(file)]


def assert_equal_runs(one: Path, other: Path) -> None:
    assert rows(one) == rows(other)
    for name in ("best.npz", "last.npz"):
        a, b = arrays(one / name), arrays(other / name)
        assert set(a) == set(b)
        assert all(np.array_equal(a[key], b[key]) for key in a)
    newest = [sorted((workdir / "checkpoints").iterdir())[-1] for workdir in (one, other)]
    a, b = (arrays(path) for path in newest)
    assert set(a) == set(b)
    state = [name for name in a if name.startswith("state/")]
    assert any("seed" in name for name in state) and any("velocity" in name for name in state)
    assert all(np.array_equal(a[name], b[name]) for name in state)


def test_files_of_a_run(finished):
    assert {path.name for path in finished.iterdir()} == {
        "best.npz",
        "checkpoints",
        "flags.txt",
        "genotype.json",
        "history.csv",
        "last.npz",
        "model.json",
        "tensorboard",
    }
    assert Genotype.load(finished) == GENOTYPE
    assert [row["epoch"] for row in rows(finished)] == ["1", "2"]
    assert float(rows(finished)[1]["learning_rate"]) == pytest.approx(0.0125)
    assert float(rows(finished)[1]["drop_path"]) == pytest.approx(0.25)


def test_tensorboard(finished):
    events = events_of(finished)
    assert {"train_loss", "validation_accuracy", "cells", "confusion/held_back", "weights/classifier"} <= tags_of(
        events
    )
    assert [event.step for event in events.Tensors("cells")] == [1]
    assert [event.step for event in events.Tensors("confusion/held_back")] == [2]
    (row,) = hparams_table(finished)
    assert row["settings"]["average_decay"] == AVERAGED["average_decay"] and row["finished"] == [True]
    best = max(float(row["validation_accuracy"]) for row in rows(finished))
    assert row["metrics"]["final/validation_accuracy"] == pytest.approx(best)
    (profile,) = (finished / "tensorboard" / "plugins" / "profile").glob("*/*.xplane.pb")
    assert profile.stat().st_size > 1000


def test_the_confusion_matrix_counts_what_was_validated(tmp_path, monkeypatch):
    """It agrees with scikit-learn on the weights that the last epoch was validated with."""
    drawn = []
    draw = lambda confusion, names: drawn.append((confusion, names)) or Figure()  # noqa: E731
    monkeypatch.setattr("fairdarts_tf.report.confusion.draw_confusion", draw)
    run_training(tiny_settings(tmp_path, epochs=1), tmp_path / "run")
    ((confusion, names),) = drawn
    images = data.load_dataset("digits", "train")
    _, held = data.held_back(images.labels, 0.1, 0)
    found = load_found_network(tmp_path / "run", "last")
    ((batch, labels),) = pipeline.evaluation_batches(images, held, batch_size=150, mean=found.mean, std=found.std)
    taken = np.argmax(found.network(batch), axis=1)
    assert confusion.tolist() == metrics.confusion_matrix(labels, taken, labels=range(10)).tolist()
    assert tuple(names) == tuple(images.class_names)


def test_the_kept_weights_score_on_the_held_back_images_what_the_history_says(finished):
    images = data.load_dataset("digits", "train")
    trained_on, held = data.held_back(images.labels, 0.1, 0)
    assert not set(trained_on) & set(held) and len(held) == 150
    found = load_found_network(finished, "last")
    ((batch, labels),) = pipeline.evaluation_batches(images, held, batch_size=150, mean=found.mean, std=found.std)
    accuracy = np.mean(np.argmax(found.network(batch), axis=1) == labels)
    assert accuracy == pytest.approx(float(rows(finished)[-1]["validation_accuracy"]), abs=1e-6)


def test_the_best_epoch_is_the_one_with_the_highest_validation_accuracy(tmp_path, monkeypatch):
    from fairdarts_tf.training.history import TrainHistory

    history = TrainHistory()
    for epoch, accuracy in enumerate([0.5, 0.8, 0.8, 0.7], start=1):
        history.append({"epoch": epoch, "validation_accuracy": accuracy})
    assert history.best_epoch() == 2
    assert TrainHistory([{"validation_accuracy": None}]).best_epoch() is None


@pytest.mark.parametrize("steps", [*(pytest.param(steps, marks=pytest.mark.slow) for steps in (1, 2)), 3])
def test_goes_on_to_the_bit_after_a_crash(finished, tmp_path, monkeypatch, steps):
    count_step = Recorder.on_train_batch_end

    def crash(recorder, batch, logs=None):
        count_step(recorder, batch, logs)
        if recorder.step == steps:
            raise CrashError

    settings = tiny_settings(tmp_path, **AVERAGED)
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_end", crash)
        with pytest.raises(CrashError):
            run_training(settings, tmp_path / "run")
    run_training(settings, tmp_path / "run")
    assert_equal_runs(finished, tmp_path / "run")


def test_a_signal_saves_within_the_epoch_and_has_its_own_exit_code(finished, tmp_path, monkeypatch, capsys):
    def terminate(recorder, batch, logs=None):
        if recorder.step == 2:
            signal.raise_signal(signal.SIGTERM)

    flags = tiny_flags(tmp_path, **AVERAGED, checkpoint_steps=0)
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_begin", terminate)
        assert train(*flags) == 143
    assert "stopped and saved" in capsys.readouterr().err
    assert [path.stem[-1] for path in list_checkpoints(tmp_path / "run" / "checkpoints")] == ["2", "3"]
    assert train(*flags) == 0
    assert_equal_runs(finished, tmp_path / "run")


def test_a_signal_in_the_last_epoch_finds_the_training_complete(finished, tmp_path, monkeypatch):
    """It is told to whoever has more to do."""

    def terminate(recorder, epoch, logs, seconds):
        if epoch == 1:
            signal.raise_signal(signal.SIGTERM)
        return record(recorder, epoch, logs, seconds)

    record = TrainRecorder.record
    monkeypatch.setattr(TrainRecorder, "record", terminate)
    result = run_training(tiny_settings(tmp_path, **AVERAGED), tmp_path / "run")
    assert (result.stopped_by, result.asked_to_stop) == (None, signal.SIGTERM)
    assert_equal_runs(finished, tmp_path / "run")


def test_a_kill_between_weights_and_checkpoint_repeats_the_epoch(finished, tmp_path, monkeypatch):
    settings = tiny_settings(tmp_path, **AVERAGED)
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "save", lambda recorder, seconds: (_ for _ in ()).throw(CrashError))
        with pytest.raises(CrashError):
            run_training(settings, tmp_path / "run")
    run_training(settings, tmp_path / "run")
    assert_equal_runs(finished, tmp_path / "run")


def test_a_finished_run_only_says_its_result(finished, capsys):
    before = (finished / "history.csv").read_text()
    assert train(f"--workdir={finished}") == 0
    assert "best.npz" in capsys.readouterr().out
    assert (finished / "history.csv").read_text() == before


def test_nothing_held_back_means_no_best_and_the_last_counts(tmp_path, capsys):
    assert train(*tiny_flags(tmp_path, validation_portion=0, epochs=1)) == 0
    output = capsys.readouterr()
    assert "none is held back" in output.err and "last.npz" in output.out
    assert not (tmp_path / "run" / "best.npz").exists()
    assert rows(tmp_path / "run")[0]["validation_accuracy"] == ""
    assert load_found_network(tmp_path / "run", "best").network.num_classes == 10


def test_what_chooses_is_said(tmp_path, capsys):
    assert train(*tiny_flags(tmp_path, epochs=1)) == 0
    assert "150 others of the training split choose the best epoch, no test images" in capsys.readouterr().err
