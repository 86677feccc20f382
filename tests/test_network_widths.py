"""The widest network within a limit of multiply-adds, in `profile` and in a training; transfer to ImageNet's size."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from tiny_mobile import SPACE as MOBILE
from tiny_training import GENOTYPE, tiny_flags, tiny_settings
from tiny_training import train as main_train

from fairdarts_tf.cli.profile import COMMAND, main
from fairdarts_tf.cli.train import COMMAND as TRAIN
from fairdarts_tf.cli.train import main as train
from fairdarts_tf.costs import NetworkSize, network_cost
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.found_network import load_found_network
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.network_widths import MOBILE_LIMIT, PAPERS_SIZES, check_within, widest
from fairdarts_tf.training.run import run_training

CELL_A = Genotype.load("FairDARTS_a")


@pytest.mark.parametrize("name", ["FairDARTS_a", "MdeNAS"])
@pytest.mark.parametrize(("stem", "limit"), [("imagenet", MOBILE_LIMIT), ("cifar", 123_456_789)])
def test_the_widest_that_fits(name, stem, limit):
    genotype = Genotype.load(name)
    size = widest(genotype, PAPERS_SIZES[stem], limit)
    wider = dataclasses.replace(size, init_channels=size.init_channels + 1)
    assert network_cost(genotype, size).macs <= limit < network_cost(genotype, wider).macs
    assert dataclasses.replace(size, init_channels=0) == dataclasses.replace(PAPERS_SIZES[stem], init_channels=0)
    check_within(genotype, size, limit)
    with pytest.raises(ConfigurationError, match="more than the --macs_limit"):
        check_within(genotype, wider, limit)


@pytest.mark.parametrize(("stem", "side"), [("cifar", 16), ("imagenet", 64)])
def test_an_odd_number_of_channels_is_counted_as_the_network_has_it(stem, side):
    model = DartsNetwork(CELL_A, 7, init_channels=5, layers=4, stem=stem)
    model.build((None, side, side, 3))
    counted = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert network_cost(CELL_A, NetworkSize(5, 4, side, 3, 7, stem)).params == counted


def test_no_width_fits():
    with pytest.raises(ConfigurationError, match="with 2 channels the network has 3.16 M multiply-adds already"):
        widest(CELL_A, PAPERS_SIZES["cifar"], 1e6)


def test_a_genotype_with_widths_of_its_own():
    with pytest.raises(ConfigurationError, match="says its own widths"):
        widest(MOBILE.uniform_genotype(0), NetworkSize(), 1e9)


def profile(capsys, *flags: str) -> object:
    assert COMMAND.execute(main, ["profile", *flags, "--format=json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_published_cells_at_imagenets_size(capsys):
    """The paper states 4.8 M parameters and 541 M multiply-adds for cell B."""
    found = {row["genotype"]: row for row in profile(capsys, "--network=imagenet", "--genotype=published")}
    assert len(found) >= 13 and all(row["is_within_limit"] for row in found.values())
    assert found["FairDARTS_b"]["network"] == dataclasses.asdict(NetworkSize(48, 14, 224, 3, 1000, "imagenet"))
    assert round(found["FairDARTS_b"]["macs"] / 1e6) == 541 and 4.8e6 <= found["FairDARTS_b"]["params"] < 4.9e6


def test_profile_as_wide_as_fits(capsys):
    flags = ["--network=imagenet", "--genotype=FairDARTS_a", "--init_channels=auto", "--nolatency"]
    found = profile(capsys, *flags)
    assert found["macs"] == network_cost(CELL_A, widest(CELL_A, PAPERS_SIZES["imagenet"], MOBILE_LIMIT)).macs
    assert profile(capsys, *flags, "--macs_limit=300M")["network"]["init_channels"] < found["network"]["init_channels"]
    assert COMMAND.execute(main, ["profile", *flags[:2], "--nolatency", "--macs_limit=300M"]) == 0
    assert "94.7 M over the limit of 300 M" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "flags", "words"),
    [
        (COMMAND, ["--genotype=FairDARTS_a", "--init_channels=auto"], "--macs_limit, as 600M"),
        (COMMAND, ["--genotype=FairDARTS_a", "--init_channels=wide"], "init_channels"),
        (COMMAND, ["--genotype=FairDARTS_a", "--macs_limit=much"], "--macs_limit is 'much'"),
        (COMMAND, ["--genotype=FairDARTS_a,FairDARTS_z"], "Did you mean"),
        (TRAIN, ["--genotype=FairDARTS_a", "--init_channels=auto"], "--macs_limit, as 600M"),
        (TRAIN, ["--genotype=FairDARTS_a", "--macs_limit=-1"], "--macs_limit is '-1'"),
        (TRAIN, ["--genotype=FairDARTS_a", "--init_channels=1"], "--init_channels is 1"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, command, flags, words):
    function, place = (train, [f"--workdir={tmp_path / 'run'}"]) if command is TRAIN else (main, [])
    assert command.execute(function, [command.name, *flags, *place]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_a_training_above_the_limit_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ConfigurationError, match="more than the --macs_limit of 1.00 k"):
        run_training(tiny_settings(tmp_path, macs_limit="1k"), tmp_path / "run")
    assert not (tmp_path / "run" / "flags.txt").exists()


def test_a_training_as_wide_as_fits_and_goes_on(tmp_path, capsys):
    flags = tiny_flags(tmp_path, init_channels="auto", macs_limit="40k", steps_per_epoch=1, epochs=1)
    assert main_train(*flags) == 0
    network = load_found_network(tmp_path / "run").network
    size = widest(GENOTYPE, NetworkSize(layers=3, image_size=8, image_channels=1), 40e3)
    assert network.init_channels == size.init_channels > 2
    assert f"{size.init_channels} channels, 3 cells, images of 8" in capsys.readouterr().err
    assert main_train(*flags) == 0
    assert "--init_channels=0" in (tmp_path / "run" / "flags.txt").read_text().splitlines()
