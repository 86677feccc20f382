"""A run's directory: its flags, and when a start is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairdarts_tf.errors import RunError
from fairdarts_tf.random_search.settings import RandomSearchSettings
from fairdarts_tf.runs import FORMAT_VERSION, MAX_FLAGS_BYTES, Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.temporaries import temporary_file
from fairdarts_tf.training.settings import TrainSettings
from fairdarts_tf.tuning.settings import TuningSettings

SETTINGS = SearchSettings(seed=3, operations=("skip_connect", "sep_conv_3x3")).as_flags()
RANDOM_SEARCH = RandomSearchSettings().as_flags() | TrainSettings(genotype="FairDARTS_a").as_flags()
KINDS = {
    "search": SETTINGS,
    "training": TrainSettings(genotype="FairDARTS_a").as_flags(),
    "tuning": TuningSettings().as_flags() | SETTINGS,
    "random search": {name: value for name, value in RANDOM_SEARCH.items() if name != "genotype"},
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with Run(tmp_path / "some" / "where") as run:
        run.open(SETTINGS)
    return run


def test_reads_the_settings_that_it_wrote(run: Run):
    assert run.settings() == SETTINGS | {"workdir": str(run.workdir)}
    assert [path.name for path in run.workdir.iterdir()] == ["flags.txt"]


def test_a_new_directory_has_no_settings_and_checking_makes_nothing(tmp_path: Path):
    run = Run(tmp_path / "new")
    run.check(SETTINGS)
    assert run.settings() is None
    assert not run.workdir.exists()


def test_opening_again_leaves_the_file_alone(run: Run):
    before = (run.workdir / "flags.txt").stat().st_mtime_ns
    run.open(SETTINGS | {"checkpoint_steps": "5"})
    assert (run.workdir / "flags.txt").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["data_dir", "download", "strategy", "checkpoint_steps", "on_nan"])
def test_settings_without_influence_may_change(run: Run, name: str):
    run.check(SETTINGS | {name: "other"})


def test_a_number_is_the_same_in_another_form(run: Run):
    with Run(run.workdir.with_name("other")) as other:
        other.open(SETTINGS | {"gradient_clip": "5"})
    other.check(SETTINGS | {"gradient_clip": "5.0"})
    with pytest.raises(RunError, match=r"--gradient_clip=5.5 \(the run has 5\)"):
        other.check(SETTINGS | {"gradient_clip": "5.5"})


def test_shows_every_difference(run: Run):
    with pytest.raises(RunError) as error:
        run.check(SETTINGS | {"seed": "4", "layers": "5"})
    assert "--layers=5 (the run has 8)" in str(error.value)
    assert "--seed=4 (the run has 3)" in str(error.value)
    assert "epochs" not in str(error.value)


def test_a_directory_of_before_a_flag_goes_on_with_its_default(run: Run):
    later = Run(run.workdir, {"of_tomorrow": "0.0"})
    later.check(SETTINGS | {"of_tomorrow": "0.0"})
    with pytest.raises(RunError, match="of_tomorrow=1.0"):
        later.check(SETTINGS | {"of_tomorrow": "1.0"})


def test_refuses_a_flag_that_is_unknown_here(run: Run):
    path = run.workdir / "flags.txt"
    path.write_text(path.read_text() + "--of_tomorrow=1\n")
    with pytest.raises(RunError, match=r"no --of_tomorrow \(the run has 1\)"):
        run.check(SETTINGS)


@pytest.mark.parametrize("there", KINDS)
@pytest.mark.parametrize("here", KINDS)
def test_a_run_of_another_command_is_refused_in_a_short_line(tmp_path: Path, there: str, here: str):
    with Run(tmp_path) as begun:
        begun.open(KINDS[there])
    assert Run(tmp_path).kind() == there
    assert Run(tmp_path).is_search() == (there == "search")
    again = Run(tmp_path, KINDS[here])
    if there == here:
        again.check(KINDS[here])
        return
    with pytest.raises(RunError, match=f"another command, a {there}, and this is a {here}:") as error:
        again.check(KINDS[here])
    assert len(str(error.value)) < 200 + len(str(tmp_path))


def test_reads_hand_written_flags(run: Run):
    (run.workdir / "flags.txt").write_text("# a comment\n\n  --seed=3\n--download\n--nosingle_level\n--dataset=a=b\n")
    assert run.settings() == {"seed": "3", "download": "true", "single_level": "false", "dataset": "a=b"}


@pytest.mark.parametrize("content", [b"--seed=3\nnot a flag\n", b"\xff\xfe", b"#" * (MAX_FLAGS_BYTES + 1)])
def test_refuses_a_file_that_is_no_list_of_flags(run: Run, content: bytes):
    (run.workdir / "flags.txt").write_bytes(content)
    with pytest.raises(RunError, match=r"flags\.txt"):
        run.check(SETTINGS)


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_refuses_truncated_flags(run: Run, share: float):
    path = run.workdir / "flags.txt"
    content = path.read_bytes()[: int(share * path.stat().st_size)]
    path.write_bytes(content)
    with pytest.raises(RunError, match="checkpoint_steps|seed"):
        Run(run.workdir).check(SETTINGS)
    assert path.read_bytes() == content


def test_another_format_is_refused_and_none_is_the_first(run: Run):
    path = run.workdir / "flags.txt"
    lines = path.read_text().splitlines(keepends=True)
    assert lines[0] == f"# fairdarts_tf run, format {FORMAT_VERSION}\n"
    path.write_text("".join(lines[1:]))
    run.check(SETTINGS)
    path.write_text("".join(["# fairdarts_tf run, format 99\n", *lines[1:]]))
    for use in (run.settings, lambda: run.check(SETTINGS)):
        with pytest.raises(RunError, match=f"has format 99, but .* reads format {FORMAT_VERSION}. Use the version"):
            use()


def test_opening_removes_what_killed_processes_left(run: Run):
    run.checkpoints.mkdir()
    names = ["report.html", "early_stopping.json", "not_finite-000000003.npz", "results.csv", "last.npz"]
    left = [run.workdir / f".{name}.abcdefgh.tmp" for name in names]
    left += [run.checkpoints / ".checkpoint-000000002.npz.abcdefgh.tmp"]
    kept = [run.workdir / ".notes.tmp", run.checkpoints / "checkpoint-000000001.npz"]
    for path in kept + left:
        path.touch()
    with run, temporary_file(run.workdir / "report.html") as (_, written_by_another):
        left[0].touch()
        run.open(SETTINGS)
        assert written_by_another.exists()
    assert all(path.exists() for path in kept) and not any(path.exists() for path in left)


def test_hidden_files_do_not_make_a_directory_foreign(tmp_path: Path):
    (tmp_path / ".DS_Store").touch()
    Run(tmp_path).open(SETTINGS)
    assert (tmp_path / "flags.txt").is_file()


def test_files_below_a_file_are_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="--workdir"):
        Run(tmp_path / "file" / "run").open(SETTINGS)
