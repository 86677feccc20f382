"""The configurations: each parses, is headed by what it is, and the paper's has the paper's numbers."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairdarts_tf.cli import search, train, tune
from fairdarts_tf.cli.settings_flags import read_settings
from fairdarts_tf.genotypes import DARTS_OPERATIONS, Genotype
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.training.settings import TrainSettings

PROJECT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((PROJECT / "configs").glob("*.flags"))


def settings_of(config: Path) -> SearchSettings | TrainSettings:
    commands = {"train": (train.COMMAND, TrainSettings), "tune": (tune.COMMAND, SearchSettings)}
    command, kind = commands.get(config.name.split("_")[0], (search.COMMAND, SearchSettings))
    found = []
    read = lambda: found.append(read_settings(kind, command.flags, None))  # noqa: E731
    assert command.execute(read, [command.name, f"--flagfile={config}"]) == 0
    return found[0]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_parses_and_says_what_it_is(config):
    assert settings_of(config).epochs > 0
    head = [line for line in config.read_text().splitlines() if line.startswith("#")]
    assert any(line.startswith("# Expect:") for line in head)
    assert any(line.startswith("# Cost:") for line in head)


def test_the_papers_search():
    settings = settings_of(PROJECT / "configs" / "cifar10.flags")
    assert settings == SearchSettings(dataset="cifar10"), "defaults are the paper's"
    assert (settings.epochs, settings.batch_size, settings.init_channels, settings.layers) == (50, 128, 16, 8)
    assert (settings.learning_rate, settings.learning_rate_min, settings.weight_decay) == (0.005, 0.001, 3e-4)
    assert (settings.alpha_learning_rate, settings.alpha_weight_decay) == (3e-3, 1e-3)
    assert (settings.zero_one, settings.zero_one_weight, settings.threshold) == ("l2", 10.0, 0.85)


def test_darts_searches():
    first, second = (settings_of(PROJECT / "configs" / f"darts_{order}.flags") for order in ("first", "second"))
    assert (first.relaxation, first.operations, first.zero_one, first.method) == (
        "softmax",
        DARTS_OPERATIONS,
        "none",
        "darts",
    )
    assert (first.epochs, first.batch_size, first.init_channels, first.layers) == (50, 64, 16, 8)
    assert (first.learning_rate, first.learning_rate_min, first.weight_decay) == (0.025, 0.001, 3e-4)
    assert (first.alpha_learning_rate, first.alpha_beta_1, first.alpha_weight_decay) == (3e-4, 0.5, 1e-3)
    assert first.alpha_noise == 1e-3 and not first.unrolled
    assert second == dataclasses.replace(first, unrolled=True)


def test_the_papers_training():
    settings = settings_of(PROJECT / "configs" / "train_cifar10.flags")
    assert settings == TrainSettings(dataset="cifar10", genotype="FairDARTS_a"), "defaults are the paper's"


def test_darts_training_on_imagenet():
    settings = settings_of(PROJECT / "configs" / "train_imagenet.flags")
    assert (settings.epochs, settings.batch_size, settings.init_channels, settings.layers) == (250, 128, 48, 14)
    assert (settings.learning_rate, settings.weight_decay, settings.label_smoothing) == (0.1, 3e-5, 0.1)
    assert settings.learning_rate_at(10) == pytest.approx(0.1 * 0.97**10)
    assert (settings.network, settings.crop, settings.image_size) == ("imagenet", "resized", 224)
    assert (settings.resize_size, settings.color_jitter, settings.cutout) == (256, 0.4, 0)
    assert settings.storage == "encoded", "random crops see all of an image in no other form"


def test_the_learning_rate_is_a_cosine_from_epoch_to_epoch():
    settings = SearchSettings()
    assert settings.learning_rate_at(0) == 0.005
    assert settings.learning_rate_at(25) == pytest.approx(0.003)
    assert settings.learning_rate_at(50) == pytest.approx(0.001)


@pytest.mark.slow
def test_quickstart(tmp_path):
    """Within three minutes on 2 cores it ends with a valid genotype and more than 85 % on the search half."""
    began = time.perf_counter()
    flags = [f"--flagfile={PROJECT / 'configs' / 'quickstart.flags'}", f"--workdir={tmp_path / 'run'}"]
    subprocess.run([sys.executable, "-m", "fairdarts_tf.cli.search", *flags], cwd=PROJECT, check=True)
    assert time.perf_counter() - began < 180
    last = (tmp_path / "run" / "history.csv").read_text().splitlines()[-1].split(",")
    assert float(last[4]) > 0.85
    document = json.loads((tmp_path / "run" / "genotype.json").read_text())
    assert document["space"] == "darts"
    assert Genotype.load(tmp_path / "run").nodes("normal")
