"""Parameters and multiply-adds against published counts and against the network itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairdarts_tf.costs import NetworkSize, network_cost, network_parts
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import Genotype, GenotypeItem
from fairdarts_tf.network import DartsNetwork

SEVENS = Genotype(
    normal=(GenotypeItem("sep_conv_7x7", 2, 0), GenotypeItem("conv_7x1_1x7", 2, 1)),
    normal_concat=(2,),
    reduce=(GenotypeItem("conv_7x1_1x7", 2, 0), GenotypeItem("skip_connect", 3, 1)),
    reduce_concat=(2, 3),
)


def test_published_cells_on_cifar(shared):
    facts = json.loads((shared / "facts" / "genotypes.json").read_text())
    counted = {name: fact["cifar_c36_l20"] for name, fact in facts.items() if "cifar_c36_l20" in fact}
    assert len(counted) >= 3
    for name, fact in counted.items():
        genotype = Genotype.load(name)
        cost = network_cost(genotype)
        assert cost.params == fact["params"]
        assert cost.macs == fact["macs_conv_and_linear"]
        assert network_cost(genotype, auxiliary_head=True).params == fact["params_with_auxiliary_head"]


@pytest.mark.parametrize(
    ("name", "millions"),
    [("FairDARTS_b", 536), ("FairDARTS_c", 400), ("FairDARTS_d", 532), ("FairDARTS_e", 414), ("FairDARTS_f", 497)]
    + [("FairDARTS_g", 453)],
)
def test_multiply_adds_of_the_paper(name, millions):
    """FairDARTS, table of its seven cells on CIFAR-10, to a million; cell A there has 373, by the authors' code 371."""
    assert abs(network_cost(Genotype.load(name)).macs / 1e6 - millions) < 1


def test_published_cell_on_imagenet():
    """The paper states 4.8 M parameters and 541 M multiply-adds for cell B."""
    cost = network_cost(Genotype.load("FairDARTS_b"), NetworkSize(48, 14, 224, 3, 1000, "imagenet"))
    assert round(cost.macs / 1e6) == 541
    assert 4.8e6 <= cost.params < 4.9e6


@pytest.mark.parametrize("genotype", [Genotype.load("FairDARTS_c"), Genotype.load("GDAS_V1"), SEVENS], ids=str)
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_parameters_equal_the_networks(genotype, stem):
    side = {"cifar": 64, "imagenet": 224}[stem]
    size = NetworkSize(4, 4, side, 1, 7, stem)
    model = DartsNetwork(genotype, 7, init_channels=4, layers=4, stem=stem, auxiliary=True)
    model.build((None, side, side, 1))
    counted = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert network_cost(genotype, size, auxiliary_head=True).params == counted


@pytest.mark.parametrize(("stem", "least"), [("cifar", 29), ("imagenet", 193)])
def test_images_that_are_too_small_have_no_auxiliary_head(stem, least):
    """The network refuses to build one for the same sides."""
    genotype = Genotype.load("FairDARTS_a")
    for side in (least - 1, least):
        model = DartsNetwork(genotype, 7, init_channels=2, layers=3, stem=stem, auxiliary=True)
        size = NetworkSize(2, 3, side, 3, 7, stem)
        if side == least:
            model.build((None, side, side, 3))
            assert network_parts(genotype, size)[-1].place == "auxiliary_head"
            continue
        with pytest.raises(ConfigurationError, match="auxiliary head"):
            model.build((None, side, side, 3))
        with pytest.raises(ConfigurationError, match="too small for an auxiliary head"):
            network_cost(genotype, size, auxiliary_head=True)
        assert all(part.place != "auxiliary_head" for part in network_parts(genotype, size))
        assert network_cost(genotype, size).params > 0


def test_parts_name_every_layer_once():
    parts = network_parts(Genotype.load("FairDARTS_a"), NetworkSize(layers=3))
    names = [(part.place, part.name) for part in parts]
    assert len(set(names)) == len(names)
    assert ("cell_0", "0>2 sep_conv_3x3") in names


def test_unknown_stem():
    with pytest.raises(ConfigurationError, match="Did you mean 'cifar'"):
        network_cost(SEVENS, NetworkSize(stem="cifer"))
