"""Tables of latencies: what they hold, how they are measured, and that a search takes its costs from them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_search import tiny_settings

from fairdarts_tf import layer_shapes
from fairdarts_tf.cli.measure_latency import COMMAND, main
from fairdarts_tf.cost_aim import cost_aim
from fairdarts_tf.costs import NetworkSize, network_parts
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.latency_table import Device, LatencyTable, Timing, load_or_new
from fairdarts_tf.layer_shapes import LayerShape
from fairdarts_tf.prices import latency_price, network_price
from fairdarts_tf.profiling import layer_latency
from fairdarts_tf.profiling.layer_latency import compare_networks, keras_call, measure_layers, time_calls
from fairdarts_tf.profiling.layer_models import layer_function
from fairdarts_tf.spaces import space_of

DEVICE = Device("a processor", 2, 1, {"tensorflow": "2.21.0"})
SHAPES = [LayerShape("sep_conv_3x3", 8, 4, 4, 2), LayerShape("max_pool_3x3", 8, 4, 4)]
FLAGS = [
    "--cost_channels=2",
    "--cost_layers=3",
    "--cost_image_size=8",
    "--nodes=1",
    "--operations=skip_connect,sep_conv_3x3",
]


def table_of(shapes, milliseconds=lambda place: place + 0.5) -> LatencyTable:
    timings = {shape: Timing(milliseconds(place), place / 2, 9) for place, shape in enumerate(dict.fromkeys(shapes))}
    return LatencyTable(DEVICE, {"TFLite": timings})


def test_a_file_holds_all_of_it(tmp_path):
    path = tmp_path / "table.json"
    table = table_of(SHAPES)
    table.timings["Keras"] = {SHAPES[0]: Timing(1.5, 1.25, 3)}
    table.save(path)
    assert LatencyTable.load(path) == table
    assert json.loads(path.read_text())["device"]["processor"] == "a processor"
    assert table.missing("TFLite", [*SHAPES, LayerShape("sum", 8, 4, 4)] * 2) == [LayerShape("sum", 8, 4, 4)]
    assert table.missing("Keras", SHAPES) == SHAPES[1:]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-20], "holds something else"),
        (lambda text: "[]", "no format"),
        (lambda text: "[" * 100_000, "nested too deeply|something else"),
        (lambda text: text.replace("latencies 1", "latencies 2"), "no format"),
        (lambda text: text.replace('"side": 8', '"side": -8'), "a layer"),
        (lambda text: text.replace('"median_ms": 0.5', '"median_ms": NaN'), "no time of max_pool|no time of sep_conv"),
        (lambda text: text.replace('"median_ms": 0.5', '"median": 0.5'), "median_ms"),
        (lambda text: text.replace('"processor"', '"chip"'), "something else"),
    ],
)
def test_broken_files(tmp_path, change, words):
    path = tmp_path / "table.json"
    table_of(SHAPES).save(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(RunError, match=words):
        LatencyTable.load(path)


def test_absent_files_and_other_devices(tmp_path):
    path = tmp_path / "table.json"
    with pytest.raises(RunError, match="bin/measure_latency makes one"):
        LatencyTable.load(path)
    assert load_or_new(path, DEVICE).timings == {}
    table_of(SHAPES).save(path)
    assert load_or_new(path, DEVICE).missing("TFLite", SHAPES) == []
    with pytest.raises(RunError, match="was measured on a processor, 2 cores, 1 threads.* name a new file"):
        load_or_new(path, Device("a processor", 2, 4, DEVICE.versions))


# ----- in a search


def test_a_search_takes_its_cost_from_the_table(tmp_path):
    path = tmp_path / "table.json"
    asked = tiny_settings(cost="latency", cost_target="113ms", latency_table=str(path), cost_channels=4, cost_layers=3)
    size = NetworkSize(4, 3, 8, 1)
    shapes = [part.shape for part in space_of(asked).cost_parts(size) if part.shape is not None]
    table = table_of(shapes)
    table.save(path)
    aim = cost_aim(asked, (8, 8, 1), 10)
    ones = {kind: np.array([[0.0, 1.0], [1.0, 0.0]]) for kind in ("normal", "reduce")}
    genotype = space_of(asked).derive(ones)
    by_hand = sum(table.timings["TFLite"][part.shape].median_ms for part in network_parts(genotype, size) if part.shape)
    row = aim.row(ones, genotype)
    assert row["expected_cost"] == pytest.approx(by_hand) and row["derived_cost"] == pytest.approx(by_hand)


def test_a_table_that_lacks_layers_is_refused(tmp_path):
    path = tmp_path / "table.json"
    table_of(SHAPES).save(path)
    asked = tiny_settings(cost="latency", cost_target="50ms", latency_table=str(path), cost_channels=4, cost_layers=3)
    with pytest.raises(ConfigurationError, match="has no TFLite latency of .* layers .*: bin/measure_latency"):
        cost_aim(asked, (8, 8, 1), 10)


# ----- measured


def test_every_kind_of_layer_can_be_timed():
    kinds = {value for name, value in vars(layer_shapes).items() if name.isupper()}
    named = {
        layer_shapes.CLASSIFIER: LayerShape(layer_shapes.CLASSIFIER, 4, 6, 3),
        layer_shapes.CONCAT: LayerShape(layer_shapes.CONCAT, 4, 2, 6),
        layer_shapes.FACTORIZED_REDUCE: LayerShape(layer_shapes.FACTORIZED_REDUCE, 4, 6, 3, 2),
        layer_shapes.SUM: LayerShape(layer_shapes.SUM, 4, 6, 6),
    }
    shapes = [named.get(kind, LayerShape(kind, 4, 3, 5)) for kind in kinds]
    shapes += [
        LayerShape("dil_conv_5x5", 4, 6, 6, 2),
        LayerShape("mbconv3_5x5", 4, 6, 6),
        LayerShape("mbconv6_3x3", 4, 6, 8, 2),
    ]
    for shape in shapes:
        function = layer_function(shape, copies=2)
        outputs = keras_call(function, 1)()
        assert [tuple(output.shape) for output in outputs] == [(1,) * len(output.shape) for output in outputs]
        assert len(outputs) == 2 and all(np.isfinite(output.numpy()).all() for output in outputs)
        variables = {variable.shape for variable in function.graph.variables}
        assert bool(variables) == (shape.kind not in ("sum", "concat"))


def test_the_command_goes_on_where_it_stopped(tmp_path, capsys, monkeypatch):
    path, measured = tmp_path / "table.json", []

    def timed(form, shape, threads, runs):
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(shape)
        return Timing(1.0, 0.5, runs)

    monkeypatch.setattr(layer_latency, "_time_layer", timed)
    flags = [f"--table={path}", "--forms=TFLite", "--runs=3", *FLAGS]
    assert COMMAND.execute(main, ["measure_latency", *flags]) == 130
    assert set(LatencyTable.load(path).timings["TFLite"]) == set(measured) and len(measured) == 3
    more: list[LayerShape] = []
    monkeypatch.setattr(layer_latency, "_time_layer", lambda form, shape, *_: more.append(shape) or Timing(1, 1, 3))
    capsys.readouterr()
    assert COMMAND.execute(main, ["measure_latency", *flags]) == 0
    assert more and not set(more) & set(measured)
    assert f"{len(more) + 3} layers in TFLite" in capsys.readouterr().out
    assert COMMAND.execute(main, ["measure_latency", *flags, "--threads=2"]) == 2
    assert "was measured on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--table"),
        (["--table=t", "--forms=TFlite"], "Did you mean 'TFLite'"),
        (["--table=t", "--cost_network=imagenet", "--cost_image_size=16"], "32 or more"),
        (["--table=t", "--space=mobil"], "Did you mean 'mobile'"),
        (["--table=t", "--threads=0"], "threads"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    assert COMMAND.execute(main, ["measure_latency", *flags]) == 2
    error = capsys.readouterr().err
    assert words in error and error.startswith("measure_latency: ") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_tflite_layers_are_measured_and_compared_with_the_network(tmp_path):
    genotype = Genotype(
        normal=(("max_pool_3x3", 2, 0),), normal_concat=(2,), reduce=(("max_pool_3x3", 2, 1),), reduce_concat=(2,)
    )
    size = NetworkSize(2, 3, 8)
    shapes = [part.shape for part in network_parts(genotype, size) if part.shape is not None]
    table = measure_layers(tmp_path / "table.json", shapes, ["TFLite"], runs=10, report=lambda line: None)
    assert table.missing("TFLite", shapes) == [] and LatencyTable.load(tmp_path / "table.json") == table
    (row,) = compare_networks(table, "TFLite", [genotype], size, runs=5)
    assert row.measured_ms > 0
    assert row.expected_ms == pytest.approx(network_price(genotype, size, latency_price(table, "TFLite")))


def test_calls_are_timed_in_turns():
    order = []
    timings = time_calls([lambda: order.append("a"), lambda: order.append("b")], runs=10)
    assert "".join(order) == "aaabbb" * layer_latency.ROUNDS
    assert all(timing.runs == 10 and 0 <= timing.p10_ms <= timing.median_ms for timing in timings)
