"""Every flag of every command, out of its range or of another type: exit code 2 and one line, at once."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from absl import flags
from fuzzing import FAST_AND_SLOW, fuzz
from hypothesis import strategies as st
from PIL import Image

from fairdarts_tf.benchmarking import data_settings
from fairdarts_tf.benchmarking import settings as benchmark_settings
from fairdarts_tf.cli.settings_flags import define_flags, read_settings
from fairdarts_tf.errors import ConfigurationError, FairDartsError, RunError
from fairdarts_tf.random_search import settings as random_search_settings
from fairdarts_tf.random_search.settings import RandomSearchSettings
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_values import CHOICES
from fairdarts_tf.settings_values import RANGES as SEARCH_RANGES
from fairdarts_tf.spaces.mobile import RANGES
from fairdarts_tf.training import settings as train_settings
from fairdarts_tf.training.settings import TrainSettings

PROJECT = Path(__file__).resolve().parents[1]

BASES = {
    "search": ["--workdir=new"],
    "derive": ["--alphas=run"],
    "report": ["--workdir=run"],
    "animate": ["--workdir=run"],
    "train": ["--workdir=new", "--genotype=FairDARTS_a"],
    "evaluate": ["--workdir=run"],
    "predict": ["--model=run", "image.png"],
    "profile": ["--genotype=FairDARTS_a", "--nolatency"],
    "export": ["--workdir=run", "--output_dir=new"],
    "import_checkpoint": ["weights.pth.tar", "--genotype=FairDARTS_a", "--output_dir=new"],
    "benchmark": ["--what=search"],
    "random_search": ["--workdir=new"],
    "study": ["skip_counts", "--workdir=new"],
    "tune": ["--workdir=new"],
    "measure_data": ["--dataset=digits"],
    "measure_latency": ["--table=new.json"],
    "completion": ["bash"],
}
"""By command: flags with which it would go on to its work."""

NO_NUMBERS = ["", "x", "nan", "0x", "1,5", "--", "9" * 5000, "true"]
A_LIST = "nan,x"
"""Of names of nothing, but for those of classes, which only the data tell."""
UNFIT = {
    flags.IntegerParser: [*NO_NUMBERS, "-1", "1.5", "1e3", "inf", "9" * 30, "-" + "9" * 30],
    flags.FloatParser: [*NO_NUMBERS, "-1", "inf", "-inf", "1e400", "9" * 30],
    flags.BooleanParser: ["", "x", "2", "nan", "maybe"],
    flags.EnumParser: ["", "x", "BEST", " best", "a" * 5000],
    flags.ListParser: [A_LIST, ",,", '"x', "x\ny", "x" * 5000],
}
"""By the kind of a flag: what is none of its values. A number's range is never below 0, but for those of `NO_LIMIT`."""
NO_LIMIT = {"max_skips": "-1", "skips": "-1"}
NAMES = {
    "search": ("space", "relaxation", "zero_one", "method", "precision", "strategy", "crop", "storage"),
    "train": (
        "genotype",
        "crop",
        "storage",
        "augmentation",
        "network",
        "drop_path_at",
        "schedule",
        "precision",
        "strategy",
    ),
    "derive": ("alphas", "method", "relaxation"),
    "report": (),
    "animate": ("workdir",),
    "evaluate": ("workdir",),
    "predict": ("model",),
    "profile": ("genotype",),
    "export": ("workdir", "weights", "format"),
    "import_checkpoint": ("genotype",),
    "benchmark": ("what",),
    "random_search": ("crop", "augmentation", "network", "drop_path_at", "schedule", "precision", "strategy"),
    "study": ("scale",),
    "measure_data": ("storages", "recipes"),
    "measure_latency": ("forms",),
    "tune": ("what", "tuner", "objective_cost", "space", "relaxation"),
}
"""Flags of text that stand for one of several names, or for what must exist."""


class WentOn(BaseException):
    """A command that should have refused went on to its work."""


def _went_on(*_: object, **__: object) -> None:
    raise WentOn


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands would work on."""
    directory = tmp_path_factory.mktemp("flags")
    (directory / "run").mkdir()
    (directory / "run" / "flags.txt").write_text("--dataset=digits\n")
    (directory / "run" / "model.json").write_text("{}")
    table = np.full((14, 7), 5, np.float32)
    np.savez(directory / "run" / "alphas.npz", normal=table, reduce=table)
    np.savez(directory / "run" / "history.npz", normal=table[None], reduce=table[None], epoch=[1])
    Image.new("RGB", (8, 8)).save(directory / "image.png")
    (directory / "weights.pth.tar").write_bytes(b"\0")
    return directory


@pytest.fixture
def execute(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command in this process as far as its work, and returns the one line with which it refused."""
    monkeypatch.chdir(directory)

    def run(name: str, *arguments: str) -> str:
        module = _module(name, monkeypatch)
        out, err = io.StringIO(), io.StringIO()
        before = sorted(directory.rglob("*"))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = module.COMMAND.execute(module.main, [name, *BASES[name], *arguments])
        (line,) = err.getvalue().splitlines()
        assert code == 2 and out.getvalue() == "" and line.startswith(f"{name}: ")
        assert sorted(directory.rglob("*")) == before
        return line

    return run


def _module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = importlib.import_module(f"fairdarts_tf.cli.{name}")
    for work in ("load_tensorflow", "run_benchmark", "read_torch_state"):
        if hasattr(module, work):
            monkeypatch.setattr(module, work, _went_on)
    return module


def _flags_of(kinds: tuple[type, ...]) -> list[tuple[str, str]]:
    found = []
    for command in BASES:
        values = importlib.import_module(f"fairdarts_tf.cli.{command}").COMMAND.flags
        found += [(command, name) for name in values if isinstance(values[name].parser, kinds)]
    return found


def test_no_command_is_left_out():
    modules = (PROJECT / "fairdarts_tf" / "cli").glob("*.py")
    assert {module.stem for module in modules if "COMMAND = Command(" in module.read_text()} == set(BASES)


@pytest.mark.parametrize("command", BASES)
def test_without_the_unfit_flag_each_goes_on(
    directory: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """So that what the other tests see refused is the one flag that they add."""
    monkeypatch.chdir(directory)
    module = _module(command, monkeypatch)
    try:
        assert module.COMMAND.execute(module.main, [command, *BASES[command]]) == 0
    except WentOn:
        assert not capsys.readouterr().err


@pytest.mark.parametrize(("command", "name"), _flags_of(tuple(UNFIT)))
def test_values_of_another_type_or_far_out_of_range(execute, command: str, name: str):
    parser = importlib.import_module(f"fairdarts_tf.cli.{command}").COMMAND.flags[name].parser
    (values,) = (values for kind, values in UNFIT.items() if isinstance(parser, kind))
    for value in values:
        if NO_LIMIT.get(name) == value or (name == "classes" and value == A_LIST):
            continue
        # Of a list, the line may name the one part that is unfit.
        assert name[:-1] in execute(command, f"--{name}={value}"), value


@pytest.mark.parametrize(("command", "name"), [(command, name) for command in NAMES for name in NAMES[command]])
def test_names_of_nothing(execute, command: str, name: str):
    for value in ("", "no such", "x" * 5000, "\udcff", "\x1b[31m", "~nobody/x"):
        assert execute(command, f"--{name}={value}")


@pytest.mark.parametrize("command", BASES)
def test_every_command_refuses_what_is_no_flag(execute, command: str):
    for argument in ("--nosuchflag=1", "--=1", "-x", "--nosuchflag", "--\udcff=1"):
        assert execute(command, argument)
    values = importlib.import_module(f"fairdarts_tf.cli.{command}").COMMAND.flags
    for name in values:
        if values[name].boolean:
            assert name in execute(command, f"--no{name}=1")
        else:
            assert name in execute(command, f"--{name}")


FLAGFILES = {
    "other bytes": b"\xff\xfe\x00\x01" * 10,
    "no flags": b"hello\n",
    "another file": b"--flagfile=absent.flags\n",
    "a directory": b"--flagfile=.\n",
    "a null character": b"--%s=a\0b\n",
    "an unknown flag": b"--nosuchflag=1\n",
    "a pair of words": b"--%s run\n",
}


@pytest.mark.parametrize("content", FLAGFILES.values(), ids=FLAGFILES.keys())
@pytest.mark.parametrize("command", BASES)
def test_flagfiles(execute, tmp_path: Path, command: str, content: bytes):
    file = tmp_path / "file.flags"
    file.write_bytes(content.replace(b"%s", BASES[command][-1].partition("=")[0].lstrip("-").encode()))
    assert execute(command, f"--flagfile={file}")


def test_flagfiles_that_name_one_another_without_end(execute, tmp_path: Path):
    for number in range(1500):
        (tmp_path / f"{number}").write_text(f"--flagfile={tmp_path / str(number + 1)}\n")
    assert "flagfile" in execute("profile", f"--flagfile={tmp_path / '0'}")


SETTINGS = {
    SearchSettings: (SEARCH_RANGES, CHOICES, {}),
    TrainSettings: (train_settings._RANGES, train_settings.CHOICES, {"genotype": "FairDARTS_a"}),
    benchmark_settings.BenchmarkSettings: (benchmark_settings._RANGES, {}, {}),
    RandomSearchSettings: (random_search_settings._RANGES, {}, {}),
    data_settings.DataMeasurement: (data_settings._RANGES, {}, {}),
}


@pytest.mark.parametrize(
    ("settings", "name"), [(settings, name) for settings, (ranges, *_) in SETTINGS.items() for name in ranges]
)
def test_the_ends_of_every_range(settings: type, name: str):
    """Just outside is refused with the flag's name. What lies inside may contradict another flag, but not its own."""
    ranges, _, base = SETTINGS[settings]
    whole = {field.name: isinstance(field.default, int) for field in dataclasses.fields(settings)}[name]
    least, most = ranges[name]
    below, above = (
        (least - 1, most + 1) if whole else (math.nextafter(least, -math.inf), math.nextafter(most, math.inf))
    )
    unset = {0} if settings is benchmark_settings.BenchmarkSettings else set()  # There, 0 stands for the usual value.
    for value in {below, above, 10**30, -(10**30), math.nan, math.inf, -math.inf} - unset:
        with pytest.raises(ConfigurationError, match=f"--{name} is "):
            settings(**base | {name: value})
    for value in (least, most):
        try:
            settings(**base | {name: value})
        except ConfigurationError as error:
            assert f"must be from {least:g}" not in str(error)


@pytest.mark.parametrize("settings", [SearchSettings, TrainSettings, RandomSearchSettings])
def test_every_number_has_a_range_and_every_name_its_choices(settings: type):
    ranges, choices, _ = SETTINGS[settings]
    free = {
        "dataset",
        "data_dir",
        "cache_dir",
        "genotype",
        "init_from",
        "space",
        "cost_target",
        "latency_table",
        "macs_limit",
        "profile_steps",
    }
    for field in dataclasses.fields(settings):
        assert (
            field.name
            in {
                bool: {field.name},
                int: ranges,
                float: ranges,
                str: {*choices, *free},
                tuple: {"operations", "early_stopping", "classes", *RANGES},
            }[type(field.default)]
        )


TEXTS = st.one_of(
    st.text(max_size=6),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["", "nan", "true", "9" * 5000, "a,b", '"', "l2", "darts", "\udcff", "1_0", "\u0663", " 3 "]),
)


@FAST_AND_SLOW
@pytest.mark.parametrize("settings", [SearchSettings, TrainSettings])
def test_any_texts_of_any_flags(settings: type, examples: int):
    """Whatever several flags say is read or refused; what is read, is read again from what is recorded of it."""
    base = SETTINGS[settings][2]
    given = st.dictionaries(st.sampled_from([field.name for field in dataclasses.fields(settings)]), TEXTS, max_size=3)

    def check(texts: dict[str, str]) -> None:
        values = flags.FlagValues()
        define_flags(settings, {}, "settings", values)
        try:
            values(["command", *(f"--{name}={text}" for name, text in ({**base, **texts}).items())])
            found = read_settings(settings, values, None)
        except (flags.Error, ConfigurationError) as error:
            assert str(error).strip()
            return
        again = flags.FlagValues()
        define_flags(settings, {}, "settings", again)
        again(["command"])
        assert read_settings(settings, again, found.as_flags()) == found

    fuzz(check, given, examples)


@FAST_AND_SLOW
def test_recorded_settings_of_any_text(examples: int):
    recorded = st.dictionaries(st.sampled_from([field.name for field in dataclasses.fields(SearchSettings)]), TEXTS)

    def check(texts: dict[str, str]) -> None:
        with contextlib.suppress(FairDartsError):
            SearchSettings.from_flags(texts)

    fuzz(check, recorded, examples)


@FAST_AND_SLOW
def test_a_flags_txt_of_any_bytes(tmp_path: Path, examples: int):
    lines = st.sampled_from(
        [b"--epochs=3", b"--", b"--no", b"=", b"#", b"--=", b"\xff", b"\0", b"\n", b"\r", b"\x85", b" "]
    )
    content = st.binary(max_size=20) | st.lists(lines).map(b"".join)

    def check(content: bytes) -> None:
        (tmp_path / "flags.txt").write_bytes(content)
        try:
            found = Run(tmp_path).settings()
        except RunError as error:
            assert "flags.txt" in str(error)
            return
        assert all(isinstance(text, str) for pair in found.items() for text in pair)

    fuzz(check, content, examples)


@FAST_AND_SLOW
def test_what_is_recorded_is_read_again_or_refused(tmp_path: Path, examples: int):
    """No path, whatever its characters, may come back from flags.txt as another."""
    odd = st.text(st.sampled_from("a =-#/\n\r\t\x0b\x1c\x85\u2028\udcff\u00e9'\"\\"), max_size=6)
    count = 0

    def check(text: str) -> None:
        nonlocal count
        count += 1
        run = Run(tmp_path / f"{count}")
        settings = {"dataset": f"folder:{text}", "data_dir": text}
        try:
            run.open(settings)
        except RunError:
            assert not run.workdir.exists()
            return
        recorded = run.settings()
        assert {name: recorded[name] for name in settings} == settings
        run.check(settings)

    fuzz(check, odd, examples)


@pytest.mark.parametrize("name", ["a\nb", "a\u2028b", "a\n--epochs=3"])
def test_a_workdir_that_cannot_be_recorded(tmp_path: Path, name: str):
    with pytest.raises(RunError, match="--workdir="):
        Run(tmp_path / name).check({})


@pytest.mark.parametrize(
    "arguments",
    [
        ["profile", "--layers=0", "--genotype=FairDARTS_a", "--nolatency"],
        ["derive", "--threshold=nan", "--alphas=run"],
        ["report", "--interval=0", "--workdir=run"],
        ["search", "--epochs=1e3", "--workdir=new"],
    ],
)
def test_the_same_as_a_process(directory: Path, arguments: list[str]):
    command = [sys.executable, "-m", f"fairdarts_tf.cli.{arguments[0]}", *arguments[1:]]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{arguments[0]}: ") and arguments[1].strip("-").partition("=")[0] in line
