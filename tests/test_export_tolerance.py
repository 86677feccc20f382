"""What an export accepts of quantized files: what rounding does, and nothing that a spoilt file does."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_network import random_images, tiny_found_network

from fairdarts_tf.errors import ExportError
from fairdarts_tf.export import network
from fairdarts_tf.export.network import export_network
from fairdarts_tf.export.verification import CLEAR_MARGIN, reference_probabilities, relative_error
from fairdarts_tf.serving import ServingNetwork

IMAGES, CALIBRATION = random_images(60), random_images(60, 1)


def unsure_network(seed=4, certainty=0.03):
    """A network whose probabilities are all near 1/3: no class of it is ever clearly above another."""
    found = tiny_found_network(seed)
    for variable in found.network.classifier.variables:
        variable.assign(variable * certainty)
    return found


@pytest.fixture(scope="module")
def unsure():
    return unsure_network()


def export(found, directory, quantization, calibration=CALIBRATION):
    (row,) = export_network(
        *(found, directory, ["tflite"], [quantization]),
        held_back_images=IMAGES,
        held_back_labels=np.zeros(len(IMAGES), int),
        calibration_images=calibration,
    )
    return row


def test_unsure_network_is_quantized(unsure, tmp_path):
    probabilities = reference_probabilities(unsure, IMAGES)
    assert np.ptp(probabilities, axis=1).max() < CLEAR_MARGIN
    assert export(unsure, tmp_path / "export", "int8").relative_error < 0.1


@pytest.mark.parametrize("calibration", [np.zeros_like(CALIBRATION), np.full_like(CALIBRATION, 128)])
def test_wrong_calibration_is_refused(unsure, tmp_path, calibration):
    with pytest.raises(ExportError, match=r"network_int8.tflite .* of what tells these images apart"):
        export(unsure, tmp_path / "export", "int8", calibration)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quantization", ["float16", "dynamic", "int8"])
def test_wrong_weights_are_refused(unsure, tmp_path, monkeypatch, quantization):
    other = ServingNetwork.of(unsure_network(seed=3))
    monkeypatch.setattr(network.ServingNetwork, "of", lambda found: other)
    with pytest.raises(ExportError, match="fails its verification"):
        export(unsure, tmp_path / "export", quantization)
    assert list(tmp_path.iterdir()) == []


def test_relative_error():
    expected = np.array([[0.6, 0.4], [0.4, 0.6]] * 8, np.float32)
    assert relative_error(expected, expected) == 0
    assert relative_error(np.full_like(expected, 0.5), expected) == pytest.approx(1)
    assert relative_error(expected + 0.01, expected) == pytest.approx(0.1, rel=1e-5)
    assert relative_error(expected + 0.01, expected, rounding=0.005) == pytest.approx(0.05, rel=1e-5)
    assert relative_error(expected + 0.01, expected, rounding=0.02) == 0
    # Few images may all look alike to a good network.
    assert relative_error(expected[:1] + 0.01, expected[:1]) == pytest.approx(0.1, rel=1e-5)
    # A network that says the same of all images: only rounding is forgiven.
    alike = expected[:1].repeat(16, axis=0)
    assert relative_error(alike + 0.001, alike, rounding=0.002) == 0
    assert relative_error(alike + 0.001, alike, rounding=0.0005) > 1


def unfit_for_integers():
    """A network with a channel that is always 0, and weights of 1e5 behind it: no ratio of 8-bit scales holds both."""
    found = tiny_found_network()
    for variable in found.network.variables:
        values, name = variable.numpy(), variable.path
        if "/align_" in name and name.endswith(("/gamma", "/beta")):
            values[..., 0] = -1 if name.endswith("/beta") else 0
        if name.endswith(("/depthwise_1", "/depthwise")):
            values[:, :, :, 0] = 1e5
        variable.assign(values)
    return found


def test_file_that_litert_refuses(tmp_path):
    with pytest.raises(ExportError, match="XNNPACK, .* refuses network_int8.tflite .*Leave int8 out") as refused:
        export(unfit_for_integers(), tmp_path / "export", "int8")
    assert str(tmp_path) not in str(refused.value)
    assert str(refused.value).count("XNNPACK runtime") == 1
    assert list(tmp_path.iterdir()) == []


def test_other_file_that_its_runtime_refuses(unsure, tmp_path, monkeypatch):
    monkeypatch.setattr(network.tflite, "convert", lambda *_: b"TFL3 and nothing else")
    with pytest.raises(
        ExportError, match="network.tflite cannot be run in its own runtime .*Leave that format"
    ) as refused:
        export(unsure, tmp_path / "export", "none")
    assert str(tmp_path) not in str(refused.value)
