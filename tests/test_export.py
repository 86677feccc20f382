"""Every form of a network against the network itself, in the runtimes that its users have."""

from __future__ import annotations

import dataclasses
import errno
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tiny_network import CLASS_NAMES, SHAPE, random_images, tiny_found_network

from fairdarts_tf.errors import ConfigurationError, DataError, ExportError
from fairdarts_tf.export import network, tflite, verification
from fairdarts_tf.export.network import export_network
from fairdarts_tf.export.plan import QUANTIZATIONS, plan_files
from fairdarts_tf.genotypes import Genotype

IMAGES, LABELS = random_images(40), np.arange(40) % 3
TFLITE_FILES = {
    name: file.name for name, file in zip(QUANTIZATIONS, plan_files(["tflite"], QUANTIZATIONS), strict=True)
}


def export(found, directory, formats=("keras",), quantizations=("none",), batch_size=None, **changes):
    arguments = {"held_back_images": IMAGES, "held_back_labels": LABELS, "calibration_images": random_images(20, 1)}
    return export_network(found, directory, formats, quantizations, batch_size, **arguments | changes)


def expected_probabilities(found, images):
    normalized = (images.astype(np.float64) / 255 - found.mean) / found.std
    logits = found.network(tf.constant(normalized, tf.float32), training=False).numpy()
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def found():
    return tiny_found_network()


@pytest.fixture(scope="module")
def exported(found, tmp_path_factory):
    """All forms at once: the directory and the verifications."""
    directory = tmp_path_factory.mktemp("exported") / "new" / "export"
    rows = export(found, directory, ("saved_model", "tflite", "keras"), QUANTIZATIONS)
    return directory, {row.file: row for row in rows}


@pytest.fixture
def small_export(found, tmp_path):
    """A finished export of one file, cheap to make."""
    directory = tmp_path / "export"
    export(found, directory)
    return directory


def content(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_files(exported):
    directory, rows = exported
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        ["saved_model", "network.keras", *TFLITE_FILES.values(), "labels.txt", "export.json"]
    )
    assert list(directory.parent.iterdir()) == [directory]
    assert set(rows) == {"saved_model", "network.keras", *TFLITE_FILES.values()}


def test_the_test_network_tells_images_apart(found):
    probabilities = expected_probabilities(found, IMAGES)
    assert len(set(probabilities.argmax(axis=1))) == 3
    assert np.median(probabilities.max(axis=1)) > 0.6


def test_saved_model(exported, found):
    directory, _ = exported
    model = tf.saved_model.load(str(directory / "saved_model"))
    expected = expected_probabilities(found, IMAGES)
    assert set(model.signatures) == {"serving_default", "float_images"}
    for name, dtype in (("serving_default", tf.uint8), ("float_images", tf.float32)):
        signature = model.signatures[name]
        assert signature.structured_input_signature == ((), {"images": tf.TensorSpec((None, *SHAPE), dtype, "images")})
        result = signature(images=tf.constant(IMAGES, dtype))
        assert set(result) == {"probabilities"}
        np.testing.assert_allclose(result["probabilities"], expected, atol=1e-5)
    names = (directory / "saved_model" / "assets" / "labels.txt").read_text()
    assert tuple(names.splitlines()) == CLASS_NAMES


def test_keras_file(exported, found):
    directory, _ = exported
    model = keras.saving.load_model(directory / "network.keras")
    expected = expected_probabilities(found, IMAGES)
    for images in (IMAGES, IMAGES.astype(np.float32)):
        np.testing.assert_allclose(model(images), expected, atol=1e-5)
    assert model.class_names == CLASS_NAMES
    assert model.network.auxiliary_head is None


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_tflite_signature(exported, quantization):
    """One name, whatever the quantization: a program that runs one file runs the others."""
    signatures = Interpreter(str(exported[0] / TFLITE_FILES[quantization])).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["images"], "outputs": ["probabilities"]}}


@pytest.mark.parametrize(("quantization", "tolerance"), [("none", 1e-5), ("float16", 1e-2), ("dynamic", 0.1)])
def test_tflite(exported, found, quantization, tolerance):
    directory, _ = exported
    runner = Interpreter(str(directory / TFLITE_FILES[quantization])).get_signature_runner()
    assert runner.get_input_details()["images"]["dtype"] == np.uint8
    # The runner resizes the input.
    result = runner(images=IMAGES)["probabilities"]
    np.testing.assert_allclose(result, expected_probabilities(found, IMAGES), atol=tolerance)


def test_integer_tflite(exported, found):
    """Bytes of the image are the input's values, every operation is integer, and the result is a float again."""
    directory, rows = exported
    interpreter = Interpreter(str(directory / TFLITE_FILES["int8"]))
    interpreter.allocate_tensors()
    image, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert (image["dtype"], image["quantization"]) == (np.uint8, (1.0, 0))
    assert result["dtype"] == np.float32
    types = {detail["dtype"] for detail in interpreter.get_tensor_details() if detail["index"] != result["index"]}
    assert types <= {np.uint8, np.int8, np.int32}
    probabilities = interpreter.get_signature_runner()(images=IMAGES)["probabilities"]
    assert np.abs(probabilities - expected_probabilities(found, IMAGES)).mean() < 0.05
    assert rows[TFLITE_FILES["int8"]].agreement > 0.9


def test_operators(exported):
    """BatchNorm is folded into convolutions, a dilated one is one operation, and all are TFLite's own."""
    directory, rows = exported
    operators = rows["network.tflite"].operators
    details = Interpreter(
        str(directory / "network.tflite"), experimental_preserve_all_tensors=True
    )._get_ops_details()  # Nothing public counts operations; delegates are added only later.
    names = [detail["op_name"] for detail in details if detail["op_name"] != "DELEGATE"]
    assert operators == {name: names.count(name) for name in set(names)}
    assert set(operators) == {
        *("ADD", "AVERAGE_POOL_2D", "CAST", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
        *("MAX_POOL_2D", "MEAN", "MIRROR_PAD", "MUL", "RELU", "SOFTMAX", "STRIDED_SLICE"),
    }


def test_what_was_not_quantized_is_told(exported, found):
    """A converter leaves tensors of fewer than 1,024 weights alone with dynamic: of this network, all."""
    directory, rows = exported
    shares = {name: rows[file].quantized_share for name, file in TFLITE_FILES.items()}
    assert shares == {"none": 0, "float16": 1, "dynamic": 0, "int8": 1}
    assert rows["network.keras"].quantized_share is None
    header, *lines = verification.format_table(list(rows.values())).splitlines()
    assert "quantization  of weights" in header
    table = {line.split()[0]: line.split()[2] for line in lines}
    assert [table[file] for file in TFLITE_FILES.values()] == ["0%", "100%", "0%", "100%"]
    assert table["saved_model"] == "-"


def test_share_of_larger_tensors():
    network = tf.keras.Sequential([tf.keras.Input((64,)), tf.keras.layers.Dense(30), tf.keras.layers.Dense(5)])
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    weights = 64 * 30 + 30 * 5
    share = tflite.quantized_share(converter.convert())
    assert 64 * 30 / (weights + 35) <= share <= 64 * 30 / weights


def test_manifest(exported, found):
    directory, rows = exported
    manifest = json.loads((directory / "export.json").read_text())
    assert Genotype.from_json(json.dumps(manifest["genotype"])) == found.network.genotype
    assert manifest["class_names"] == list(CLASS_NAMES)
    for entry in manifest["files"]:
        row = rows[entry["file"]]
        assert entry["bytes"] == row.bytes
        assert entry["max_difference"] == row.max_difference
        assert entry["batch_size"] is None
        assert entry["latency_ms"] > 0
    accuracy = np.mean(expected_probabilities(found, IMAGES).argmax(axis=1) == LABELS)
    assert rows["network.keras"].accuracy == pytest.approx(accuracy)


def test_fixed_batch_size(found, tmp_path):
    export(found, tmp_path / "export", ("tflite",), ("int8",), batch_size=3)
    detail = Interpreter(str(tmp_path / "export" / "network_int8.tflite")).get_input_details()[0]
    assert tuple(detail["shape_signature"]) == (3, *SHAPE)


@pytest.fixture
def foreign_model(tmp_path):
    """A SavedModel with an operation that TFLite has not."""

    class Determinant(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.uint8, name="images")])
        def __call__(self, images):
            return {"probabilities": tf.linalg.det(tf.cast(images, tf.float32)[..., 0])[:, None]}

    module = Determinant()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.__call__})
    return tmp_path / "model"


def test_foreign_operation_is_named(foreign_model, capfd):
    with pytest.raises(ExportError, match="MatrixDeterminant"):
        tflite.convert(foreign_model)
    assert "MatrixDeterminant" not in capfd.readouterr().err


def test_flex_operation_in_a_file_is_named(foreign_model, monkeypatch):
    """A converter that lets TensorFlow's operations through does not get past the check of the file."""

    def with_flex(converter):
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]

    monkeypatch.setitem(tflite._QUANTIZE, "none", with_flex)
    with pytest.raises(ExportError, match="FlexMatrixDeterminant"):
        tflite.convert(foreign_model)


def test_failed_verification_leaves_nothing(found, tmp_path, monkeypatch):
    monkeypatch.setitem(verification.MAX_DIFFERENCE, "none", -1.0)
    with pytest.raises(ExportError, match="network.keras fails its verification"):
        export(found, tmp_path / "new" / "export")
    assert list((tmp_path / "new").iterdir()) == []


def test_quantization_that_loses_too_much_is_refused(tmp_path):
    with pytest.raises(ExportError, match=r"network_int8.tflite fails its verification: on [3-9]\d.\d% of 40 images"):
        export(tiny_found_network(seed=1), tmp_path / "export", ["tflite"], ["int8"])
    assert list(tmp_path.iterdir()) == []


def test_what_the_default_delegate_refuses_is_told(tmp_path):
    """A large weight of a channel that is always 0: XNNPACK refuses such scales, the kernels without it do not."""
    found = tiny_found_network()
    for variable in found.network.variables:
        if variable.path.endswith("cell_0/0_sep_conv_3x3/normalization_2/beta"):
            variable.assign(variable - np.array([10, 0]))
        elif variable.path.endswith("cell_1/align_newer/kernel"):
            large = np.zeros(variable.shape)
            large[..., 0, :] = 1e6
            variable.assign(variable + large)
    with pytest.raises(ExportError) as refusal:
        export(found, tmp_path / "export", ["tflite"], ["int8"])
    message = str(refusal.value)
    assert message.startswith("XNNPACK, the delegate that LiteRT uses by default here and on phones, refuses")
    assert "with default delegates switched off, which is slower, LiteRT does run it." in message
    assert "Leave int8 out of --quantize" in message
    assert list(tmp_path.iterdir()) == []


def test_failed_verification_keeps_what_was_there(found, small_export, monkeypatch):
    before = content(small_export)
    monkeypatch.setattr(network, "reference_probabilities", lambda found, images: np.eye(3)[LABELS])
    with pytest.raises(ExportError, match="is accepted"):
        export(found, small_export)
    assert content(small_export) == before


@pytest.mark.parametrize(
    ("place", "formats"), [("write_manifest", ["keras"]), ("write_saved_model", ["saved_model", "keras"])]
)
def test_full_disk_keeps_what_was_there(found, small_export, monkeypatch, place, formats):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = content(small_export)
    monkeypatch.setattr(network, place, full)
    with pytest.raises(OSError, match="No space left"):
        export(found, small_export, formats)
    assert content(small_export) == before


def test_move_that_fails_halfway_is_undone(found, small_export, monkeypatch):
    before = content(small_export)
    path_type = type(small_export)
    rename = path_type.rename

    def failing(self, target):
        if self.name == "network.keras" and self.parent.name == "new":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(path_type, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        export(found, small_export)
    assert content(small_export) == before


def test_a_second_export_of_the_same_network_joins_the_first(found, small_export):
    before = content(small_export)
    (small_export / "notes.txt").write_text("mine")
    export(found, small_export, ("saved_model",))
    assert (small_export / "network.keras").read_bytes() == before[
        (small_export / "network.keras").relative_to(small_export)
    ]
    assert (small_export / "notes.txt").read_text() == "mine"
    manifest = json.loads((small_export / "export.json").read_text())
    assert [entry["file"] for entry in manifest["files"]] == ["network.keras", "saved_model"]


def test_what_killed_exports_left_is_ended(found, small_export):
    """One was killed half way, one beside a directory that it would have made, one as its manifest took its place."""
    before = content(small_export)
    name = small_export.name
    for left in (small_export / f".{name}.abcd_123.tmp", small_export.with_name(f".{name}.abcd_123.tmp")):
        (left / "new").mkdir(parents=True)
        (left / "new" / "half").touch()
    moving = small_export / f".{name}.abcd_456.tmp"
    for place in ("new", "old"):
        (moving / place).mkdir(parents=True)
    (moving / "new" / "export.json").write_bytes((small_export / "export.json").read_bytes())
    (small_export / "export.json").rename(moving / "old" / "export.json")
    export(found, small_export)
    assert set(content(small_export)) == set(before)
    assert not list(small_export.parent.rglob(".*.tmp"))


def test_networks_do_not_mix(found, small_export):
    before = content(small_export)
    other = dataclasses.replace(found, class_names=("a", "b", "c"))
    with pytest.raises(ExportError, match="of another network"):
        export(other, small_export, ("saved_model",))
    assert content(small_export) == before
    export(other, small_export)
    assert (small_export / "labels.txt").read_text() == "a\nb\nc\n"


@pytest.mark.parametrize("name", ["network.keras", "labels.txt", "export.json"])
def test_foreign_files_are_not_replaced(found, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ExportError, match="would be replaced"):
        export(found, tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_diverged_network(tmp_path):
    diverged = tiny_found_network()
    diverged.network.classifier.bias.assign(np.full(3, np.nan))
    with pytest.raises(ExportError, match="no numbers"):
        export(diverged, tmp_path / "export")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formats": ["tflight"]}, "Did you mean 'tflite'"),
        ({"formats": []}, "--formats is empty"),
        ({"formats": ["keras"], "quantizations": ["int8"]}, "is for TFLite files"),
        ({"formats": ["tflite"], "quantizations": ["int9"]}, "Did you mean 'int8'"),
        ({"batch_size": 0}, "must be at least 1"),
    ],
)
def test_unfit_arguments(found, tmp_path, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        export(found, tmp_path / "export", **changes)
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"held_back_images": IMAGES[:, :4]},
        {"held_back_images": IMAGES[:0]},
        {"held_back_labels": LABELS[:3]},
        {"held_back_images": IMAGES / 255},
        {"formats": ["tflite"], "quantizations": ["int8"], "calibration_images": None},
    ],
)
def test_unfit_images(found, tmp_path, changes):
    with pytest.raises(DataError, match="do not fit|Give one each"):
        export(found, tmp_path / "export", **changes)
