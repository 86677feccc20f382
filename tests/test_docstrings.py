"""Every public name has an example, and every example runs."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import inspect
import tempfile
import types
from pathlib import Path

import keras
import numpy as np
import pytest

import fairdarts_tf as fd
from tests.registered import forgotten
from tests.tiny_search import without_pictures

FIRST = ("run_search", "run_training")
"""Their examples leave the directories that others begin with, as ``runs/mine``."""
PUBLIC = [
    name
    for name in [*FIRST, *(name for name in fd.__all__ if name not in FIRST)]
    if not isinstance(getattr(fd, name), str | types.ModuleType)
]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the examples that ran came to, by name."""
    return {}


@pytest.mark.parametrize("name", PUBLIC)
def test_example_runs(name: str, folder: Path, said: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    without_pictures(monkeypatch)
    for needed in [*FIRST, name]:
        if needed not in said:
            said[needed] = run_example(needed)
    assert not said[name]


def run_example(name: str) -> str:
    """Returns what doctest says of the example of a public name: nothing where it runs as it is written."""
    names = {"fd": fd, "np": np, "keras": keras, "dataclasses": dataclasses}
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(getattr(fd, name)), names, name, None, None)
    assert example.examples, f"{name} has no example in its docstring"
    said: list[str] = []
    with forgotten():
        doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(example, out=said.append)
    return "".join(said)


def test_editors_see_what_is_public():
    tree = ast.parse(Path(fd.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name: statement.module for statement in block.body for alias in statement.names}
    assert imported == fd._HOMES | dict.fromkeys(fd._ROOMS, "fairdarts_tf")
    assert set(fd.__all__) == {"__version__", *fd._HOMES, *fd._ROOMS}
    assert Path(fd.__file__).with_name("py.typed").is_file()


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_typed(name: str):
    found = getattr(fd, name)
    functions = (
        [found]
        if inspect.isfunction(found)
        else [member for key, member in vars(found).items() if inspect.isfunction(member) and not key.startswith("_")]
    )
    for function in functions:
        signature = inspect.signature(function)
        untyped = [
            parameter.name
            for parameter in list(signature.parameters.values())[inspect.isclass(found) :]
            if parameter.annotation is inspect.Parameter.empty
        ]
        assert not untyped, f"{name}: {function.__name__} has no type for {untyped}"
        assert signature.return_annotation is not inspect.Signature.empty, f"{name}: {function.__name__}"
