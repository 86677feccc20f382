"""The package as others install it: what wheel and source distribution hold, and that they work on their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import fairdarts_tf
from fairdarts_tf.cli import search
from fairdarts_tf.cli.configurations import with_configurations
from fairdarts_tf.cli.settings_flags import read_settings
from fairdarts_tf.settings import SearchSettings

PROJECT = Path(__file__).resolve().parents[1]
NOT_COPIED = (".*", "build", "dist", "runs", "__pycache__", "*.egg-info", "bazel-*")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution of a copy of the checkout, and the wheel that is built of it, not of the copy."""
    folder = tmp_path_factory.mktemp("package")
    copy = folder / "checkout"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", copy], cwd=folder)
    (source,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return source, wheel


def run(command: list[object], cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    words = list(map(str, command))
    result = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


def test_wheel_holds_all_of_the_package_and_nothing_else(distributions: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[1]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "fairdarts_tf").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    configurations = {f"fairdarts_tf/configs/{path.name}" for path in (PROJECT / "configs").glob("*.flags")}
    assert "fairdarts_tf/py.typed" in package and configurations
    assert held == package | configurations


def test_source_distribution_holds_what_tests_and_documentation_need(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as source:
        held = {name.partition("/")[2] for name in source.getnames()}
    rooms = ("bin", "benchmarks", "configs", "docs", "examples", "fairdarts_tf", "notebooks", "tests", "tools")
    wanted = {
        str(path.relative_to(PROJECT)) for room in rooms for path in (PROJECT / room).rglob("*") if path.is_file()
    }
    wanted |= {path.name for pattern in ("*.md", "*.txt", "*.toml", "*.yml", "*.cff") for path in PROJECT.glob(pattern)}
    wanted |= {"LICENSE", "BUILD", "setup.py", "MODULE.bazel"}
    missing = {name for name in wanted - held if "__pycache__" not in name}
    assert not missing


def test_versions_agree() -> None:
    version = fairdarts_tf.__version__
    for name, pattern in (
        ("setup.py", r'version="([^"]+)"'),
        ("MODULE.bazel", r'name = "fairdarts_tf",\s+version = "([^"]+)"'),
        ("CITATION.cff", r"(?m)^version: (.+)$"),
        ("CHANGELOG.md", r"(?m)^## (\d.*)$"),
    ):
        assert re.search(pattern, (PROJECT / name).read_text())[1] == version, name


def test_installed_commands_find_the_configurations(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", "--target"]
    run([sys.executable, "-m", "pip", "install", *options, installed, distributions[1]], cwd=tmp_path)
    start = f"import sys; sys.path.insert(0, {str(installed)!r}); from fairdarts_tf.cli.search import run; run()"
    command = [sys.executable, "-c", start, "--flagfile=configs/quickstart.flags", "--threshold=2"]
    result = run(command, cwd=tmp_path, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert "threshold" in result.stderr, "the file was read, and what was given beside it refused"
    assert not list(tmp_path.glob("runs"))


def read(argv: list[str]) -> SearchSettings:
    found: list[SearchSettings] = []
    code = search.COMMAND.execute(lambda: found.append(read_settings(SearchSettings, search.COMMAND.flags, None)), argv)
    assert code == 0
    return found[0]


@pytest.mark.parametrize("given", [["--flagfile=configs/quickstart.flags"], ["--flagfile", "configs/quickstart.flags"]])
def test_a_configuration_is_read_anywhere(given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(["search", *given]).nodes == 3
    own = tmp_path / "configs" / "quickstart.flags"
    own.parent.mkdir()
    own.write_text("--nodes=2\n")
    assert read(["search", *given]).nodes == 2, "one's own comes first"


def test_other_files_are_left_as_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [
        "search",
        "--flagfile=configs/nothing.flags",
        "--flagfile=other/quickstart.flags",
        "--",
        "--flagfile=configs/x",
    ]
    assert with_configurations(argv) == argv


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_fresh_environment_searches_digits(
    distributions: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)  # it may name the checkout
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    install = [environment / "bin" / "pip", "install", "--quiet", "-c", PROJECT / "constraints.txt", distributions[1]]
    run(install, cwd=tmp_path)
    small = ["--epochs=2", "--steps_per_epoch=3", "--init_channels=4"]
    command = [environment / "bin" / "fairdarts-search", "--flagfile=configs/quickstart.flags", *small]
    run([*command, "--method=darts"], cwd=tmp_path)
    assert (tmp_path / "runs" / "quickstart" / "genotype.json").is_file()
    printed = run([environment / "bin" / "fairdarts-derive", "--alphas=runs/quickstart"], cwd=tmp_path).stdout
    assert printed == (tmp_path / "runs" / "quickstart" / "genotype.json").read_text()
