"""The documentation: it builds without a warning, its links lead somewhere, its commands and its numbers are right."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import os
import re
import runpy
import shlex
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fairdarts_tf
from fairdarts_tf.costs import network_cost
from fairdarts_tf.genotype_files import load_genotype

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
TOP = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*TOP, *sorted(DOCS.rglob("*.md"))]


def named(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as in `mkdocs build --strict`, where TensorFlow cannot be imported."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "without" / "tensorflow").mkdir(parents=True)
    (folder / "without" / "tensorflow" / "__init__.py").write_text("raise SystemExit('the site imports TensorFlow')")
    path = os.environ.get("PYTHONPATH", "")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder / "site"],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": f"{folder / 'without'}{os.pathsep}{path}", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "site"


def test_builds_without_a_warning_and_asks_no_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = re.findall(
            r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']?(https?:[^"'> ]+)""", page.read_text()
        )
        assert not loaded, f"{page.name} loads {loaded}"


def test_reference_has_every_public_name(site: Path) -> None:
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[-1]
    documented = {line.split(" ")[0].split(".")[-1] for line in zlib.decompress(inventory).decode().splitlines()}
    public = {name for name in fairdarts_tf.__all__ if not name.startswith("__")}
    assert public <= documented, f"add to docs/api: {sorted(public - documented)}"


@pytest.mark.parametrize("page", TOP, ids=named)
def test_links_outside_the_site_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_included_files_are_there(page: Path) -> None:
    for included in re.findall(r'^--8<-- "([^":]+)', page.read_text(), flags=re.MULTILINE):
        assert (PROJECT / included).is_file(), f"{page.name} includes {included}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_take_their_flags(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    for name, arguments in commands(page.read_text()):
        module = importlib.import_module(f"fairdarts_tf.cli.{name}")
        assert module.COMMAND.execute(lambda: 0, [name, *arguments]) == 0, f"{page.name}: {name} {arguments}"


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yields name and arguments of each of the project's commands in the blocks of shell of a page."""
    blocks = re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (bin/\w+ .*(?:\\\n.*)*)$", text, flags=re.MULTILINE)
    for line in "\n".join([*blocks, *indented]).replace("\\\n", " ").splitlines():
        found = re.match(r"\s*(?:bin/|fairdarts-)([\w-]+)(.*)", line)
        if found is None or found[1] == "test":
            continue
        # What follows a pipe, a semicolon or another sign of the shell is not the command's.
        rest = re.split(r"\s(?:[|;&<>]|&&)\s|[;&]\s*$", found[2])[0]
        arguments = shlex.split(re.sub(r"\$\w+", "0", rest), comments=True)
        made_by_a_run = "--flagfile=runs/"
        yield found[1].replace("-", "_"), [given for given in arguments if not given.startswith(made_by_a_run)]


def test_commands_are_found_in_pages() -> None:
    block = "```sh\nbin/search --epochs=1 \\\n  --seed=$n # a\nfairdarts-import-checkpoint A | head\n```\n"
    text = f"{block}\n    bin/derive --x\n"
    assert list(commands(text)) == [
        ("search", ["--epochs=1", "--seed=0"]),
        ("import_checkpoint", ["A"]),
        ("derive", ["--x"]),
    ]


def python_of(page: Path) -> str:
    """Returns the blocks of Python of a page, one after the other."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)], ids=named)
def test_python_names_what_there_is(page: Path) -> None:
    code = python_of(page)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fairdarts_tf"):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)
    assert set(re.findall(r"\bfd\.(\w+)", code)) <= set(fairdarts_tf.__all__)


@pytest.mark.slow
def test_python_of_the_tutorials_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairdarts_tf.export.run import export_run

    monkeypatch.chdir(tmp_path)
    exec(compile(python_of(DOCS / "tutorials" / "python.md"), "python.md", "exec"), {})

    export_run("runs/mine_trained", "exported", ["tflite"], ["int8"], images=50)
    Image.new("L", (20, 20), 100).save("cat.png")
    code = python_of(DOCS / "tutorials" / "phone.md")
    # Digits have no colours.
    grey = code.replace('"RGB"', '"L"').replace("[np.newaxis]", "[np.newaxis, ..., np.newaxis]")
    capsys.readouterr()
    exec(compile(grey, "phone.md", "exec"), {})
    assert capsys.readouterr().out.strip() in [str(digit) for digit in range(10)]


def test_every_configuration_is_among_the_numbers() -> None:
    text = (DOCS / "reproduce.md").read_text()
    assert not [file.name for file in (PROJECT / "configs").glob("*.flags") if f"`configs/{file.name}`" not in text]


def test_sizes_are_those_that_are_counted() -> None:
    row = r"^\| (\w+) \| [\d.]+ M \| ([\d,]+) \| ([\d,]+) \| \d+ M \| ([\d,]+) \|$"
    rows = re.findall(row, (DOCS / "reproduce.md").read_text(), flags=re.MULTILINE)
    assert len(rows) == 10
    for name, *numbers in rows:
        cost, with_head = (network_cost(load_genotype(name), auxiliary_head=head) for head in (False, True))
        assert [int(number.replace(",", "")) for number in numbers] == [cost.params, with_head.params, cost.macs]


@functools.cache
def figures() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "figures" / "method.py"))


def test_figures_are_those_of_the_script(tmp_path: Path) -> None:
    written = figures()["draw_all"](tmp_path)
    assert {path.name for path in written} == {path.name for path in (DOCS / "figures").glob("*.svg")}
    pins = (PROJECT / "constraints.txt").read_text()
    if any(f"{name}=={importlib.metadata.version(name)}\n" not in pins for name in ("matplotlib", "numpy")):
        return  # other versions draw the same otherwise
    for path in written:
        assert path.read_bytes() == (DOCS / "figures" / path.name).read_bytes(), f"draw {path.name} again"


def test_slopes_of_the_toy_model_are_the_derivatives() -> None:
    alphas, worth = np.array([0.3, -0.2, 0.9]), np.array([0.5, 1.0, -0.2])

    def derivative(function: Any) -> np.ndarray:
        steps = 1e-6 * np.eye(3)
        return np.array([(function(alphas + step) - function(alphas - step)) / 2e-6 for step in steps])

    tools = figures()
    softmax, sigmoid = tools["softmax"], tools["sigmoid"]
    slope = derivative(lambda values: softmax(values) @ worth)
    assert tools["softmax_slope"](softmax(alphas), worth) == pytest.approx(slope, abs=1e-9)
    slope = derivative(lambda values: sigmoid(values) @ worth)
    assert tools["sigmoid_slope"](sigmoid(alphas), worth) == pytest.approx(slope, abs=1e-9)
    slope = derivative(lambda values: np.sum((sigmoid(values) - 0.5) ** 2))
    assert tools["zero_one_slope"](sigmoid(alphas)) == pytest.approx(slope, abs=1e-9)
    slope = derivative(lambda values: np.sum(np.abs(sigmoid(values) - 0.5)))
    assert tools["zero_one_slope"](sigmoid(alphas), "l1") == pytest.approx(slope, abs=1e-9)


def test_the_toy_model_shows_what_the_page_says() -> None:
    simulate, zero_one = figures()["simulate"], figures()["zero_one_slope"]
    weights = np.linspace(0, 1, 100_001)
    assert abs(weights[np.argmax(zero_one(weights))] - 0.5) == pytest.approx(1 / np.sqrt(12), abs=1e-4)
    skip, better, weaker, pooling = simulate("softmax")[-1]
    assert skip > 0.95 and max(better, weaker, pooling) < 0.02
    skip, better, weaker, pooling = simulate("sigmoid")[-1]
    assert min(skip, better, weaker) > 0.95 and pooling < 0.1
