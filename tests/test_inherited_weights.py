"""A found network that inherits its supernet's weights computes what the supernet computes."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tiny_search import tiny_settings

from fairdarts_tf.alphas import edge_endpoints
from fairdarts_tf.errors import GenotypeError, RunError
from fairdarts_tf.found_network import read_weights
from fairdarts_tf.genotypes import Genotype, GenotypeItem
from fairdarts_tf.inherited_weights import inherit_weights, load_inherited_network, load_supernet
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.search_run import run_search
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.spaces.darts_supernet import DartsSupernet

CLASSES = 3
SHAPE = (8, 8, 3)
OPERATIONS = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "conv_7x1_1x7")
# Cells 1 and 3 of 5 reduce: the last reads one of each kind. The normal cell lacks node 3, the reduction cell node 4.
SPACE = DartsSpace(OPERATIONS, nodes=3, init_channels=2, layers=5)
KEPT = {
    "normal": {
        ("sep_conv_3x3", 2, 0): 0.7,
        ("skip_connect", 2, 1): 1.0,
        ("dil_conv_3x3", 4, 2): 0.4,
        ("sep_conv_3x3", 4, 2): 0.5,
    },
    "reduce": {
        ("dil_conv_3x3", 2, 0): 0.6,
        ("skip_connect", 2, 1): 0.8,
        ("skip_connect", 3, 2): 1.0,
        ("conv_7x1_1x7", 3, 1): 0.9,
    },
}
GENOTYPE = Genotype(
    normal=tuple(GenotypeItem(*item) for item in KEPT["normal"]),
    normal_concat=(2, 4),
    reduce=tuple(GenotypeItem(*item) for item in KEPT["reduce"]),
    reduce_concat=(2, 3),
)


def alphas_of(kept: dict[tuple[str, int, int], float], relaxation: str) -> np.ndarray:
    """Returns a table whose mixing weights are those of the kept operations, and 0 for all others but ``none``."""
    weights = np.zeros((SPACE.edges, len(OPERATIONS)))
    for (op, to, source), weight in kept.items():
        weights[edge_endpoints(SPACE.nodes).index((to, source)), OPERATIONS.index(op)] = weight
    if relaxation == "softmax":
        weights[:, 0] = 1 - weights.sum(axis=1)
    with np.errstate(divide="ignore"):
        odds = np.log(weights) if relaxation == "softmax" else np.log(weights / (1 - weights))
    return np.clip(odds, -1000, 1000)


def supernet_of(relaxation: str, dtype: str) -> DartsSupernet:
    """Returns a supernet with random weights and running statistics, and with the mixing weights above."""
    supernet = SPACE.supernet(SHAPE, CLASSES, relaxation=relaxation, dtype=dtype)
    generator = np.random.default_rng(0)
    for variable in supernet.variables:
        if variable.path.endswith(("moving_variance", "gamma")):
            variable.assign(generator.uniform(0.5, 2.0, variable.shape))
        elif variable.path.endswith(("moving_mean", "beta")):
            variable.assign(generator.normal(size=variable.shape))
    for kind, table in supernet.alphas.items():
        table.assign(alphas_of(KEPT[kind], relaxation))
    return supernet


def network_of(dtype: str = "float32", **sizes: object) -> DartsNetwork:
    sizes = {"init_channels": SPACE.init_channels, "layers": SPACE.layers, "num_classes": CLASSES} | sizes
    channels = sizes.pop("channels", SHAPE[-1])
    network = DartsNetwork(sizes.pop("genotype", GENOTYPE), dtype=dtype, **sizes)
    # The least that the stem of ImageNet takes: no weight's shape depends on it.
    network.build((None, 32, 32, channels))
    return network


@pytest.fixture(scope="module")
def supernet() -> DartsSupernet:
    return supernet_of("sigmoid", "float32")


@pytest.mark.parametrize(("relaxation", "dtype"), [("softmax", "float64"), ("sigmoid", "float32")])
def test_computes_what_the_supernet_computes(relaxation, dtype):
    supernet, network = supernet_of(relaxation, dtype), network_of(dtype)
    images = np.random.default_rng(1).normal(size=(4, *SHAPE)).astype(dtype)
    expected = np.array(supernet(images, training=False))
    assert not np.allclose(network(images, training=False), expected, rtol=1e-2)
    inherit_weights(network, supernet)
    error = np.abs(network(images, training=False) - expected).max() / np.abs(expected).max()
    assert error <= (1e-6 if dtype == "float64" else 1e-5)


def test_earlier_scales_and_offsets_are_forgotten(supernet):
    fresh, trained = network_of(), network_of()
    for variable in trained.variables:
        variable.assign(np.full(variable.shape, 0.3))
    inherit_weights(fresh, supernet)
    inherit_weights(trained, supernet)
    expected, found = read_weights(fresh), read_weights(trained)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_mixing_weights_that_have_no_counterpart_are_lost(supernet):
    genotype = Genotype(
        normal=(GenotypeItem("max_pool_3x3", 2, 0), GenotypeItem("skip_connect", 2, 1)),
        normal_concat=(2,),
        reduce=(GenotypeItem("avg_pool_3x3", 2, 0), GenotypeItem("sep_conv_3x3", 2, 1)),
        reduce_concat=(2,),
    )
    space = DartsSpace(("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3"), 1, 2, 5)
    network = network_of(genotype=genotype)
    inherit_weights(network, space.supernet(SHAPE, CLASSES))
    assert [len(layer.variables) for layer in network.cells[0].operations] == [0, 0]
    np.testing.assert_array_equal(network.cells[1].operations[1].normalization_2.gamma, np.full((1, 4), 0.5))
    np.testing.assert_array_equal(network.cells[1].operations[1].normalization_1.gamma, np.ones((1, 4)))


def test_an_auxiliary_head_keeps_its_weights(supernet):
    network = network_of(auxiliary=True)
    before = [variable.numpy() for variable in network.auxiliary_head.variables]
    inherit_weights(network, supernet)
    after = [variable.numpy() for variable in network.auxiliary_head.variables]
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"init_channels": 4}, "--init_channels=2 --layers=5"),
        ({"layers": 4}, "--init_channels=2 --layers=5"),
        ({"num_classes": 5}, "5 classes apart"),
        ({"channels": 1}, "1 channels for the network"),
        ({"stem": "imagenet"}, "--network=cifar"),
        ({"genotype": Genotype.load("FairDARTS_a")}, "which the supernet"),
    ],
)
def test_contradictions_are_refused_and_change_nothing(supernet, sizes, message):
    network = network_of(**sizes)
    before = read_weights(network)
    with pytest.raises(RunError, match=message):
        inherit_weights(network, supernet)
    after = read_weights(network)
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_another_stem_is_refused():
    space = DartsSpace(("skip_connect",), nodes=1, init_channels=2, layers=5, stem_multiplier=1)
    with pytest.raises(RunError, match="--stem_multiplier=3"):
        inherit_weights(network_of(), space.supernet(SHAPE, CLASSES))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("search") / "run"
    return workdir, run_search(tiny_settings(epochs=1), workdir)


def test_a_search_gives_its_supernet_back(searched):
    workdir, result = searched
    supernet, settings = load_supernet(workdir)
    assert settings == tiny_settings(epochs=1)
    for found, expected in zip(supernet.variables, result.search.supernet.variables, strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_a_search_gives_its_network_with_all_that_its_use_needs(searched):
    workdir, result = searched
    found = load_inherited_network(workdir)
    expected = network_of(genotype=result.genotype, num_classes=10, layers=3, channels=1)
    inherit_weights(expected, result.search.supernet)
    for name, value in read_weights(expected).items():
        np.testing.assert_array_equal(read_weights(found.network)[name], value)
    assert found.network.genotype == result.genotype
    assert (found.class_names, found.image_shape) == (tuple("0123456789"), (8, 8, 1))
    assert found.mean.shape == found.std.shape == (1,)
    assert found.dataset == "digits"


def test_a_search_that_derived_nothing_says_what_to_do(searched, tmp_path):
    shutil.copytree(searched[0], tmp_path / "run")
    (tmp_path / "run" / "genotype.json").unlink()
    with pytest.raises(GenotypeError, match="is a search whose --method derives no genotype.*--method=darts"):
        load_inherited_network(tmp_path / "run")


def test_directories_without_a_search_are_refused(searched, tmp_path):
    workdir, _ = searched
    with pytest.raises(RunError, match=r"no flags\.txt"):
        load_supernet(tmp_path)
    shutil.copy(workdir / "flags.txt", tmp_path)
    with pytest.raises(RunError, match="no checkpoint"):
        load_supernet(tmp_path)
    shutil.copytree(workdir / "checkpoints", tmp_path / "checkpoints")
    with pytest.raises(GenotypeError, match="Let the search finish"):
        load_inherited_network(tmp_path)
    flags = (tmp_path / "flags.txt").read_text()
    (tmp_path / "flags.txt").write_text(flags.replace("--layers=3", "--layers=4"))
    with pytest.raises(RunError, match="does not fit its"):
        load_supernet(tmp_path)
