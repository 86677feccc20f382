"""Random search: which genotypes it draws, that it ranks them, and that it goes on where it stopped."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import numpy as np
import pytest
from tiny_search import as_flags

from fairdarts_tf.cli.random_search import COMMAND, main
from fairdarts_tf.costs import network_cost
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.random_search import run as random_search_run
from fairdarts_tf.random_search.drawing import draw_candidates
from fairdarts_tf.random_search.run import rank
from fairdarts_tf.random_search.settings import RandomSearchSettings
from fairdarts_tf.training import run as training_run
from fairdarts_tf.training.history import TrainHistory

TINY = {
    "candidates": 2,
    "skips": 1,
    "nodes": 1,
    "init_channels": 2,
    "layers": 3,
    "epochs": 2,
    "steps_per_epoch": 2,
    "batch_size": 50,
    "checkpoint_steps": 1,
}


def random_search(workdir: Path, **changes: object) -> int:
    return COMMAND.execute(main, ["random_search", *as_flags(workdir=workdir, **(TINY | changes))])


def rows(workdir: Path) -> list[dict[str, str]]:
    with open(workdir / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_candidates_keep_to_all_bounds_and_differ():
    settings = RandomSearchSettings(candidates=20, skips=2, min_params=2.5, max_params=3.0, min_macs=400, max_macs=480)
    found = draw_candidates(settings)
    assert len(set(found)) == 20
    for genotype in found:
        assert sum(item.op == "skip_connect" for item in genotype.normal) == 2
        cost = network_cost(genotype)
        assert 2.5e6 <= cost.params <= 3.0e6 and 400e6 <= cost.macs <= 480e6
    assert draw_candidates(settings) == found
    assert set(draw_candidates(RandomSearchSettings(candidates=20, draw_seed=1))).isdisjoint(found)


def test_bounds_leave_the_rest_uniform():
    """With one node and two operations there are 16 genotypes; half of the normal cells have one skip."""
    operations = ("skip_connect", "max_pool_3x3")
    options = {"operations": operations, "nodes": 1, "skips": -1}
    everything = draw_candidates(RandomSearchSettings(candidates=16, **options))
    assert len(set(everything)) == 16
    with pytest.raises(ConfigurationError, match="only 16 different ones"):
        draw_candidates(RandomSearchSettings(candidates=17, **options))
    firsts = [draw_candidates(RandomSearchSettings(candidates=1, draw_seed=seed, **options))[0] for seed in range(800)]
    counts = np.array([firsts.count(genotype) for genotype in everything])
    assert np.sum((counts - 50) ** 2 / 50) < 45


def test_bounds_that_nothing_keeps_to():
    with pytest.raises(ConfigurationError, match="million parameters"):
        draw_candidates(RandomSearchSettings(candidates=1, max_params=0.5))
    with pytest.raises(ConfigurationError, match="--min_macs is 5, above --max_macs=4"):
        RandomSearchSettings(min_macs=5, max_macs=4)


def test_ranking():
    found = rank(
        [
            {"candidate": 1, "validation_accuracy": 0.5, "validation_loss": 2.0},
            {"candidate": 2, "validation_accuracy": 0.7, "validation_loss": 3.0},
            {"candidate": 3, "validation_accuracy": 0.5, "validation_loss": 1.0},
        ]
    )
    assert [(row["rank"], row["candidate"]) for row in found] == [(1, 2), (2, 3), (3, 1)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("random") / "run"
    assert random_search(workdir) == 0
    return workdir


def test_trains_and_ranks_all_candidates(finished: Path):
    found = rows(finished)
    assert [row["rank"] for row in found] == ["1", "2"]
    assert sorted(row["candidate"] for row in found) == ["1", "2"]
    assert [row["normal_skips"] for row in found] == ["1"] * 2
    accuracies = [float(row["validation_accuracy"]) for row in found]
    assert accuracies == sorted(accuracies, reverse=True)
    best = finished / f"candidate_{found[0]['candidate']}"
    assert Genotype.load(finished) == Genotype.load(best)
    with open(best / "history.csv", newline="") as file:
        best_of_epochs = max(float(row["validation_accuracy"]) for row in csv.DictReader(file))
    assert accuracies[0] == pytest.approx(best_of_epochs)


def test_goes_on_where_it_stopped(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Killed in the second training and started from elsewhere, it ends with the same ranking.

    What is trained is not trained again, and the directory is given up at the end.
    """
    trained: list[str] = []
    train = random_search_run.run_training

    def counted(settings, place):
        result = train(settings, place)
        trained.append(place.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(random_search_run, "run_training", counted)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    assert random_search(Path("run")) == 130
    assert [row["candidate"] for row in rows(tmp_path / "run")] == ["1"]
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert random_search(Path("..", "run")) == 0
    assert rows(tmp_path / "run") == rows(finished)
    assert not list(tmp_path.rglob(".lock"))


def test_a_signal_as_a_training_ends_stops_the_others(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    describe = training_run.describe_epoch

    def terminated(history: TrainHistory, epochs: int) -> str:
        if len(history.rows) == epochs:
            signal.raise_signal(signal.SIGTERM)
        return describe(history, epochs)

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "describe_epoch", terminated)
        assert random_search(tmp_path / "run") == 143
    assert [row["candidate"] for row in rows(tmp_path / "run")] == ["1"]
    assert not (tmp_path / "run" / "candidate_2").exists()
    assert random_search(tmp_path / "run") == 0
    assert rows(tmp_path / "run") == rows(finished)


def test_several_workers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    cluster = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
    monkeypatch.setenv("TF_CONFIG", cluster)
    assert random_search(tmp_path / "run") == 2
    assert "one machine, but TF_CONFIG names several workers" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_refusals(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for changes, words in (
        ({"workdir": finished, "skips": 2}, "--skips=2 (the run has 1)"),
        ({"workdir": tmp_path / "a", "validation_portion": 0}, "--validation_portion is 0"),
        ({"workdir": tmp_path / "b", "max_params": 0.1}, "Widen the bounds"),
        ({"workdir": tmp_path / "c", "skips": 3}, "skips is 3"),
        ({"workdir": ""}, "--workdir"),
    ):
        assert random_search(**changes) == 2
        error = capsys.readouterr().err
        assert words in error and len(error.splitlines()) == 1
    assert not any(tmp_path.iterdir())
