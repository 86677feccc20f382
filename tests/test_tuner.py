"""The tuner, on trials that take no time: which it runs, what it records, and that it goes on after a stop."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import pytest
from toy_tuning import BEST, EPOCHS, ToyHyperModel, accuracy, ran

from fairdarts_tf import files
from fairdarts_tf.errors import ConfigurationError, DataError, RunError
from fairdarts_tf.tuning import oracles
from fairdarts_tf.tuning.outcome import Judgement, Outcome, TrialStopped
from fairdarts_tf.tuning.roles import Role, role
from fairdarts_tf.tuning.run import TuningResult, run_tuning
from fairdarts_tf.tuning.settings import TuningSettings


@pytest.fixture(autouse=True)
def no_cluster_here(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of thousands of small files here none has to outlive a power cut.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for name in ("TF_CONFIG", "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"):
        monkeypatch.delenv(name, raising=False)


def tune(workdir: Path, model: ToyHyperModel | None = None, **settings: object) -> TuningResult:
    return run_tuning(TuningSettings(**{"trials": 4} | settings), model or ToyHyperModel(), workdir)


def records(workdir: Path) -> list[dict[str, object]]:
    """Returns what KerasTuner itself recorded of each trial."""
    return [json.loads(path.read_text()) for path in sorted(workdir.glob("keras_tuner/trial_*/trial.json"))]


def table(workdir: Path) -> list[dict[str, str]]:
    with open(workdir / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def what_was_chosen(result: TuningResult) -> dict[str, tuple[float, float]]:
    return {row["trial"]: (row["threshold"], row["objective"]) for row in result.rows}


def test_the_table_is_kerastuners_own_record(tmp_path: Path):
    result = tune(tmp_path / "run", objective_cost="params", objective_cost_weight=0.1)
    assert [row["rank"] for row in result.rows] == [1, 2, 3, 4]
    objectives = [row["objective"] for row in result.rows]
    assert objectives == sorted(objectives, reverse=True)
    by_id = {record["trial_id"]: record for record in records(tmp_path / "run")}
    rows = table(tmp_path / "run")
    assert len(rows) == len(by_id) == 4
    for row in rows:
        record = by_id[row["trial"]]
        assert (row["status"], record["status"]) == ("completed", "COMPLETED")
        assert float(row["objective"]) == pytest.approx(record["score"], rel=1e-8)
        threshold = record["hyperparameters"]["values"]["threshold"]
        assert float(row["threshold"]) == pytest.approx(threshold, rel=1e-3)
        assert float(row["objective"]) == pytest.approx(accuracy(float(row["threshold"]), EPOCHS) - 0.1 * 2.0)
        for name in ("validation_accuracy", "validation_loss", "cost", "best_epoch"):
            (observation,) = record["metrics"]["metrics"][name]["observations"]
            assert float(row[name]) == pytest.approx(observation["value"][0], rel=1e-8)


def test_the_same_seed_chooses_the_same_and_another_seed_others(tmp_path: Path):
    first, again, other = (tune(tmp_path / f"{n}", tuner_seed=seed) for n, seed in enumerate((0, 0, 1)))
    assert what_was_chosen(first) == what_was_chosen(again)
    assert not set(what_was_chosen(first).values()) & set(what_was_chosen(other).values())


def test_bayesian_makes_use_of_what_it_saw(tmp_path: Path):
    """The first trials are those of a random search; the next depends on what came of them."""
    options = {"tuner": "bayesian", "trials": 4, "initial_trials": 3}
    by_best = [what_was_chosen(tune(tmp_path / f"{best}", ToyHyperModel(best=best), **options)) for best in (0.5, 0.9)]
    randomly = what_was_chosen(tune(tmp_path / "random"))
    tried = [randomly[trial][0] for trial in "012"]
    for chosen in by_best:
        assert [chosen[trial][0] for trial in "012"] == tried
    assert by_best[0]["3"][0] < min(tried) and by_best[1]["3"][0] > max(tried)


def test_hyperband_goes_on_with_the_best(tmp_path: Path):
    """9 epochs and a factor of 3: brackets of 9, 3 and 1 epochs, and whoever goes on does so in its first directory."""
    result = tune(tmp_path / "run", tuner="hyperband", hyperband_factor=3)
    assert not [name for name in result.rows[0] if name.startswith("tuner/")]
    rungs = {row["trial"]: row["epochs"] for row in result.rows}
    assert set(rungs.values()) == {1, 3, 9}
    epochs = [row["epochs"] for row in result.rows]
    assert epochs == sorted(epochs, reverse=True), "only trials of all epochs can be the best"
    went_on = 0
    for record in records(tmp_path / "run"):
        values = record["hyperparameters"]["values"]
        assert rungs[record["trial_id"]] == values["tuner/epochs"]
        place = tmp_path / "run" / "trials" / values.get("tuner/trial_id", record["trial_id"])
        if "tuner/trial_id" in values:
            went_on += 1
            assert values["tuner/initial_epoch"] < values["tuner/epochs"]
            assert not (tmp_path / "run" / "trials" / record["trial_id"] / "epochs.txt").exists()
            continue
        lines = ran(place)
        assert [epoch for epoch, _ in lines] == list(range(1, len(lines) + 1)), "no epoch was run twice"
        assert len({threshold for _, threshold in lines}) == 1
    assert went_on >= 5
    total = sum(len(ran(place)) for place in (tmp_path / "run" / "trials").iterdir())
    assert total < sum(rungs.values())
    assert result.rows[0]["epochs"] == EPOCHS and abs(result.rows[0]["threshold"] - BEST) < 0.1


def test_a_trial_that_comes_to_nothing_is_recorded_and_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture):
    result = tune(tmp_path / "run", ToyHyperModel(fails=lambda threshold: threshold > 0.7), trials=12)
    failed = [row for row in result.rows if row["status"] == "failed"]
    completed = [row for row in result.rows if row["status"] == "completed"]
    assert len(failed) + len(completed) == 12 and len(failed) >= 2 and len(completed) >= 2
    assert all(row["threshold"] > 0.7 and row["objective"] is None and row["rank"] is None for row in failed)
    assert all(row["failure"] == f"nothing derived with --threshold={row['threshold']}" for row in failed)
    assert result.rows[: len(completed)] == completed
    assert {record["status"] for record in records(tmp_path / "run")} == {"COMPLETED", "FAILED"}
    assert result.rows[0]["threshold"] == max(row["threshold"] for row in completed)
    said = capsys.readouterr()
    assert said.out == ""
    assert all(line.startswith("trial ") for line in said.err.splitlines()), said.err
    assert said.err.count(" failed: nothing derived with") == len(failed)


def test_going_on_is_not_kerastuners_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tune(tmp_path / "run")
    capsys.readouterr()
    tune(tmp_path / "run", trials=5)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["trial 4"]


def test_what_reached_no_oracle_is_asked_again(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    update, lost = oracles.KeptOracle.update_trial, []

    def losing(self: oracles.KeptOracle, *arguments: object, **options: object) -> object:
        if not lost:
            lost.append(True)
            raise OSError("no\nanswer")
        return update(self, *arguments, **options)

    monkeypatch.setattr(oracles.KeptOracle, "update_trial", losing)
    assert [row["status"] for row in tune(tmp_path / "run").rows] == ["completed"] * 4
    error = capsys.readouterr().err
    assert "trial 0 could not be recorded: no answer" in error and "Traceback" not in error


def test_all_trials_come_to_nothing(tmp_path: Path):
    result = tune(tmp_path / "run", ToyHyperModel(fails=lambda threshold: True), trials=5)
    assert [row["status"] for row in result.rows] == ["failed"] * 5
    assert result.trials.best() is None and result.genotype is None
    assert "no trial is completed" in result.trials.text()
    assert not (tmp_path / "run" / "best.flags").exists() and len(table(tmp_path / "run")) == 5


@pytest.mark.parametrize(
    ("tuner", "error"),
    [("random", DataError("gone")), ("bayesian", KeyboardInterrupt), ("hyperband", KeyboardInterrupt)],
)
def test_goes_on_where_it_stopped(tmp_path: Path, tuner: str, error: BaseException):
    """Stopped three times within trials, it comes to what it would have come to; no epoch is run twice."""
    options = {"tuner": tuner, "initial_trials": 2, "trials": 4}
    expected = tune(tmp_path / "whole", **options)
    count = 0

    def stop(place: Path, epoch: int) -> None:
        nonlocal count
        count += 1
        if count in (5, 16, 25):
            raise error

    for _ in range(3):
        with pytest.raises((KeyboardInterrupt, DataError)):
            tune(tmp_path / "run", ToyHyperModel(before=stop), **options)
    result = tune(tmp_path / "run", ToyHyperModel(before=stop), **options)
    assert what_was_chosen(result) == what_was_chosen(expected)
    for place in (tmp_path / "run" / "trials").iterdir():
        assert ran(place) == ran(tmp_path / "whole" / "trials" / place.name)
    assert not list((tmp_path / "run").rglob(".lock"))


@pytest.mark.parametrize(("tuner", "step"), [("random", 1), pytest.param("hyperband", 5, marks=pytest.mark.slow)])
def test_killed_in_any_write_of_kerastuners_files_it_loses_no_trial(tmp_path: Path, tuner: str, step: int):
    options = {"tuner": tuner, "trials": 3}
    expected = tune(tmp_path / "whole", **options)
    killed = 0
    write = files.write_text_atomically

    class Killed(BaseException):
        pass

    for number in range(1, 60, step):
        left = number

        def dying(path: Path, text: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            write(path, text)

        workdir = tmp_path / f"{number}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(oracles, "write_text_atomically", dying)
            try:
                tune(workdir, **options)
            except Killed:
                killed += 1
            else:
                break
        assert what_was_chosen(tune(workdir, **options)) == what_was_chosen(expected)
    assert killed >= (12 if step == 1 else 3)


def test_a_signal_stops_it(tmp_path: Path):
    def stop(place: Path, epoch: int) -> None:
        if place.name == "1" and not ran(place):
            raise TrialStopped(signal.SIGTERM)

    first = tune(tmp_path / "run", ToyHyperModel(before=stop))
    assert first.stopped_by == signal.SIGTERM
    assert [row["status"] for row in first.rows] == ["completed", "running"]
    assert [row["status"] for row in table(tmp_path / "run")] == ["completed", "running"]
    assert what_was_chosen(tune(tmp_path / "run")) == what_was_chosen(tune(tmp_path / "whole"))


def test_more_trials_follow_on_those_that_there_are(tmp_path: Path):
    before = tune(tmp_path / "run", trials=3)
    after = tune(tmp_path / "run", trials=12)
    assert len(after.rows) == 12
    assert {name[-1]: value for name, value in what_was_chosen(before).items()}.items() <= {
        name[-1] if len(name) == 1 else name: value for name, value in what_was_chosen(after).items()
    }.items()


def test_a_second_process_is_refused(tmp_path: Path):
    def second(place: Path, epoch: int) -> None:
        if epoch == 1:
            tune(tmp_path / "run")

    with pytest.raises(RunError, match=f"in use: process {os.getpid()} "):
        tune(tmp_path / "run", ToyHyperModel(before=second))


def test_other_settings_are_refused(tmp_path: Path):
    tune(tmp_path / "run")
    with pytest.raises(RunError, match="--tuner_seed=1 .the run has 0."):
        tune(tmp_path / "run", tuner_seed=1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ongoing_trials": {"tuner0": "9"}}', "\x00"])
def test_broken_files_of_kerastuner(tmp_path: Path, content: str):
    tune(tmp_path / "run")
    (tmp_path / "run" / "keras_tuner" / "oracle.json").write_text(content)
    with pytest.raises(RunError, match="keras_tuner cannot be read"):
        tune(tmp_path / "run")


def test_what_an_accuracy_is_weighed_against():
    outcome = Outcome(0.9, 0.1, 3, 40.0, 1.0)
    assert outcome.metrics(Judgement())["objective"] == pytest.approx(0.9)
    assert outcome.metrics(Judgement("macs", 0.001))["objective"] == pytest.approx(0.9 - 0.04)
    with pytest.raises(ConfigurationError, match="of which cost"):
        TuningSettings(objective_cost_weight=0.1)


def test_several_workers_of_a_run_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cluster = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
    monkeypatch.setenv("TF_CONFIG", cluster)
    with pytest.raises(ConfigurationError, match="a trial runs on one machine"):
        tune(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_roles():
    variables = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": "8000"}
    assert role({}) is role({"KERASTUNER_TUNER_ID": "x"}) is Role.ALONE
    assert role(variables | {"KERASTUNER_TUNER_ID": "chief"}) is Role.CHIEF
    assert role(variables | {"KERASTUNER_TUNER_ID": "tuner1"}) is Role.WORKER
    with pytest.raises(ConfigurationError, match="KERASTUNER_TUNER_ID is not set"):
        role(variables)
    with pytest.raises(ConfigurationError, match="must be a port"):
        role({"KERASTUNER_TUNER_ID": "a", "KERASTUNER_ORACLE_IP": "b", "KERASTUNER_ORACLE_PORT": "-1"})
