"""Tuning searches, trainings and genotypes for real, as small as they come."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
import tiny_search
import tiny_training
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tiny_search import NoLog, as_flags

import fairdarts_tf as fd
from fairdarts_tf import search_run
from fairdarts_tf.cli import search as search_command
from fairdarts_tf.cli import train as train_command
from fairdarts_tf.cli.settings_flags import read_settings
from fairdarts_tf.cli.tune import COMMAND, main
from fairdarts_tf.costs import NetworkSize, network_cost
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.history import Row
from fairdarts_tf.run_lock import RunLock
from fairdarts_tf.search_run import run_search
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.training import run as training_run
from fairdarts_tf.training.run import run_training
from fairdarts_tf.training.settings import TrainSettings
from fairdarts_tf.tuning import search_hypermodel, short_training

SHORT = {"init_channels": 2, "layers": 3, "epochs": 2, "steps_per_epoch": 2, "batch_size": 50}
SEARCH = (
    tiny_search.TINY
    | {"method": "threshold_sparse", "trials": 2, "objective_cost": "params", "objective_cost_weight": 0.05}
    | {"tune": ("zero_one_weight:1:30:log", "threshold:0.3:0.45", "learning_rate:0.01:0.1:log")}
    | {f"train_{name}": value for name, value in SHORT.items()}
)


def tune(workdir: Path, **flags: object) -> int:
    return COMMAND.execute(main, ["tune", *as_flags(workdir=workdir, **flags)])


def table(workdir: Path) -> list[dict[str, str]]:
    with open(workdir / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_no_tuning_is_refused(tmp_path: Path):
    for given in ((fd.TuningSettings(), "x"), ("x", None)):
        with pytest.raises(ConfigurationError, match="a tuning needs TuningSettings and a hypermodel"):
            fd.run_tuning(*given, tmp_path)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Pictures take longer than the steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_run, "_write_report", lambda run: None)
        for module in (search_run, training_run):
            patch.setattr(module, "TensorBoardLog", NoLog)
        for name in ("TF_CONFIG", "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A tuning of a search that was interrupted in the second trial, after its search, and what it trained."""
    workdir = tmp_path_factory.mktemp("tuning") / "run"
    trained: list[str] = []

    def counted(settings: TrainSettings, place: Path, **options: object) -> object:
        trained.append(place.parent.name)
        if trained == ["0", "1"]:
            raise KeyboardInterrupt
        return run_training(settings, place, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(short_training, "run_training", counted)
        assert tune(workdir, **SEARCH) == 130
        assert [row["status"] for row in table(workdir)] == ["completed"]
        assert tune(workdir, **SEARCH) == 0
    return workdir, trained


def test_goes_on_with_the_trial_that_was_cut_off(resumed: tuple[Path, list[str]]):
    workdir, trained = resumed
    assert trained == ["0", "1", "1"]
    assert sorted(row["trial"] for row in table(workdir)) == ["0", "1"]
    assert not list(workdir.rglob(".lock"))


def test_the_table_is_kerastuners_record(resumed: tuple[Path, list[str]]):
    workdir, _ = resumed
    for row in table(workdir):
        record = json.loads((workdir / "keras_tuner" / f"trial_{row['trial']}" / "trial.json").read_text())
        assert (row["status"], record["status"]) == ("completed", "COMPLETED")
        assert float(row["objective"]) == pytest.approx(record["score"], rel=1e-8)
        values = record["hyperparameters"]["values"]
        assert set(values) == {"zero_one_weight", "threshold", "learning_rate"}
        for name, value in values.items():
            assert float(row[name]) == pytest.approx(value, rel=6e-4)


def test_by_hand_the_best_flags_come_to_the_same(resumed: tuple[Path, list[str]], tmp_path: Path):
    workdir, _ = resumed
    found = []
    read = lambda: found.append(read_settings(SearchSettings, search_command.COMMAND.flags, None))  # noqa: E731
    assert search_command.COMMAND.execute(read, ["search", f"--flagfile={workdir / 'best.flags'}"]) == 0
    (settings,), best = found, table(workdir)[0]
    assert str(workdir / "best") == search_command.COMMAND.flags.workdir
    for name in ("zero_one_weight", "threshold", "learning_rate"):
        assert getattr(settings, name) == float(best[name])

    genotype = run_search(settings, tmp_path / "search").genotype
    assert genotype == load_genotype(workdir / "genotype.json")
    genotype.save(tmp_path / "genotype.json")
    training = TrainSettings(
        genotype=str(tmp_path / "genotype.json"), drop_path=0.0, auxiliary_weight=0.0, cutout=0, **SHORT
    )
    history = run_training(training, tmp_path / "training").history
    accuracy = history.rows[history.best_epoch() - 1]["validation_accuracy"]
    assert float(best["validation_accuracy"]) == pytest.approx(accuracy, rel=1e-8)
    millions = network_cost(genotype, NetworkSize(image_size=8, image_channels=1)).params / 1e6
    assert float(best["cost"]) == pytest.approx(millions, rel=1e-8)
    assert float(best["objective"]) == pytest.approx(accuracy - 0.05 * millions, rel=1e-6)


def test_hparams_in_tensorboard(resumed: tuple[Path, list[str]]):
    workdir, _ = resumed
    for row in table(workdir):
        events = EventAccumulator(str(workdir / "tensorboard" / row["trial"])).Reload()
        content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        started = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
        assert started.group_name == row["trial"]
        shown = {name: value.number_value for name, value in started.hparams.items()}
        assert shown == {name: float(row[name]) for name in ("zero_one_weight", "threshold", "learning_rate")}
        tensor = events.Tensors("objective")[-1].tensor_proto
        assert float(tf.make_ndarray(tensor)) == pytest.approx(float(row["objective"]), rel=1e-6)


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_a_complete_tuning_prints_its_table_again(
    resumed: tuple[Path, list[str]], form: str, capsys: pytest.CaptureFixture
):
    workdir, _ = resumed
    assert tune(workdir, format=form, **SEARCH) == 0
    said = capsys.readouterr().out
    rows = table(workdir)
    if form == "csv":
        assert said == (workdir / "trials.csv").read_text()
    elif form == "json":
        document = json.loads(said)
        assert document["best"] == rows[0]["trial"]
        assert [row["trial"] for row in document["trials"]] == [row["trial"] for row in rows]
    else:
        lines = said.splitlines()
        assert [line.split()[1] for line in lines[1:3]] == [row["trial"] for row in rows]
        assert lines[-1] == f"best: trial {rows[0]['trial']}; bin/search --flagfile={workdir / 'best.flags'}"


def test_refusals(resumed: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture):
    workdir, _ = resumed
    for flags, words in (
        ({"workdir": workdir} | SEARCH | {"tune": "threshold:0.3:0.4"}, "--tune=threshold:0.3:0.4 (the run has"),
        ({"workdir": workdir} | SEARCH | {"train_epochs": 3}, "--train_epochs=3 (the run has 2)"),
        ({"workdir": tmp_path / "a", "tune": "thresold"}, "Did you mean 'threshold'?"),
        ({"workdir": tmp_path / "a", "what": "train", "threshold": 0.7}, "--threshold means nothing with --what=train"),
        ({"workdir": tmp_path / "a", "drop_path": 0.1}, "it is --train_drop_path"),
        ({"workdir": tmp_path / "a", "train_validation_portion": 0}, "--train_validation_portion is 0"),
        ({"workdir": tmp_path / "a", "what": "train"}, "which network?"),
        ({"workdir": tmp_path / "a", "what": "train", "genotype": "FairDARTS_x"}, "Did you mean"),
        ({"workdir": ""}, "--workdir"),
    ):
        assert tune(**flags) == 2
        error = capsys.readouterr().err
        assert words in error and len(error.splitlines()) == 1
    assert not any(tmp_path.iterdir())


def test_a_second_process_is_refused(resumed: tuple[Path, list[str]], capsys: pytest.CaptureFixture):
    workdir, _ = resumed
    lock = RunLock(workdir)
    lock.acquire()
    try:
        assert tune(workdir, **SEARCH) == 2
        assert "is in use: process" in capsys.readouterr().err
    finally:
        lock.release()


def test_a_signal_as_a_search_ends_stops_the_trial_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    describe = search_run.describe_epoch

    def terminated(row: Row, epochs: int, *rest: object) -> str:
        if row["epoch"] == epochs:
            signal.raise_signal(signal.SIGTERM)
        return describe(row, epochs, *rest)

    flags, trial = SEARCH | {"trials": 1}, tmp_path / "run" / "trials" / "0"
    with monkeypatch.context() as patch:
        patch.setattr(search_run, "describe_epoch", terminated)
        assert tune(tmp_path / "run", **flags) == 143
    assert [row["status"] for row in table(tmp_path / "run")] == ["running"]
    assert (trial / "search" / "genotype.json").is_file() and not list(trial.glob("training*"))
    assert tune(tmp_path / "run", **flags) == 0


def test_a_search_without_a_genotype_is_a_failed_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fails(settings: SearchSettings, place: Path, **options: object) -> None:
        raise GenotypeError("the search is complete, but the normal cell would be empty.")

    monkeypatch.setattr(search_hypermodel, "complete_search", fails)
    assert tune(tmp_path / "run", **SEARCH) == 2
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.splitlines()[-1]
    assert last.startswith("tune: no trial came to anything") and "trials.csv" in last and "--method=darts" in last
    rows = table(tmp_path / "run")
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert rows[0]["failure"] == "the search is complete, but the normal cell would be empty."


def test_a_paused_search_goes_on_as_if_it_had_not_paused(resumed: tuple[Path, list[str]], tmp_path: Path):
    """What Hyperband rests on: the whole search is the one that the first trial's directory holds."""
    workdir, _ = resumed
    whole = workdir / "trials" / "0" / "search"
    flags = dict(line.removeprefix("--").split("=", 1) for line in (whole / "flags.txt").read_text().splitlines()[1:])
    settings = SearchSettings.from_flags({name: value for name, value in flags.items() if name != "workdir"})
    paused = run_search(settings, tmp_path / "search", until_epoch=1)
    assert len(paused.history.rows) == 1
    again = run_search(settings, tmp_path / "search", until_epoch=1)
    assert len(again.history.rows) == 1
    complete = run_search(settings, tmp_path / "search")
    assert len(complete.history.rows) == settings.epochs == 2
    for run in (whole, tmp_path / "search"):
        with np.load(run / "alphas.npz") as found:
            for kind, alphas in complete.history.alphas[-1].items():
                np.testing.assert_array_equal(found[kind], alphas)


@pytest.mark.slow
def test_a_training(tmp_path: Path):
    flags = tiny_training.TINY | {
        "what": "train",
        "genotype": tiny_training.genotype_file(tmp_path),
        "trials": 1,
        "tune": ("init_channels:2:4", "drop_path", "augmentation:none|randaugment"),
        "objective_cost": "params",
        "objective_cost_weight": 1,
    }
    assert tune(tmp_path / "run", **flags) == 0
    best = table(tmp_path / "run")[0]
    found = []
    read = lambda: found.append(  # noqa: E731
        read_settings(TrainSettings, train_command.COMMAND.flags, None)
    )
    assert train_command.COMMAND.execute(read, ["train", f"--flagfile={tmp_path / 'run' / 'best.flags'}"]) == 0
    (settings,) = found
    assert (settings.init_channels, settings.drop_path) == (int(best["init_channels"]), float(best["drop_path"]))
    assert settings.augmentation == best["augmentation"]
    size = NetworkSize(settings.init_channels, 3, image_size=8, image_channels=1)
    assert float(best["cost"]) == pytest.approx(network_cost(tiny_training.GENOTYPE, size).params / 1e6)
    history = run_training(settings, tmp_path / "by_hand").history
    accuracy = history.rows[history.best_epoch() - 1]["validation_accuracy"]
    assert float(best["validation_accuracy"]) == pytest.approx(accuracy, rel=1e-8)


@pytest.mark.slow
def test_genotypes_by_hyperband(tmp_path: Path):
    """The control: genotypes of two rungs, the second of which goes on with a training of the first."""
    flags = {key: value for key, value in SEARCH.items() if key not in ("trials", "tune")} | {
        "what": "genotype",
        "tuner": "hyperband",
        "train_epochs": 2,
        "hyperband_factor": 2,
    }
    assert tune(tmp_path / "run", **flags) == 0
    rows = table(tmp_path / "run")
    assert {row["epochs"] for row in rows} == {"1", "2"} and rows[0]["epochs"] == "2"
    places = sorted(path.name for path in (tmp_path / "run" / "trials").iterdir())
    assert len(places) < len(rows)
    epochs = [len((tmp_path / "run/trials" / name / "training/history.csv").read_text().split()) for name in places]
    assert set(epochs) == {2, 3}
    assert load_genotype(tmp_path / "run" / "genotype.json") is not None
    found = []
    read = lambda: found.append(  # noqa: E731
        read_settings(TrainSettings, train_command.COMMAND.flags, None)
    )
    assert train_command.COMMAND.execute(read, ["train", f"--flagfile={tmp_path / 'run' / 'best.flags'}"]) == 0
    assert load_genotype(found[0].genotype) == load_genotype(tmp_path / "run" / "genotype.json")


@pytest.mark.slow
def test_kerastuners_own_tuner_in_a_few_lines(tmp_path: Path):
    images = fd.load_dataset("digits", "train")
    arrays = images.images[:100].astype("float32") / 255, images.labels[:100]
    space = fd.DartsSpace(operations=tiny_search.OPERATIONS, nodes=1)

    model = fd.tuning.GenotypeHyperModel(space, (8, 8, 1), 10, init_channels=2, layers=3)
    tuner = keras_tuner.RandomSearch(model, objective="val_accuracy", max_trials=2, seed=1, directory=tmp_path)
    tuner.search(*arrays, batch_size=50, epochs=1, validation_data=arrays, verbose=0)
    genotype = model.genotype(tuner.get_best_hyperparameters()[0])

    assert genotype.nodes("normal") == (2,)
    trials = tuner.oracle.get_best_trials(2)
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    network = tuner.get_best_models()[0].network
    assert network.genotype == genotype
    logits = network(arrays[0])
    assert np.mean(np.argmax(logits, axis=1) == arrays[1]) == pytest.approx(trials[0].score)
    shutil.rmtree(tmp_path / "untitled_project")
