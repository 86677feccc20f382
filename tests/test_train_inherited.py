"""A training that starts from the supernet's own weights."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_search import tiny_settings as tiny_search_settings
from tiny_training import arrays, tiny_settings, train

from fairdarts_tf.found_network import read_weights
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.inherited_weights import inherit_weights, load_supernet
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.search_run import run_search
from fairdarts_tf.training.run import run_training


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("search")
    run_search(tiny_search_settings(), workdir)
    return workdir


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_it_starts_from_the_supernets_weights(search, tmp_path, average_decay):
    """At a learning rate of 0 the weights stay what they were in the supernet, and so does their average."""
    changes = {"learning_rate": 0.0, "epochs": 1, "steps_per_epoch": 1, "average_decay": average_decay}
    settings = tiny_settings(tmp_path, genotype="", init_from=str(search), **changes)
    run_training(settings, tmp_path / "run")
    network = DartsNetwork(Genotype.load(search), 10, init_channels=2, layers=3, name="network")
    network.build((None, 8, 8, 1))
    supernet, _ = load_supernet(search)
    inherit_weights(network, supernet)
    expected, found = read_weights(network), arrays(tmp_path / "run" / "last.npz")
    learned = [name for name in expected if "moving" not in name]
    assert len(learned) > 10
    assert all(np.array_equal(found[name], expected[name]) for name in learned)


def test_other_sizes_are_refused_with_those_that_fit(search, tmp_path, capsys):
    assert train(f"--workdir={tmp_path / 'run'}", f"--init_from={search}", "--auxiliary_weight=0", "--cutout=0") == 2
    error = capsys.readouterr().err
    assert "--init_channels=2 --layers=3" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()
