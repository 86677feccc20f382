"""What a search leaves, that it repeats itself, and that it goes on to the bit after a crash."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from event_reading import events_of, hparams_table, tags_of
from tiny_search import EDGES, OPERATIONS, search, tiny_flags, tiny_settings

from fairdarts_tf.checkpoints import list_checkpoints, load_checkpoint, save_checkpoint
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.search_run import run_search


class CrashError(Exception):
    """Stands for a kill: nothing gets a chance to save."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("finished")
    run_search(tiny_settings(checkpoint_steps=1, profile_steps="3:3"), workdir)
    return workdir


def rows(workdir: Path) -> list[dict[str, str]]:
    with open(workdir / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def untimed(workdir: Path) -> list[dict[str, str]]:
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "images_per_second")}
        for row in rows(workdir)
    ]


def assert_equal_runs(one: Path, other: Path) -> None:
    for name in ("alphas.npz", "history.npz"):
        with np.load(one / name) as a, np.load(other / name) as b:
            assert set(a.files) == set(b.files)
            assert all(np.array_equal(a[key], b[key]) for key in a.files)
    assert (one / "genotype.json").read_text() == (other / "genotype.json").read_text()
    assert untimed(one) == untimed(other)


def test_files_of_a_run(finished):
    with np.load(finished / "alphas.npz") as alphas:
        assert set(alphas.files) == {"normal", "reduce"}
        assert all(alphas[kind].shape == (EDGES, len(OPERATIONS)) for kind in alphas.files)
        assert all(alphas[kind].dtype == np.float32 for kind in alphas.files)
        last = {kind: alphas[kind] for kind in alphas.files}
    with np.load(finished / "history.npz") as history:
        assert history["epoch"].tolist() == [1, 2]
        for kind, table in last.items():
            assert history[kind].shape == (2, EDGES, len(OPERATIONS))
            assert np.array_equal(history[kind][-1], table)
    assert [row["epoch"] for row in rows(finished)] == ["1", "2"]
    assert all(0 <= float(row["search_accuracy"]) <= 1 for row in rows(finished))
    assert float(rows(finished)[1]["learning_rate"]) == pytest.approx(0.003)
    assert Genotype.load(finished).nodes("normal") == (2,)
    assert 1 <= len(list((finished / "checkpoints").iterdir())) <= 2


def test_tensorboard(finished):
    events = events_of(finished)
    assert {"train_loss", "search_accuracy", "mixing_weights/normal", "cells", "final/search_accuracy"} <= tags_of(
        events
    )
    weights = {tag.removeprefix("weights/") for tag in tags_of(events) if tag.startswith("weights/")}
    assert weights == {"stem", "cell_0", "cell_1", "cell_2", "classifier"}
    (row,) = hparams_table(finished)
    assert row["settings"]["init_channels"] == 2 and row["finished"] == [True]
    assert row["metrics"]["final/search_accuracy"] == pytest.approx(float(rows(finished)[-1]["search_accuracy"]))
    assert [event.step for event in events.Tensors("train_loss")] == [1, 2]


def test_a_profile_of_the_steps_that_were_asked_for(finished):
    (profile,) = (finished / "tensorboard" / "plugins" / "profile").glob("*/*.xplane.pb")
    assert profile.stat().st_size > 1000
    # It changes nothing: the run goes on, or is repeated, without it.
    assert search(f"--flagfile={finished / 'flags.txt'}", "--profile_steps=") == 0


def test_the_same_seed_repeats_the_run_and_another_does_not(finished, tmp_path):
    flags = f"--flagfile={finished / 'flags.txt'}"
    assert search(flags, f"--workdir={tmp_path / 'again'}") == 0
    assert_equal_runs(finished, tmp_path / "again")
    run_search(tiny_settings(seed=1), tmp_path / "other")
    with np.load(finished / "alphas.npz") as a, np.load(tmp_path / "other" / "alphas.npz") as b:
        assert not np.array_equal(a["normal"], b["normal"])


@pytest.mark.parametrize("steps", [*(pytest.param(steps, marks=pytest.mark.slow) for steps in (1, 2)), 3])
def test_goes_on_to_the_bit_after_a_crash(finished, tmp_path, monkeypatch, steps):
    count_step = Recorder.on_train_batch_end

    def crash(recorder, batch, logs=None):
        count_step(recorder, batch, logs)
        if recorder.step == steps:
            raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_end", crash)
        with pytest.raises(CrashError):
            run_search(tiny_settings(checkpoint_steps=1), tmp_path)
    run_search(tiny_settings(checkpoint_steps=1), tmp_path)
    assert_equal_runs(finished, tmp_path)


def test_a_finished_run_only_says_its_result(finished, capsys):
    before = (finished / "history.csv").read_text()
    assert search(f"--workdir={finished}") == 0
    assert "genotype.json" in capsys.readouterr().out
    assert (finished / "history.csv").read_text() == before


def test_contradicting_flags_are_refused(finished, capsys):
    before = (finished / "flags.txt").read_text()
    assert search(*tiny_flags(finished, batch_size=40, checkpoint_steps=1)) == 2
    error = capsys.readouterr().err
    assert "--batch_size=40 (the run has 50)" in error and len(error.splitlines()) == 1
    assert (finished / "flags.txt").read_text() == before


def test_a_corrupt_checkpoint_is_passed_over_and_alone_is_refused(finished, tmp_path, capsys):
    run_search(tiny_settings(checkpoint_steps=1), tmp_path)
    older, newer = sorted((tmp_path / "checkpoints").iterdir())
    newer.write_bytes(newer.read_bytes()[:-100])
    assert search(f"--workdir={tmp_path}") == 0
    assert f"{newer.name}.corrupt" in capsys.readouterr().err
    assert_equal_runs(finished, tmp_path)
    assert len(list_checkpoints(tmp_path / "checkpoints")) == 2
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:1000])
    assert search(f"--workdir={tmp_path}") == 2
    error = capsys.readouterr().err
    assert "corrupt or truncated" in error and len(error.splitlines()) == 1


def test_a_run_of_before_formats_and_retries_goes_on(finished, tmp_path):
    """As an older version left it: no format in flags.txt, no --on_nan, no retries in the checkpoint."""
    older = shutil.copytree(finished, tmp_path / "older")
    lines = (older / "flags.txt").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("# fairdarts_tf run", "--on_nan"))]
    assert len(kept) == len(lines) - 2
    (older / "flags.txt").write_text("".join(kept))
    third, fourth = list_checkpoints(older / "checkpoints")
    fourth.unlink()
    arrays = load_checkpoint(third)
    del arrays["retries"]
    save_checkpoint(third.parent, int(arrays["step"]), arrays)
    run_search(tiny_settings(checkpoint_steps=1), older)
    assert_equal_runs(finished, older)


def test_single_level_and_warm_up(tmp_path):
    result = run_search(tiny_settings(warmup_epochs=1), tmp_path / "warm")
    assert np.all(result.history.alphas[0]["normal"] == 0)
    assert np.any(result.history.alphas[1]["normal"] != 0)
    result = run_search(tiny_settings(single_level=True), tmp_path / "single")
    assert np.any(result.history.alphas[0]["normal"] != 0)
    assert result.history.rows[0]["search_loss"] is None
