"""Every example runs, as it is, in a folder of its own."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path

import numpy as np
import pytest

from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.runs import Run
from tests.registered import forgotten
from tests.tiny_search import without_pictures

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def run_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs an example and returns its names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    without_pictures(monkeypatch)
    with forgotten():
        yield lambda name: runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def test_each_is_tested():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


def test_whole_search(run_example, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = run_example("whole_search")
    assert load_genotype(tmp_path / "runs/genotype.json") == names["genotype"]
    assert {path.name for path in (tmp_path / "runs/exported").iterdir()} >= {"saved_model", "network.tflite"}
    # The file says of an image what the network does.
    image = names["test"].images[:1]
    expected = np.array(names["network"](image))
    np.testing.assert_allclose(names["model"].probabilities(image), expected, atol=1e-4)
    assert f"shows {expected[0].argmax()}" in capsys.readouterr().out


def test_own_operation(run_example):
    names = run_example("own_operation")
    assert search_columns(names["search"]) == ("skip_connect", "conv_3x3")
    kept = [item.op for kind in ("reduce", "reduce", "normal") for item in names["genotype"].items(kind)]
    layers = [layer for cell in names["network"].network.cells for layer in cell.operations]
    kernels = [layer.edge_layers[0].layers[-1].kernel for layer in layers if layer.name.endswith("conv_3x3")]
    assert len(kernels) == kept.count("conv_3x3")
    assert all(tuple(kernel.shape[:2]) == (3, 3) for kernel in kernels)


def search_columns(search) -> tuple[str, ...]:
    return search.settings.derivation.space.operations


def test_own_space(run_example):
    names = run_example("own_space")
    genotype, space = names["search"].genotype, names["search"].settings.derivation.space
    assert [[item.to for item in genotype.items(kind)] for kind in genotype.kinds] == [[2, 3], [2, 3]]
    # Of each node it is the edge whose best operation has the largest weight.
    weights = names["search"].alphas.mixing_weights()
    for kind in genotype.kinds:
        for item, rows in zip(genotype.items(kind), ([0, 1], [2, 3, 4]), strict=True):
            row, column = np.unravel_index(weights[kind][rows].argmax(), (len(rows), 3))
            assert (item.source, item.op) == (row, space.operations[column])
    recorded = Run(names["search"].workdir).settings()
    assert (recorded["space"], recorded["nodes"]) == ("one_input", "2")


def test_own_relaxation(run_example):
    names = run_example("own_relaxation")
    search = names["search"]
    assert any(np.any(table != 0) for table in search.alphas.values())
    searched = {kind: np.array(table) for kind, table in search.search.supernet.mixing_weights().items()}
    for kind, table in search.alphas.items():
        expected = np.array([[min(max(alpha / 6 + 0.5, 0), 1) for alpha in row] for row in table.tolist()])
        np.testing.assert_allclose(search.alphas.mixing_weights()[kind], expected, atol=1e-7)
        np.testing.assert_allclose(searched[kind], expected, atol=1e-6)


def test_own_data(run_example):
    names = run_example("own_data")
    arrays, pairs, folder = (names[f"from_{source}"] for source in ("arrays", "pairs", "folder"))
    assert np.array_equal(arrays.images, pairs.images) and np.array_equal(arrays.labels, pairs.labels)
    assert folder.image_shape == (16, 16, 3) and folder.class_names == arrays.class_names
    for label in (0, 1):
        of_files = sorted(image[..., 0].tobytes() for image in folder.images[folder.labels == label])
        given = arrays.images[:40][arrays.labels[:40] == label]
        assert of_files == sorted(image[..., 0].tobytes() for image in given)
    assert names["search"].settings.dataset.startswith("memory:images:")
