"""Reading what a search leaves: whole, still going, in part, broken."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from report_testing import change_flag, make_run

from fairdarts_tf.errors import RunError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.report.evolution import evolution_of
from fairdarts_tf.report.figures import dominant_operations
from fairdarts_tf.report.run_data import RECORDS, read_run


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def problems(workdir: Path) -> str:
    return "\n".join(read_run(workdir).problems)


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def test_whole_run(workdir: Path):
    run = read_run(workdir)
    assert run.problems == ()
    assert run.epochs_done == 12
    assert run.columns["train_loss"].tolist() == pytest.approx([2 / epoch for epoch in range(1, 13)])
    assert run.alphas["normal"].shape == (12, 14, 7)
    assert run.genotype == Genotype.load(workdir) == evolution_of(run).last.genotype
    assert run.settings["batch_size"] == "128"


@pytest.mark.parametrize("name", ["flags.txt", "history.csv", "history.npz", "alphas.npz"])
@pytest.mark.parametrize("harm", ["absent", "empty", "cut", "noise"])
def test_a_broken_file_is_named_and_the_rest_is_there(workdir: Path, name: str, harm: str):
    path = workdir / name
    if harm == "absent":
        path.unlink()
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "cut":
        cut(path)
    else:
        path.write_bytes(np.random.default_rng(0).bytes(500))
    run = read_run(workdir)
    if name == "alphas.npz" or (name == "flags.txt" and harm in ("empty", "cut")):
        # The history holds the last alphas too, and a flagfile may be short.
        assert run.alphas["normal"].shape == (12, 14, 7)
        return
    assert name in "\n".join(run.problems)
    assert run.epochs_done == 12 or (name, harm) == ("history.npz", "absent") or len(run.epochs) == 12
    assert len(run.alphas["normal"]) == (1 if name == "history.npz" else 12)
    assert bool(run.columns) == (name != "history.csv" or harm == "cut")


def test_history_cut_within_a_number(workdir: Path):
    path = workdir / "history.csv"
    path.write_bytes(path.read_bytes()[:-4])
    run = read_run(workdir)
    assert run.columns["epoch"].tolist() == list(range(1, 12))
    assert "after epoch 11" in "\n".join(run.problems)


def test_directory_without_a_run(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("shopping")
    for place, word in [
        (tmp_path, "holds no run"),
        (tmp_path / "absent", "does not exist"),
        (tmp_path / "notes.txt", "is a file"),
    ]:
        with pytest.raises(RunError, match=word):
            read_run(place)


def test_before_the_first_epoch(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", recorded=0))
    assert (run.epochs_done, run.state().name, dict(run.alphas)) == (0, "going", {})
    assert "No epoch" in problems(tmp_path / "run")


def test_state_follows_the_clock(tmp_path: Path):
    finished = read_run(make_run(tmp_path / "finished"))
    assert finished.state(finished.written + 1e6).name == "finished"
    run = read_run(make_run(tmp_path / "short", recorded=5))
    assert run.state(run.written + 59).name == "going"
    later = run.state(run.written + 61)
    assert (later.name, later.epochs, later.planned) == ("stopped", 5, 12)


def test_a_slow_search_is_not_called_stopped_between_epochs(tmp_path: Path):
    workdir = make_run(tmp_path / "run", recorded=5)
    path = workdir / "history.csv"
    path.write_text(path.read_text().replace(",2,70", ",2000,70"))
    run = read_run(workdir)
    assert run.state(run.written + 5900).name == "going"
    assert run.state(run.written + 6100).name == "stopped"


def test_start_is_read_from_the_event_file(workdir: Path):
    (workdir / "tensorboard").mkdir()
    (workdir / "tensorboard" / "events.out.tfevents.1795496489.vm.1.0.v2").touch()
    os.utime(workdir / "flags.txt", (0, 0))
    assert read_run(workdir).started == 1795496489


@pytest.mark.parametrize(
    ("flag", "value", "word"),
    [
        ("threshold", "high", "--threshold=high"),
        ("threshold", "7", "--threshold=7"),
        ("relaxation", "sigmod", "Did you mean 'sigmoid'"),
        ("method", "best", "--method"),
        ("operations", "skip_connect", "names 1 operations"),
    ],
)
def test_unusable_flags_are_named_and_replaced(workdir: Path, flag: str, value: str, word: str):
    change_flag(workdir, flag, value)
    assert word in problems(workdir)
    assert len(read_run(workdir).derivation.operations) == 7


def test_an_epoch_without_a_genotype_says_why(tmp_path: Path):
    evolution = evolution_of(read_run(make_run(tmp_path / "run", threshold=0.9)))
    assert evolution.epochs[0].genotype is None
    assert "would be empty" in evolution.epochs[0].reason
    assert evolution.last.genotype is not None


def test_stood_counts_the_last_epochs(workdir: Path):
    evolution = evolution_of(read_run(workdir))
    for kind in ("normal", "reduce"):
        for item in evolution.last.genotype.items(kind):
            wanted = sum(
                epoch.genotype is not None and item in epoch.genotype.items(kind) for epoch in evolution.epochs[-5:]
            )
            assert evolution.stood(kind, item) == (wanted, 5)
    assert evolution.stood("normal", evolution.last.genotype.normal[0], last=20)[1] == 12


def test_records_are_what_a_search_writes(workdir: Path):
    assert {path.name for path in workdir.iterdir()} == {"flags.txt", *RECORDS}


def test_flags_cut_short_are_named_and_nothing_is_said_of_how_far_the_run_is(workdir: Path):
    path = workdir / "flags.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:9]))
    run = read_run(workdir)
    assert "cut short" in problems(workdir) and "--method" in problems(workdir)
    assert run.state().name == "unknown"


@pytest.mark.parametrize("line", ["5," + 200_000 * "1" + "\n", "1e300" + 15 * ",1" + "\n", "7" + 15 * ",1" + "\n"])
def test_senseless_lines_of_a_history_are_named(workdir: Path, line: str):
    path = workdir / "history.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:4], line, *lines[5:]]))
    assert "history.csv" in problems(workdir)
    assert read_run(workdir).epochs_done == 12


def test_lost_alphas_are_named(workdir: Path):
    (workdir / "alphas.npz").unlink()
    assert "alphas.npz is missing" in problems(workdir)


def test_where_weights_compete_the_largest_of_an_edge_is_dominant():
    weights = np.array([[[0.2, 0.3, 0.5], [0.4, 0.35, 0.25]]])
    figure = dominant_operations([1], weights, ("a", "b", "c"), None)
    assert [trace["y"] for trace in figure["data"]] == [[1], [0], [1]]
    assert {trace["type"] for trace in figure["data"]} == {"bar"}, "an area of one epoch has no width"
