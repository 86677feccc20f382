"""The configurations: each parses, is headed by what it is, and the paper's has the paper's numbers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairdarts_tf.cli.search import COMMAND
from fairdarts_tf.cli.settings_flags import read_settings
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.settings import SearchSettings

PROJECT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((PROJECT / "configs").glob("*.flags"))


def settings_of(config: Path) -> SearchSettings:
    found = []
    read = lambda: found.append(read_settings(SearchSettings, COMMAND.flags, None))  # noqa: E731
    assert COMMAND.execute(read, ["search", f"--flagfile={config}"]) == 0
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
