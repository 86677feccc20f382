"""Stored networks behind one interface, and what is none."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tiny_network import CLASS_NAMES, SHAPE, random_images, tiny_found_network, write_workdir

from fairdarts_tf.errors import RunError
from fairdarts_tf.export.network import export_network
from fairdarts_tf.export.verification import reference_probabilities
from fairdarts_tf.runtimes import open_model

IMAGES = random_images(7)


@pytest.fixture(scope="module")
def found():
    return tiny_found_network()


@pytest.fixture(scope="module")
def stored(found, tmp_path_factory):
    """The network as a training leaves it, and exported with a batch size of 4."""
    folder = tmp_path_factory.mktemp("stored")
    write_workdir(folder / "workdir", found)
    export_network(found, folder, batch_size=4, held_back_images=IMAGES, held_back_labels=np.zeros(7, int))
    return folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [("workdir", "keras"), ("network.keras", "keras"), ("saved_model", "saved_model"), ("network.tflite", "tflite")],
)
def test_same_interface(stored, found, name, kind):
    runtime = open_model(stored / name)
    assert (runtime.kind, runtime.class_names, runtime.image_shape) == (kind, CLASS_NAMES, SHAPE)
    expected = reference_probabilities(found, IMAGES)
    for count in (7, 1, 4):
        probabilities = runtime.probabilities(IMAGES[:count])
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, expected[:count], atol=1e-5)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert runtime.probabilities(IMAGES[:0]).shape == (0, 3)
    with pytest.raises(RunError, match=r"takes uint8 images \(N, 8, 8, 3\)"):
        runtime.probabilities(IMAGES[:, :6])
    with pytest.raises(RunError, match="float32"):
        runtime.probabilities(IMAGES.astype(np.float32))


def test_tflite_needs_no_tensorflow(stored):
    program = (
        "import sys; from fairdarts_tf.runtimes import open_model; import numpy as np; "
        f"open_model(sys.argv[1]).probabilities(np.zeros((1, *{SHAPE}), np.uint8)); "
        "sys.exit(int('tensorflow' in sys.modules or 'keras' in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program, str(stored / "network.tflite")], check=True)


def test_class_names_beside_a_tflite_file(stored, tmp_path):
    content = (stored / "network.tflite").read_bytes()
    path = tmp_path / "mine.tflite"
    path.write_bytes(content)
    assert open_model(path).class_names == ("0", "1", "2")
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    assert open_model(path).class_names == ("a", "b", "c")
    (tmp_path / "mine.labels.txt").write_text("x\r\ny\r\nz\r\n")
    assert open_model(path).class_names == ("x", "y", "z")
    (tmp_path / "mine.labels.txt").write_text("x\ny\n")
    with pytest.raises(RunError, match="names 2 classes, but the network beside it has 3"):
        open_model(path)


def test_best_weights_are_taken_unless_last_ones_are_asked_for(found, tmp_path):
    from fairdarts_tf.found_network import read_weights, save_weights

    workdir = write_workdir(tmp_path / "workdir", found)
    zeros = {name: np.zeros_like(values) for name, values in read_weights(found.network).items()}
    save_weights(workdir, "best", zeros)
    np.testing.assert_allclose(open_model(workdir).probabilities(IMAGES), 1 / 3)
    expected = reference_probabilities(found, IMAGES)
    np.testing.assert_allclose(open_model(workdir, "last").probabilities(IMAGES), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["broken.tflite", "broken.keras", "image.png"])
def test_broken_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of this kind")
    with pytest.raises(RunError, match="is broken, or is not|no network that can be run"):
        open_model(tmp_path / name)


def test_truncated_tflite(stored, tmp_path):
    (tmp_path / "short.tflite").write_bytes((stored / "network.tflite").read_bytes()[:3000])
    with pytest.raises(RunError, match="is broken"):
        open_model(tmp_path / "short.tflite")


def test_broken_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"nothing of this kind")
    with pytest.raises(RunError, match="is broken, or is not a SavedModel"):
        open_model(tmp_path)


def test_saved_model_of_something_else(tmp_path):
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "model"))
    with pytest.raises(RunError, match="no signature 'serving_default'"):
        open_model(tmp_path / "model")


def test_directory_of_an_export_is_explained(stored):
    with pytest.raises(RunError, match="It holds network.keras: name"):
        open_model(stored)


def test_no_such_path(tmp_path):
    with pytest.raises(RunError, match="there is no"):
        open_model(tmp_path / "absent")
