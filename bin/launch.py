"""Checks that the environment has what a command needs, without importing any of it, then runs the command."""

from __future__ import annotations

import runpy
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXIT_UNFIT = 2

PACKAGES = {
    "absl": "absl-py",
    "ai_edge_litert": "ai-edge-litert",
    "importlib_resources": "importlib_resources",
    "jinja2": "jinja2",
    "keras": "keras>=3.10",
    "keras_tuner": "keras-tuner",
    "markupsafe": "markupsafe",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "PIL": "pillow",
    "pygraphviz": "pygraphviz>=2",
    "sklearn": "scikit-learn",
    "tensorboard": "tensorboard",
    "tensorflow": "tensorflow>=2.19",
    "tensorflow_datasets": "tensorflow-datasets>=4.9.10",
    "tqdm": "tqdm",
}
DEVELOPMENT = {
    "build": "build",
    "hypothesis": "hypothesis",
    "ipykernel": "ipykernel",
    "nbclient": "nbclient",
    "nbformat": "nbformat",
    "material": "mkdocs-material",
    "mkdocstrings": "mkdocstrings-python",
    "pytest": "pytest",
    "pytest_timeout": "pytest-timeout",
    "ruff": "ruff",
    "setuptools": "setuptools>=77",
    "xdist": "pytest-xdist",
}
LIGHT = {name: PACKAGES[name] for name in ("absl", "numpy")}
PICTURES = LIGHT | {name: PACKAGES[name] for name in ("matplotlib", "PIL", "pygraphviz")}
PAGES = LIGHT | {name: PACKAGES[name] for name in ("jinja2", "markupsafe", "pygraphviz")}


def main(command: str) -> int:
    """Runs a command of the project with the rest of ``sys.argv``; ``"dev"`` only checks the tests' packages."""
    needs = {"animate": PICTURES, "derive": LIGHT, "report": PAGES, "dev": PACKAGES | DEVELOPMENT}.get(
        command, PACKAGES
    )
    unfit = [problem for module, requirement in needs.items() if (problem := _problem(module, requirement))]
    if unfit:
        project = f"{ROOT}[dev]" if command == "dev" else ROOT
        advice = f"Install with: {sys.executable} -m pip install -e '{project}'"
        print(f"{command}: the environment {sys.prefix} lacks {', '.join(unfit)}. {advice}", file=sys.stderr)
        return EXIT_UNFIT
    if command == "dev":
        return 0
    # The checkout takes the place of this script's folder; the caller's folder never gets on the path.
    sys.path[0] = str(ROOT)
    del sys.argv[0]
    runpy.run_module(f"fairdarts_tf.cli.{command}", run_name="__main__", alter_sys=True)
    return 0


def _problem(module: str, requirement: str) -> str:
    """Returns the requirement and what is there instead, or nothing when it is met."""
    if find_spec(module) is None:
        return requirement
    distribution, _, least = requirement.partition(">=")
    if not least:
        return ""
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""  # the same modules under another name, as nightly builds have
    return f"{requirement} (has {version})" if _numbers(version) < _numbers(least) else ""


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:3] if part.isdecimal()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
