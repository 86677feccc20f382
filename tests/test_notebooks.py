"""The notebooks run from top to bottom, cell by cell as they are, at the smallest scale."""

from __future__ import annotations

import importlib.util
import os
import shutil
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.runtimes import open_model

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOKS = PROJECT / "notebooks"

COLAB = """
DATASET = "digits"
SPACE = {"init_channels": 2, "layers": 3, "nodes": 1, "operations": ("skip_connect", "sep_conv_3x3")}
SEARCH = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 50}
TRAINING = {
    "init_channels": 2, "layers": 3, "epochs": 1, "steps_per_epoch": 5, "batch_size": 50, "cutout": 0,
    "auxiliary_weight": 0.0,
}
VERIFY_ON = 20
"""

OWN_IMAGES = """
IMAGE_SIZE = 8
SPACE = {
    "mobile_widths": (4,), "mobile_depths": (2,), "mobile_strides": (1,), "mobile_kernels": (3,),
    "mobile_expansions": (2,), "mobile_stem_width": 4, "mobile_stem_stride": 1, "mobile_first_width": 4,
    "mobile_head_width": 16,
}
SEARCH = {"epochs": 2, "steps_per_epoch": 2, "batch_size": 32}
EPOCHS = 2
"""


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def run(name: str, parameters: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a notebook with other parameters, in a folder, and returns all that its cells printed."""
    notebook = read(name)
    (place,) = (i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ()))
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(parameters))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("<svg" in output.get("data", {}).get("text/html", "") for output in outputs), "no picture of the search"
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
def test_notebooks_are_valid_and_hold_no_output(name: str):
    notebook = read(name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
    installs = [cell.source for cell in notebook.cells if "pip install" in cell.source]
    assert len(installs) == 1 and "find_spec" in installs[0]


@pytest.mark.parametrize("name", ["fairdarts_colab", "own_images"])
@pytest.mark.parametrize(("source", "is_found"), [("", False), ("a.whl", True)])
def test_installs_from_where_it_is_told_and_says_where_pip_finds_nothing(
    name: str, source: str, is_found: bool, monkeypatch: pytest.MonkeyPatch
):
    (cell,) = (cell.source for cell in read(name).cells if "pip install" in cell.source)
    found, asked = iter([None, "a spec" if is_found else None]), []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: next(found))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    variables = {"SOURCE": source}
    variables["get_ipython"] = lambda: types.SimpleNamespace(
        run_line_magic=lambda magic, line: asked.append(f"{magic} {line}".replace("{name}", variables["name"]))
    )
    code = TransformerManager().transform_cell(cell)
    if not is_found:
        with pytest.raises(SystemExit, match="Set SOURCE above"):
            exec(code, variables)
        return
    exec(code, variables)
    assert asked == ['pip install --quiet "fairdarts_tf @ a.whl"']


def test_colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    printed = run("fairdarts_colab", COLAB, tmp_path, monkeypatch)
    runs = tmp_path / "runs"
    assert load_genotype(runs / "training") == load_genotype(runs / "genotype.json")
    assert "CPU core" in printed and "of the test images" in printed and "network_int8.tflite:" in printed
    model = open_model(runs / "exported" / "network_int8.tflite")
    assert model.probabilities(np.zeros((2, 8, 8, 1), np.uint8)).shape == (2, 10)


def test_own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    printed = run("own_images", OWN_IMAGES, tmp_path, monkeypatch)
    assert "1275 images to train on, 225 held back, of 10 classes" in printed
    model = open_model(tmp_path / "phone" / "network_int8.tflite")
    assert model.class_names == tuple(map(str, range(10)))
    assert model.probabilities(np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 10)
