from __future__ import annotations

import contextlib
import importlib
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import setuptools
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).resolve().parents[1]
COMMANDS = [
    "search",
    "derive",
    "report",
    "animate",
    "train",
    "evaluate",
    "predict",
    "profile",
    "measure_latency",
    "export",
    "import_checkpoint",
    "benchmark",
    "measure_data",
    "random_search",
    "study",
    "tune",
    "completion",
]
SCRIPTS = [*COMMANDS, "test"]
ENVIRONMENTS = ("VIRTUAL_ENV", "CONDA_PREFIX", "COLAB_RELEASE_TAG")

FAKE_COMMAND = "import os, sys; print(os.getcwd(), *sys.argv[1:])"
FAKE_SET_UP = """
import pathlib, sys
root = pathlib.Path(__file__).parents[1]
(root / ".venv/bin").mkdir(parents=True, exist_ok=True)
if not (root / ".venv/bin/python").exists():
    (root / ".venv/bin/python").symlink_to(sys.executable)
(root / f".venv/.made-for-{sys.argv[2]}").write_text(sys.argv[3])
with (root / "calls").open("a") as calls:
    calls.write("x")
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    captured: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", captured.update)
    monkeypatch.chdir(PROJECT)
    runpy.run_path("setup.py")
    return captured


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the scripts around a command that prints where it runs and its arguments."""
    root = tmp_path / "check out"
    commands = root / "fairdarts_tf" / "cli"
    commands.mkdir(parents=True)
    (commands / "derive.py").write_text(FAKE_COMMAND)
    shutil.copytree(PROJECT / "bin", root / "bin")
    for name in ("setup.py", "constraints.txt", "constraints-lowest.txt"):
        shutil.copy(PROJECT / name, root)
    return root


def start(script: Path, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENTS}
    return subprocess.run(
        [script, *arguments], env=environment | variables, cwd=cwd, capture_output=True, text=True, check=False
    )


def assert_one_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


def test_entry_points_can_be_called(settings: dict[str, Any]) -> None:
    for entry in settings["entry_points"]["console_scripts"]:
        module, function = entry.split(" = ")[1].split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_launcher_checks_what_setup_requires(settings: dict[str, Any]) -> None:
    launch = runpy.run_path(str(PROJECT / "bin" / "launch.py"))
    assert sorted(launch["PACKAGES"].values()) == sorted(settings["install_requires"])
    assert sorted(launch["DEVELOPMENT"].values()) == sorted(settings["extras_require"]["dev"])


@pytest.mark.parametrize("constraints", ["constraints.txt", "constraints-lowest.txt"])
def test_every_requirement_is_pinned(settings: dict[str, Any], constraints: str) -> None:
    lines = (PROJECT / constraints).read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    names = {pin.split("==")[0].lower() for pin in pins}
    extras = settings["extras_require"]
    if constraints == "constraints-lowest.txt":
        del extras["torch"], extras["gpu"]  # no test needs them
    required = settings["install_requires"] + sum(extras.values(), [])
    assert {re.split(r"[>\[]", requirement)[0].lower() for requirement in required} <= names


@pytest.mark.parametrize("constraints", ["constraints.txt", "constraints-lowest.txt"])
def test_every_pinned_version_admits_the_first_of_the_oldest_python(settings: dict[str, Any], constraints: str) -> None:
    """Debian's Python 3.11 is 3.11.2, and packages begin to ask for 3.11.5; what is not installed here is not seen."""
    oldest = f"{settings['python_requires'].removeprefix('>=')}.0"
    pins = dict(line.split("==") for line in (PROJECT / constraints).read_text().splitlines() if line[0] != "#")
    seen = 0
    for name, version in pins.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            found = metadata.metadata(name)
            if found["Version"] == version:
                seen += 1
                assert SpecifierSet(found["Requires-Python"] or "").contains(oldest), (name, version)
    assert seen > 10


def test_lowest_versions_are_those_that_setup_admits(settings: dict[str, Any]) -> None:
    lines = (PROJECT / "constraints-lowest.txt").read_text().splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    for requirement in settings["install_requires"] + settings["extras_require"]["dev"]:
        name, _, least = requirement.lower().partition(">=")
        parts = least.split(".") if least and name != "setuptools" else []
        assert pins[name].split(".")[: len(parts)] == parts, requirement


@pytest.mark.parametrize("name", [*SCRIPTS, "environment.sh"])
def test_scripts_are_valid_shell(name: str) -> None:
    script = PROJECT / "bin" / name
    assert os.access(script, os.X_OK) == (name in SCRIPTS)
    subprocess.run(["sh", "-n", script], check=True)


def test_build_file_covers_every_test() -> None:
    targets: list[dict[str, Any]] = []
    rules = dict.fromkeys(["py_binary", "py_library", "py_test"], lambda **target: targets.append(target))
    ignored = dict.fromkeys(["load", "package", "licenses", "exports_files"], lambda *_, **__: None)
    exec((PROJECT / "BUILD").read_text(), {**rules, **ignored, "glob": glob})  # the file is Python as well as Starlark
    assert all((PROJECT / path).is_file() for target in targets for path in target["srcs"])
    names = {target["name"] for target in targets}
    assert {"fairdarts_tf", *COMMANDS} | {path.stem for path in PROJECT.glob("tests/test_*.py")} <= names


def glob(patterns: list[str], exclude: tuple[str, ...] = (), **_: object) -> list[str]:
    def find(pattern: str) -> set[str]:
        return {str(path.relative_to(PROJECT)) for path in PROJECT.glob(pattern)}

    return sorted(set().union(*map(find, patterns)).difference(*map(find, exclude)))


@pytest.mark.parametrize(("name", "missing"), [("search", "tensorflow>=2.19"), ("derive", "numpy"), ("test", "pytest")])
def test_active_environment_without_packages(tmp_path: Path, name: str, missing: str) -> None:
    environment = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    result = start(PROJECT / "bin" / name, VIRTUAL_ENV=str(environment))
    assert_one_line(result, missing, f"{environment}/bin/python -m pip install -e")


def test_active_environment_that_is_gone(tmp_path: Path) -> None:
    assert_one_line(start(PROJECT / "bin" / "derive", VIRTUAL_ENV=str(tmp_path / "gone")), "gone")


def test_sets_up_once_and_again_when_versions_change(checkout: Path, tmp_path: Path) -> None:
    (checkout / "bin" / "set_up.py").write_text(FAKE_SET_UP)
    packages = tmp_path / "packages"
    packages.mkdir()
    for module in ("absl.py", "numpy.py"):
        (packages / module).touch()

    variables = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(packages),
    }

    def derive() -> str:
        return start(checkout / "bin" / "derive", "--a=b c", "d", cwd=tmp_path, **variables).stdout

    assert derive() == derive() == f"{tmp_path} --a=b c d\n"
    assert (checkout / "calls").read_text() == "x"
    with (checkout / "constraints.txt").open("a") as constraints:
        constraints.write("# changed\n")
    derive()
    assert (checkout / "calls").read_text() == "xx"


def test_oldest_versions_have_an_environment_of_their_own(checkout: Path, tmp_path: Path) -> None:
    (checkout / "bin" / "set_up.py").write_text(
        "import pathlib, sys\n"
        "python = pathlib.Path(__file__).parents[1] / '.venv-lowest/bin/python'\n"
        "python.parent.mkdir(parents=True)\n"
        'python.write_text(\'#!/bin/sh\\necho "$VIRTUAL_ENV" "$@"; exit 1\\n\')\n'
        "python.chmod(0o755)\n"
    )
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3.11").symlink_to(sys.executable)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    result = start(checkout / "bin" / "test", "--lowest", PATH=path, VIRTUAL_ENV=sys.prefix)
    lowest = checkout / ".venv-lowest"
    assert result.stdout == f"{lowest} {checkout / 'bin' / 'launch.py'} dev\n", "whatever environment is active"


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("exit 127", "needs Python 3.11, 3.12 or 3.13"),
        (f'case "$2" in *ensurepip*) exit 1; esac; exec "{sys.executable}" "$@"', "apt install python3."),
    ],
)
def test_machine_without_a_fit_python(checkout: Path, tmp_path: Path, python: str, message: str) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "cat", "cksum", "dirname", "readlink"):
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / "python3").write_text(f"#!/bin/sh\n{python}\n")
    (programs / "python3").chmod(0o755)
    assert_one_line(start(checkout / "bin" / "derive", PATH=str(programs)), message)


@pytest.fixture
def set_up(checkout: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Starts the real set-up in the copy."""
    script = checkout / "bin" / "set_up.py"
    return lambda: subprocess.Popen([sys.executable, script, "derive", "run", "42"], stderr=subprocess.DEVNULL)


def fake_environment(checkout: Path, action: str) -> Path:
    """Makes a .venv whose Python, started by the set-up to run pip, performs ``action`` instead."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{action}\n")
    python.chmod(0o755)
    return python


def test_two_starts_at_once_install_once(checkout: Path, set_up: Callable[[], subprocess.Popen[bytes]]) -> None:
    log = checkout / "log"
    fake_environment(checkout, f"echo start >>'{log}'; sleep 0.5; echo end >>'{log}'")
    assert [process.wait() for process in [set_up(), set_up()]] == [0, 0]
    assert log.read_text() == "start\nend\n"


def test_failed_install_is_tried_again(checkout: Path, set_up: Callable[[], subprocess.Popen[bytes]]) -> None:
    python = fake_environment(checkout, "exit 1")
    assert set_up().wait() == 2
    assert not list(checkout.glob(".venv/.made-for-*"))
    python.write_text("#!/bin/sh\n")
    assert set_up().wait() == 0
    assert (checkout / ".venv" / ".made-for-run").read_text() == "42"


def test_environment_cut_off_while_new_is_cleared(
    checkout: Path, set_up: Callable[[], subprocess.Popen[bytes]]
) -> None:
    python = fake_environment(checkout, "exit 0")
    (checkout / ".venv.lock").write_text("unfinished")
    (checkout / "constraints.txt").write_text("not a requirement at all\n")  # stops pip before it fetches anything
    assert set_up().wait() == 2
    assert python.is_symlink()
