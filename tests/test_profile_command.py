"""The command `profile` against published counts, TensorFlow's own profiler and the network's variables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_network import GENOTYPE

from fairdarts_tf.cli.profile import COMMAND, main
from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.errors import RunError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.profiling import latency
from fairdarts_tf.profiling.counts import as_fields, count
from fairdarts_tf.profiling.latency import _measure, measure_latency
from fairdarts_tf.profiling.measurements import Latency, Measurements
from fairdarts_tf.profiling.tables import latency_text

PROJECT = Path(__file__).resolve().parents[1]
SMALL, PUBLISHED = NetworkSize(4, 3, 16), NetworkSize()


def run(*arguments: object) -> int:
    return COMMAND.execute(main, ["profile", *map(str, arguments)])


def multiply_adds(network: DartsNetwork, size: NetworkSize) -> float:
    """Returns what TensorFlow's profiler counts of the network's convolutions and classifier for one image."""
    images = tf.TensorSpec((1, size.image_size, size.image_size, size.image_channels))
    graph = tf.function(lambda batch: network(batch, training=False)).get_concrete_function(images).graph
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    node = tf.compat.v1.profiler.profile(graph, options=options, cmd="op")
    operations = 0
    while node.children:
        (node,) = node.children
        if node.name in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            operations += node.float_ops
    return operations / 2


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("FairDARTS_a", SMALL),
        ("DARTS_V2", SMALL),
        ("FairDARTS_b", NetworkSize(4, 4, 64, 1, 7, "imagenet")),
        ("FairDARTS_a", PUBLISHED),
        pytest.param("DARTS_V2", PUBLISHED, marks=pytest.mark.slow),
    ],
)
def test_counts_agree_with_tensorflow(name, size):
    genotype = Genotype.load(name)
    network = DartsNetwork(
        genotype, size.num_classes, init_channels=size.init_channels, layers=size.layers, stem=size.stem
    )
    network.build((None, size.image_size, size.image_size, size.image_channels))
    counts = count(genotype, size)
    assert counts.total.params == sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert counts.total.macs == multiply_adds(network, size)


def test_json_equals_published_counts(shared, capsys):
    facts = json.loads((shared / "facts" / "genotypes.json").read_text())
    counted = {name: fact["cifar_c36_l20"] for name, fact in facts.items() if "cifar_c36_l20" in fact}
    assert {"FairDARTS_a", "DARTS_V2"} <= set(counted)
    for name, fact in counted.items():
        assert run(f"--genotype={name}", "--nolatency", "--format=json") == 0
        document = json.loads(capsys.readouterr().out)
        assert document["genotype"] == name and "latency" not in document
        assert document["params"] == fact["params"]
        assert document["params_with_auxiliary_head"] == fact["params_with_auxiliary_head"]
        assert document["macs"] == fact["macs_conv_and_linear"]


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_cells_and_operations_each_add_up(stem):
    fields = as_fields(count(GENOTYPE, NetworkSize(4, 5, 32, stem=stem)))
    for groups in (fields["cells"], fields["operations"]):
        for cost in ("params", "macs"):
            assert sum(group[cost] for group in groups) == fields[cost]
    for cell in fields["cells"]:
        assert sum(layer["macs"] for layer in cell["layers"]) == cell["macs"]
    kinds = [cell["kind"] for cell in fields["cells"] if "kind" in cell]
    assert kinds == ["normal", "reduce", "normal", "reduce", "normal"]
    counts = {group["name"]: group["count"] for group in fields["operations"]}
    # Three normal cells and two reduction cells: see the genotype.
    assert (counts["avg_pool_3x3"], counts["sep_conv_3x3"], counts["dil_conv_3x3"]) == (5, 3, 2)
    assert counts["align_older"] == 5 and counts["classifier"] == 1


def test_table_and_a_genotype_from_a_directory(tmp_path, capsys):
    GENOTYPE.save(tmp_path / "genotype.json")
    flags = ["--init_channels=4", "--layers=3", "--image_size=8", "--image_channels=1", "--num_classes=3"]
    assert run(f"--genotype={tmp_path}", *flags, "--nolatency") == 0
    output = capsys.readouterr().out
    total = count(GENOTYPE, NetworkSize(4, 3, 8, 1, 3)).total
    assert f"parameters {total.params:>36,}" in output
    assert "parameters with auxiliary head  - (the images are too small for one)" in output
    assert run(f"--genotype={tmp_path}", *flags, "--nolatency", "--format=json") == 0
    assert json.loads(capsys.readouterr().out)["params_with_auxiliary_head"] is None
    assert "cell_1 (reduce)" in output and "sep_conv_3x3" in output and "Counted: params:" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--genotype"),
        (["--genotype=FairDARTS_z"], "Did you mean"),
        (["--genotype=FairDARTS_a", "--layers=2"], "--layers is 2"),
        (["--genotype=FairDARTS_a", "--init_channels=1"], "--init_channels is 1"),
        (["--genotype=FairDARTS_a", "--image_size=3"], "at least 4"),
        (["--genotype=FairDARTS_a", "--image_size=31", "--network=imagenet"], "at least 32"),
        (["--genotype=FairDARTS_a", "--num_classes=0"], "--num_classes is 0"),
        (["--genotype=FairDARTS_a", "--network=imagnet"], "network"),
        (["--genotype=FairDARTS_a", "--runs=0"], "runs"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, words):
    assert run(*arguments) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("profile: ") and error.count("\n") == 1
    assert words in error


def test_counting_needs_no_tensorflow():
    script = (
        "import sys; from fairdarts_tf.cli.profile import COMMAND, main; code = COMMAND.execute(main, sys.argv); "
        "print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules))); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, "--genotype=FairDARTS_a", "--nolatency"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def check_row(row, runtime_megabytes: float) -> None:
    assert 0 < row.median_ms <= row.p90_ms
    assert runtime_megabytes * 1e6 < row.library_memory_bytes <= row.peak_memory_bytes
    assert row.file_bytes > 1000 and row.device


def test_latency_of_tflite():
    measured = measure_latency(GENOTYPE, NetworkSize(2, 3, 8), runs=3, forms=["TFLite"])
    (row,) = measured.forms
    check_row(row, 10)
    # This process has TensorFlow loaded, which must not be taken for the other one's memory.
    assert row.peak_memory_bytes < 200e6
    text = latency_text(measured)
    assert f"{row.median_ms:.2f}" in text and "median and 90th percentile of 3 runs" in " ".join(text.split())


def test_json_says_how_it_was_measured(capsys, monkeypatch):
    row = Latency("TFLite", 2000, "a device", 1.5, 2.5, 90_000_000, 80_000_000)
    measured = Measurements(7, 2, (row,))
    monkeypatch.setattr(latency, "measure_latency", lambda *_: measured)
    assert run("--genotype=FairDARTS_a", "--format=json") == 0
    document = json.loads(capsys.readouterr().out)["latency"]
    assert document["runs"] == 7 and document["forms"][0]["p90_ms"] == 2.5
    assert document["measured"].startswith("Measured on 2 CPU cores: one image at a time, from uint8 pixels")
    assert "90th percentile of 7 runs" in document["measured"]
    assert document["measured"] in " ".join(latency_text(measured).split())


def test_a_form_that_cannot_be_run(tmp_path):
    (tmp_path / "a.tflite").write_text("nothing")
    with pytest.raises(RunError, match="latency of TFLite cannot be measured.*--nolatency"):
        _measure("TFLite", tmp_path / "a.tflite", 1)


@pytest.mark.slow
def test_latency_of_all_forms(capsys):
    flags = ["--genotype=FairDARTS_a", "--init_channels=2", "--layers=3", "--image_size=8", "--runs=3"]
    assert run(*flags, "--format=json") == 0
    rows = json.loads(capsys.readouterr().out)["latency"]["forms"]
    assert [row["form"] for row in rows] == ["Keras", "SavedModel", "TFLite"]
    assert all(0 < row["median_ms"] <= row["p90_ms"] for row in rows)
    assert rows[2]["peak_memory_bytes"] < rows[0]["peak_memory_bytes"]
