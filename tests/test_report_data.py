"""Reading what a search leaves: whole, still going, in part, broken."""

from __future__ import annotations

import csv
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
from fairdarts_tf.report.summary import describe_state
from fairdarts_tf.runs import Run
from fairdarts_tf.training.history import TrainHistory
from fairdarts_tf.training.settings import TrainSettings


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def problems(workdir: Path) -> str:
    return "\n".join(read_run(workdir).problems)


def aged(workdir: Path, seconds: float) -> Path:
    """Dates the flags earlier, as those of a search that has taken so many seconds are."""
    date = (workdir / "history.csv").stat().st_mtime - seconds
    os.utime(workdir / "flags.txt", (date, date))
    return workdir


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
    assert (run.epochs_done, run.state().name, dict(run.alphas)) == (0, "unfinished", {})
    assert "No epoch" in problems(tmp_path / "run")


def test_state_follows_the_clock(tmp_path: Path):
    finished = read_run(make_run(tmp_path / "finished"))
    assert finished.state().name == "finished" and not finished.state().may_go_on
    run = read_run(aged(make_run(tmp_path / "short", recorded=5), seconds=600))
    written = run.dates.last
    assert run.state(written + 59).may_go_on
    later = run.state(written + 61)
    assert (later.name, later.epochs, later.planned, later.may_go_on) == ("unfinished", 5, 12, False)
    assert later.written == written and later.silence == pytest.approx(61)


def test_a_slow_search_may_go_on_between_epochs(tmp_path: Path):
    workdir = make_run(tmp_path / "run", recorded=5)
    path = workdir / "history.csv"
    path.write_text(path.read_text().replace(",2,70", ",2000,70"))
    run = read_run(workdir)
    assert run.state(run.dates.last + 5900).may_go_on
    assert not run.state(run.dates.last + 6100).may_go_on


def test_what_is_said_of_a_run_that_is_not_finished(tmp_path: Path):
    copy = read_run(make_run(tmp_path / "copy", recorded=5))
    assert describe_state(copy) == "Unfinished: 5 of 12 epochs, and its files have the dates of a copy"
    run = read_run(aged(tmp_path / "copy", seconds=600))
    told = describe_state(run, run.dates.last + 185)
    assert told.startswith("Unfinished: 5 of 12 epochs, last written 20")
    assert told.endswith(", 3 min before this page")


@pytest.mark.parametrize(("planned", "words"), [(1, "Finished: 1 of 1 epoch"), ("?", "1 epoch recorded")])
def test_one_epoch_is_one_epoch(tmp_path: Path, planned: object, words: str):
    workdir = make_run(tmp_path / "run", epochs=1)
    change_flag(workdir, "epochs", str(planned))
    assert describe_state(read_run(workdir)) == words


@pytest.mark.parametrize("name", ["flags.txt", "history.csv", "history.npz", "alphas.npz", "genotype.json"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_keeps_nobody_waiting(workdir: Path, name: str, kind: str):
    (workdir / name).unlink()
    if name == "alphas.npz":
        (workdir / "history.npz").unlink()
    if kind == "pipe":
        os.mkfifo(workdir / name)
    else:
        (workdir / name).symlink_to("/dev/zero")
    assert "a pipe or a device, no file" in problems(workdir)


def test_dates_of_a_copy_tell_nothing(tmp_path: Path):
    workdir = make_run(tmp_path / "run", recorded=5)
    assert read_run(workdir).state().started is None
    assert read_run(aged(workdir, seconds=600)).state().started == (workdir / "flags.txt").stat().st_mtime
    (workdir / "history.csv").unlink()
    run = read_run(workdir)
    assert (run.state().started, run.state().written) == (None, None)
    assert describe_state(run) == "Unfinished: 5 of 12 epochs"


def test_a_copy_with_a_start_from_its_event_file_says_no_contradiction(tmp_path: Path):
    workdir = make_run(tmp_path / "run", recorded=5)
    (workdir / "tensorboard").mkdir()
    (workdir / "tensorboard" / "events.out.tfevents.1795496489.vm.1.0.v2").touch()
    run = read_run(workdir)
    assert run.state().started and describe_state(run) == "Unfinished: 5 of 12 epochs"


@pytest.mark.parametrize(("harm", "words"), [("absent", "0 of 12 epochs known"), ("cut", "4 of 12 epochs known")])
def test_the_last_alphas_of_an_unknown_epoch(workdir: Path, harm: str, words: str):
    (workdir / "history.npz").unlink()
    table = workdir / "history.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*lines[:5], lines[5][:-4]]))
    if harm == "absent":
        table.unlink()
    run = read_run(workdir)
    assert "Which epoch's they are is not known" in "\n".join(run.problems)
    assert describe_state(run) == words
    assert evolution_of(run).last.name == "the last epoch"


def test_the_last_alphas_are_of_the_last_epoch_of_a_whole_history(workdir: Path):
    (workdir / "history.npz").unlink()
    run = read_run(workdir)
    assert run.epochs.tolist() == [12] and describe_state(run).startswith("Finished: 12")


@pytest.mark.parametrize("name", ["model.json", "best.npz"])
def test_files_of_a_training_without_flags(workdir: Path, name: str):
    (workdir / name).touch()
    assert read_run(workdir).epochs_done == 12
    (workdir / "flags.txt").unlink()
    with pytest.raises(RunError, match="holds a training"):
        read_run(workdir)


@pytest.mark.parametrize("left", ["flags.txt", "history.csv"])
def test_a_training_is_no_search(tmp_path: Path, left: str):
    with Run(tmp_path / "run") as run:
        run.open(TrainSettings(genotype="FairDARTS_a").as_flags())
    history = TrainHistory()
    history.append({"epoch": 1, "train_loss": 2.0})
    (tmp_path / "run" / "history.csv").write_text(history.csv())
    for path in (tmp_path / "run").iterdir():
        if path.name != left:
            path.unlink()
    with pytest.raises(RunError, match="holds a training"):
        read_run(tmp_path / "run")


def test_columns_that_no_picture_shows_may_be_absent(workdir: Path):
    path = workdir / "history.csv"
    rows = list(csv.reader(path.read_text().splitlines()))
    kept = [place for place, name in enumerate(rows[0]) if name != "skipped_steps"]
    path.write_text("".join(",".join(row[place] for place in kept) + "\n" for row in rows))
    assert problems(workdir) == ""


def test_start_is_read_from_the_event_file(workdir: Path):
    (workdir / "tensorboard").mkdir()
    (workdir / "tensorboard" / "events.out.tfevents.1795496489.vm.1.0.v2").touch()
    os.utime(workdir / "flags.txt", (0, 0))
    assert read_run(workdir).state().started == 1795496489
    assert "dates of a copy" not in describe_state(read_run(workdir))


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
