"""A search in space S2 from settings to a phone's file: resumed to the bit, derived, reported, trained, exported."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from report_testing import Elements
from tiny_search import NoLog

import fairdarts_tf as fd
from fairdarts_tf import search_run
from fairdarts_tf.cli import derive as derive_command
from fairdarts_tf.export.run import export_run
from fairdarts_tf.history import columns_for
from fairdarts_tf.inherited_weights import load_inherited_network
from fairdarts_tf.mobile_genotypes import MobileGenotype
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.report.animation import save_gif
from fairdarts_tf.report.comparison import render_comparison
from fairdarts_tf.report.page import write_report
from fairdarts_tf.report.run_data import read_run
from fairdarts_tf.training import run as training_run

SETTINGS = fd.SearchSettings(
    space="mobile",
    mobile_widths=(4,),
    mobile_depths=(2,),
    mobile_strides=(2,),
    mobile_kernels=(3,),
    mobile_expansions=(1, 2),
    mobile_stem_width=4,
    mobile_stem_stride=1,
    mobile_first_width=4,
    mobile_head_width=8,
    batch_size=40,
    steps_per_epoch=2,
    epochs=2,
    learning_rate=0.05,
    rematerialize=True,
    accumulate=2,
    checkpoint_steps=1,
)


class CrashError(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of two epochs that was killed after the third step, and went on."""
    workdir = tmp_path_factory.mktemp("mobile") / "run"
    count_step = Recorder.on_train_batch_end

    def crash(recorder, batch, logs=None):
        count_step(recorder, batch, logs)
        if recorder.step == 3:
            raise CrashError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_end", crash)
        with pytest.raises(CrashError):
            fd.run_search(SETTINGS, workdir)
    fd.run_search(SETTINGS, workdir)
    return workdir


def test_goes_on_to_the_bit(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(search_run, "_write_report", lambda run: None)
    monkeypatch.setattr(search_run, "TensorBoardLog", NoLog)
    fd.run_search(SETTINGS, tmp_path / "whole")
    for name in ("alphas.npz", "history.npz"):
        with np.load(finished / name) as one, np.load(tmp_path / "whole" / name) as other:
            assert set(one.files) == set(other.files) and "layers" in one.files
            for key in one.files:
                np.testing.assert_array_equal(one[key], other[key])
    assert (finished / "genotype.json").read_text() == (tmp_path / "whole" / "genotype.json").read_text()


def test_files_of_a_run(finished):
    genotype = fd.load_genotype(finished)
    assert isinstance(genotype, MobileGenotype) and len(genotype.items()) == 2
    with open(finished / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == columns_for(("layers",)) and len(rows) == 2
    counts = [int(rows[-1][f"operations_{state}"]) for state in ("on", "off", "undecided")]
    assert sum(counts) == 2 * 3 - 1  # The first layer cannot be skipped.
    assert -0.25 <= float(rows[-1]["zero_one"]) < 0
    run = read_run(finished)
    assert not run.problems and run.genotype == genotype
    assert list((finished / "tensorboard").iterdir())


def test_derive_command_says_each_layer(finished, capsys):
    flags = derive_command.COMMAND.flags
    flags.unparse_flags()
    flags(["derive", f"--alphas={finished}", "--report"])
    derive_command.main()
    captured = capsys.readouterr()
    assert MobileGenotype.from_json(captured.out) == fd.load_genotype(finished)
    assert "layer  operation" in captured.err and "share of the last 2 epochs" in captured.err
    assert "2 are undecided" in captured.err
    flags.unparse_flags()


def test_report_comparison_and_animation(finished, tmp_path):
    page = Elements(write_report(finished, tmp_path / "page.html").read_text())
    data = json.loads(page.data)
    heat = data["figures"]["heat_sigmoid_layers"]
    assert heat["data"][0]["y"] == ["1", "2"] and heat["data"][0]["z"][0][2] is None
    assert "The layers found" in page.text and "Stage 1: 4 channels, stride 2" in page.text
    assert "undecided" in page.text and "images of 32 × 32 pixels" in page.text
    assert len(data["replay"]["notes"][-1]) == 2
    compared = Elements(render_comparison([read_run(finished)] * 2))
    assert "Chain of layers" in compared.text and "curve_layers_skips" in json.loads(compared.data)["figures"]
    assert save_gif(read_run(finished), tmp_path / "evolution.gif", width=400) == 2


@pytest.mark.parametrize("flags", [None, "--space=mobil\n", "--mobile_widths=x\n", "--space=darts\n"])
def test_page_of_a_run_whose_flags_are_broken(finished, tmp_path, flags):
    """Layers and operations then have invented names, and the page says what is missing."""
    for name in ("history.csv", "history.npz", "alphas.npz", "genotype.json"):
        shutil.copy(finished / name, tmp_path / name)
    if flags is not None:
        (tmp_path / "flags.txt").write_text(flags)
    run = read_run(tmp_path)
    assert run.problems and run.derivation.operations == ("operation 1", "operation 2", "operation 3")
    page = Elements(write_report(tmp_path).read_text())
    assert "The layers found" in page.text and "Stage 1: 4 channels, stride 2" in page.text


def test_trains_exports_and_predicts_what_it_found(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "TensorBoardLog", NoLog)
    settings = fd.TrainSettings(
        genotype=str(finished),
        init_from=str(finished),
        auxiliary_weight=0,
        drop_path=0.2,
        cutout=0,
        batch_size=40,
        accumulate=2,
        steps_per_epoch=2,
        epochs=1,
    )
    fd.run_training(settings, tmp_path / "training")
    found = fd.load_found_network(tmp_path / "training")
    assert found.network.genotype == fd.load_genotype(finished)
    assert json.loads((tmp_path / "training" / "model.json").read_text())["network"] == {"num_classes": 10}
    rows = export_run(tmp_path / "training", tmp_path / "exported", ["tflite"], ["none", "int8"])
    assert len(rows) == 2
    runtime = fd.open_model(tmp_path / "exported" / "network.tflite")
    images = np.zeros((2, 8, 8, 1), np.uint8)
    assert runtime.probabilities(images).shape == (2, 10)


def test_the_supernet_goes_into_the_network(finished):
    found = load_inherited_network(finished)
    assert found.network.genotype == fd.load_genotype(finished)
    logits = found.network(np.zeros((1, *found.image_shape), np.float32))
    assert np.isfinite(logits).all()
