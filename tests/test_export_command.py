"""The command ``export``: what it prints, and how it refuses."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
from PIL import Image
from tiny_network import tiny_found_network, write_workdir

from fairdarts_tf.cli.export import COMMAND, main
from fairdarts_tf.data import load_dataset
from fairdarts_tf.export import verification
from fairdarts_tf.export.images import ImageSource
from fairdarts_tf.found_network import FoundNetwork
from fairdarts_tf.network import DartsNetwork

SETTINGS = "--dataset=digits\n--validation_portion=0.25\n--seed=3\n"


def run_export(*given):
    return COMMAND.execute(main, ["export", *given])


@pytest.fixture(scope="module")
def digits_network():
    source = tiny_found_network()
    network = DartsNetwork(source.network.genotype, 10, init_channels=2, layers=3, name="network")
    network.build((None, 8, 8, 1))
    names = tuple(map(str, range(10)))
    return FoundNetwork(network, names, (8, 8, 1), source.mean[:1], source.std[:1], "digits")


@pytest.fixture
def workdir(digits_network, tmp_path):
    return write_workdir(tmp_path / "run", digits_network, SETTINGS)


def test_json(workdir, tmp_path, capsys):
    output = tmp_path / "out"
    flags = ["--formats=keras,tflite", "--quantize=int8", "--images=20", "--format=json"]
    assert run_export(f"--workdir={workdir}", f"--output_dir={output}", *flags) == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert [row["file"] for row in rows] == ["network_int8.tflite", "network.keras"]
    assert rows[1]["max_difference"] < 1e-5
    assert "writing network.keras" in printed.err
    assert {path.name for path in output.iterdir()} == {
        *("network_int8.tflite", "network.keras", "labels.txt", "export.json")
    }
    assert json.loads((output / "export.json").read_text())["files"][0]["verified_on_images"] == 20


def test_table(workdir, tmp_path, capsys):
    assert run_export(f"--workdir={workdir}", f"--output_dir={tmp_path / 'out'}", "--formats=keras", "--images=5") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split("  ")[0] == "file"
    assert row.split()[:2] == ["network.keras", "none"]


def test_failure_is_one_line(workdir, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(verification.MAX_DIFFERENCE, "none", -1.0)
    assert run_export(f"--workdir={workdir}", f"--output_dir={tmp_path / 'out'}", "--formats=keras", "--images=5") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "fails its verification" in printed.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "which run?"),
        (["--workdir=absent", "--output_dir=out"], "there is no directory absent"),
        (["--workdir=.", "--output_dir=out"], "neither a training nor a search"),
        (["--workdir=."], "where to?"),
        (["--workdir=.", "--output_dir=out", "--formats=onnx"], "unknown format 'onnx'"),
        (["--workdir=.", "--output_dir=out", "--quantize=float61"], "Did you mean 'float16'"),
        (["--workdir=.", "--output_dir=out", "--weights=beast"], "Did you mean 'best'"),
        (["--workdir=.", "--output_dir=out", "--batch_size=-1"], "--batch_size=-1"),
        (["--workdir=.", "--output_dir=out", "--images=0"], "--images=0"),
        (["--workdir=.", "--output_dir=file"], "--output_dir=file is no directory"),
    ],
)
def test_unfit_flags(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run_export(*flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


def test_other_data_do_not_fit(tmp_path, capsys):
    workdir = write_workdir(tmp_path / "run", tiny_found_network(), SETTINGS)
    assert run_export(f"--workdir={workdir}", f"--output_dir={tmp_path / 'out'}") == 2
    assert "but the network tells 3 apart" in capsys.readouterr().err


def test_other_classes_do_not_fit(tmp_path, digits_network, capsys):
    """As many of them, of images of the same size, are still others."""
    letters = dataclasses.replace(digits_network, class_names=tuple("abcdefghij"))
    for letter in letters.class_names:
        for split in ("train", "test"):
            (tmp_path / "images" / split / letter.upper()).mkdir(parents=True)
            Image.new("L", (8, 8)).save(tmp_path / "images" / split / letter.upper() / "0.png")
    workdir = write_workdir(tmp_path / "run", letters, SETTINGS)
    other = f"--dataset=folder:{tmp_path / 'images'}"
    assert run_export(f"--workdir={workdir}", f"--output_dir={tmp_path / 'out'}", other) == 2
    assert "class 0 is 'A' in the data set, but 'a' in the network" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_data_were_not_held_back_by_the_seed(digits_network, workdir, tmp_path, capsys):
    (workdir / "flags.txt").write_text(SETTINGS.replace("digits", "mnist"))
    given = (f"--workdir={workdir}", f"--output_dir={tmp_path / 'out'}", "--dataset=digits", "--images=20")
    assert run_export(*given, "--split=train") == 2
    assert "of its own data set, 'mnist', and not of 'digits'" in capsys.readouterr().err
    source = ImageSource.of_run(workdir, digits_network, "digits")
    assert len(source.trained_on(digits_network, count=10_000)) == len(load_dataset("digits", "train"))
    assert run_export(*given, "--formats=tflite", "--quantize=int8", "--format=json") == 0
    printed = capsys.readouterr()
    said = "training images of digits, while the network was trained on mnist"
    assert f"int8 is calibrated on 200 {said}" in printed.err
    assert json.loads(printed.out)[0]["calibrated_on"] == said
    assert json.loads((tmp_path / "out" / "export.json").read_text())["files"][0]["calibrated_on"] == said


def test_calibration_keeps_to_what_was_trained_on(digits_network, workdir):
    source = ImageSource.of_run(workdir, digits_network)
    train = load_dataset("digits", "train")
    trained = {image.tobytes() for image in source.trained_on(digits_network, count=10_000)}
    every = {image.tobytes() for image in train.images}
    assert trained < every
    assert len(trained) == pytest.approx(0.75 * len(every), rel=0.01)
    images, labels = source.held_back(digits_network, 50)
    assert len(images) == len(labels) == 50
    assert not trained & {image.tobytes() for image in images}
    assert len(set(labels)) == 10


def test_verification_uses_no_image_that_was_trained_on(digits_network, workdir):
    source = ImageSource.of_run(workdir, digits_network)
    trained = {image.tobytes() for image in source.trained_on(digits_network, count=10_000)}
    held_back, _ = source.held_back(digits_network, 10_000, split="train")
    train = load_dataset("digits", "train")
    assert len(held_back) == pytest.approx(0.25 * len(train), rel=0.02)
    assert not trained & {image.tobytes() for image in held_back}


def test_training_images_are_refused_where_all_were_trained_on(digits_network, tmp_path, capsys):
    workdir = write_workdir(tmp_path / "run", digits_network, "--dataset=digits\n")
    assert run_export(f"--workdir={workdir}", f"--output_dir={tmp_path / 'out'}", "--split=train") == 2
    assert "all images of the split 'train' were trained on" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_keras_file_loads_as_help_says(workdir, tmp_path):
    assert "import fairdarts_tf.serving, then keras.saving.load_model" in " ".join(COMMAND.help().split())
    assert run_export(f"--workdir={workdir}", f"--output_dir={tmp_path / 'out'}", "--formats=keras", "--images=5") == 0
    program = """
import sys, keras
try:
    keras.saving.load_model(sys.argv[1])
except TypeError as error:
    assert "ServingNetwork" in str(error)
else:
    raise AssertionError("it loads without fairdarts_tf: help and documentation say that it does not")
import fairdarts_tf.serving
keras.saving.load_model(sys.argv[1])
"""
    subprocess.run([sys.executable, "-c", program, tmp_path / "out" / "network.keras"], check=True)
