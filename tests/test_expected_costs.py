"""The expected cost of a network against the cost of what is derived, and against differences of itself."""

from __future__ import annotations

import functools
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_search import tiny_settings

from fairdarts_tf.alphas import edge_endpoints
from fairdarts_tf.cost_aim import cost_aim
from fairdarts_tf.costs import NetworkSize, network_cost
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotypes import Genotype, GenotypeItem
from fairdarts_tf.history import History
from fairdarts_tf.prices import MACS, PARAMS, Price, network_price
from fairdarts_tf.relaxations import RELAXATIONS
from fairdarts_tf.search_run import build_search
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.spaces.mobile import MobileSpace

S1 = DartsSpace()
SMALL_S1 = DartsSpace(("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3"), nodes=3)
S2 = MobileSpace(mobile_widths=(8, 12), mobile_depths=(3, 2), mobile_strides=(1, 2), mobile_stem_stride=1)
PAPERS, SMALL, MOBILE = NetworkSize(), NetworkSize(6, 5, 64, 3, 7, "imagenet"), NetworkSize(image_size=24)

# Stands for a table of latencies: a number for each shape, and nothing in common with counts.
SHAPES = Price("latency", lambda part: 0.0 if part.shape is None else zlib.crc32(str(part.shape).encode()) % 1000 / 7)
METHODS = {"threshold_sparse": 2, "threshold_edge": None, "darts": 2}
"""How many edges a method keeps of each node."""


def one_hot_cells(space: DartsSpace, method: str, seed: int) -> dict[str, np.ndarray]:
    """Returns tables of zeros and ones of which the method keeps all ones, any number of them that it may keep."""
    random = np.random.default_rng(seed)
    columns = [column for column, name in enumerate(space.operations) if name != "none"]
    endpoints = edge_endpoints(space.nodes)
    tables = {}
    for kind, shape in space.alpha_shapes.items():
        tables[kind] = np.zeros(shape)
        for node in range(2, 2 + space.nodes):
            edges = [edge for edge, (to, _) in enumerate(endpoints) if to == node]
            most = METHODS[method] or len(edges)
            count = most if method == "darts" else random.integers(0, most + 1)
            for edge in random.choice(edges, count, replace=False):
                several = random.integers(1, 3) if method == "threshold_edge" else 1
                tables[kind][edge, random.choice(columns, several, replace=False)] = 1
    return tables


function_of = functools.cache(lambda space, *arguments: space.expected_cost(*arguments))


def expected(space, size, price, method, weights, relaxation="sigmoid") -> float:
    function = function_of(space, size, price, method, relaxation)
    return float(function({kind: tf.constant(table) for kind, table in weights.items()}))


@pytest.mark.parametrize("price", [MACS, PARAMS, SHAPES], ids=["macs", "params", "latency"])
@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), small=st.booleans(), relaxation=st.sampled_from(sorted(RELAXATIONS)))
def test_at_one_hot_alphas_it_is_the_cost_of_the_derived_cells(price, method, seed, small, relaxation):
    space, size = (SMALL_S1, SMALL) if small else (S1, PAPERS)
    weights = one_hot_cells(space, method, seed)
    try:
        genotype = space.derive(weights, method=method)
    except GenotypeError:
        return  # A cell without inputs is none.
    assert sum(map(len, (genotype.normal, genotype.reduce))) <= sum(int(table.sum()) for table in weights.values())
    found, true = expected(space, size, price, method, weights, relaxation), network_price(genotype, size, price)
    if price is SHAPES:
        assert found == pytest.approx(true, rel=1e-12)
    else:
        assert found == true
        assert true == getattr(network_cost(genotype, size), price.name)


@pytest.mark.parametrize("relaxation", sorted(RELAXATIONS))
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_at_one_hot_alphas_it_is_the_cost_of_the_derived_layers(relaxation, seed):
    random = np.random.default_rng(seed)
    in_play = S2.in_play["layers"]
    table = np.zeros(in_play.shape)
    for row, exists in zip(table, in_play, strict=True):
        row[random.choice(np.flatnonzero(exists))] = 1
    genotype = S2.derive({"layers": table})
    for price in (MACS, PARAMS, SHAPES):
        found = expected(S2, MOBILE, price, "threshold_sparse", {"layers": table}, relaxation)
        known = network_price(genotype, MOBILE, price)
        assert found == (pytest.approx(known, rel=1e-14) if price is SHAPES else known)


def test_with_the_softmax_a_layer_costs_the_mean_by_its_weights():
    """The layers' operations priced by hand: only the sum is the library's."""
    alphas = np.random.default_rng(0).normal(size=S2.alpha_shapes["layers"])
    weights = RELAXATIONS["softmax"].of_array(alphas, S2.in_play["layers"])
    one_by_one = np.zeros_like(weights)
    first = S2.in_play["layers"].argmax(axis=1)
    for row, column in np.argwhere(S2.in_play["layers"]):
        columns = np.where(np.arange(len(first)) == row, column, first)
        genotype = S2.derive({"layers": np.eye(weights.shape[1])[columns]})
        one_by_one[row, column] = network_cost(genotype, MOBILE).macs
    base = one_by_one[0, first[0]]
    mean = base + np.sum(weights * np.where(S2.in_play["layers"], one_by_one - base, 0))
    found = expected(S2, MOBILE, MACS, "threshold_sparse", {"layers": weights}, "softmax")
    assert found == pytest.approx(mean, rel=1e-12)
    assert expected(S2, MOBILE, MACS, "threshold_sparse", {"layers": weights}) != pytest.approx(mean, rel=1e-3)


def test_alphas_give_either_relaxation_the_same_choice_within_a_layer():
    """exp(alpha), up to a factor: of the sigmoid's odds, and of the softmax' shares."""
    alphas = np.random.default_rng(0).normal(size=S2.alpha_shapes["layers"])
    costs = []
    for name in ("sigmoid", "softmax"):
        weights = {"layers": RELAXATIONS[name].of_array(alphas, S2.in_play["layers"])}
        costs.append(expected(S2, MOBILE, MACS, "threshold_sparse", weights, name))
    assert costs[0] == pytest.approx(costs[1], rel=1e-9)


def test_where_more_is_on_than_kept_it_is_the_mean_over_the_choices():
    """Node 2 has two edges, each with both its operations on: of each edge either is kept."""
    space, size = DartsSpace(("sep_conv_3x3", "max_pool_3x3"), nodes=1), NetworkSize(4, 3, 16)
    ones = {kind: np.ones((2, 2)) for kind in space.kinds}

    def cost(*operations: str) -> float:
        items = tuple(GenotypeItem(name, 2, source) for source, name in enumerate(operations))
        return network_cost(Genotype(normal=items, normal_concat=(2,), reduce=items, reduce_concat=(2,)), size).macs

    choices = [cost(one, other) for one in space.operations for other in space.operations]
    assert expected(space, size, MACS, "threshold_sparse", ones) == pytest.approx(np.mean(choices))


@pytest.mark.parametrize(
    ("space", "size", "method"),
    [(SMALL_S1, SMALL, method) for method in METHODS] + [(S2, MOBILE, "threshold_sparse")],
    ids=lambda value: getattr(value, "name", str(value)),
)
@pytest.mark.parametrize("relaxation", sorted(RELAXATIONS))
def test_gradient(space, size, method, relaxation):
    """Against central differences, at mixing weights in between."""
    random = np.random.default_rng(0)
    weights = {kind: random.uniform(0.05, 0.95, shape) for kind, shape in space.alpha_shapes.items()}
    weights = {kind: table * space.in_play.get(kind, True) for kind, table in weights.items()}
    function = space.expected_cost(size, SHAPES, method, relaxation)
    tensors = {kind: tf.constant(table) for kind, table in weights.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        cost = function(tensors)
    gradients = tape.gradient(cost, tensors)
    for kind, table in weights.items():
        direction = random.normal(size=table.shape) * (table > 0)
        ahead, behind = (
            float(function(tensors | {kind: tf.constant(table + sign * 1e-6 * direction)})) for sign in (1, -1)
        )
        assert np.sum(gradients[kind].numpy() * direction) == pytest.approx((ahead - behind) / 2e-6, rel=1e-5)


@pytest.mark.parametrize(("space", "size"), [(S1, PAPERS), (S2, MOBILE)], ids=["cells", "layers"])
@pytest.mark.parametrize("method", ["threshold_sparse", "darts"])
def test_extreme_genotypes_bound_all_others(space, size, method):
    random = np.random.default_rng(0)
    cheapest, dearest = space.extreme_genotypes(size, MACS, method)
    least, most = (network_cost(genotype, size).macs for genotype in (cheapest, dearest))
    for _ in range(20):
        weights = {kind: random.uniform(0.8, 1, shape) for kind, shape in space.alpha_shapes.items()}
        assert least < network_cost(space.derive(weights, method=method), size).macs < most


def test_every_part_of_a_derived_network_is_among_the_spaces():
    random = np.random.default_rng(0)
    for space, size in ((S1, SMALL), (S2, MOBILE)):
        known = {part.shape for part in space.cost_parts(size)}
        for _ in range(5):
            weights = {kind: random.uniform(0.7, 1, shape) for kind, shape in space.alpha_shapes.items()}
            parts = space.network_parts(space.derive(weights), size)
            assert {part.shape for part in parts if part.place != "auxiliary_head"} <= known | {None}


# ----- in a search


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"cost": "macs"}, "--cost_target, as 300M"),
        ({"cost": "mac", "cost_target": "3M"}, "Did you mean 'macs'"),
        ({"cost": "macs", "cost_target": "3ms"}, "--cost_target is '3ms'"),
        ({"cost": "latency", "cost_target": "3M", "latency_table": "x"}, "number of ms"),
        ({"cost": "latency", "cost_target": "3ms"}, "bin/measure_latency"),
        ({"cost_network": "imagnet"}, "imagenet"),
        ({"cost_channels": 1}, "--cost_channels is 1"),
        ({"space": "mobile", "cost_channels": 48}, "--cost_channels=48 is not of --space=mobile"),
        ({"space": "mobile", "cost_network": "imagenet"}, "--cost_network=imagenet is not of --space=mobile"),
    ],
)
def test_settings_that_do_not_fit(flags, words):
    with pytest.raises(ConfigurationError, match=words):
        SearchSettings(**flags)


def test_a_target_that_no_network_can_meet():
    asked = SearchSettings(cost="macs", cost_target="20M")
    with pytest.raises(ConfigurationError, match=r"cost from 68\.0 M to 818 M \(macs\) at 36 channels, 20 cells"):
        cost_aim(asked, (32, 32, 3), 10)


@pytest.mark.parametrize(
    ("space", "named"),
    [("darts", "--cost_channels, --cost_layers, --cost_network, --cost_image_size"), ("mobile", "--cost_image_size")],
)
def test_such_a_target_names_the_flags_of_its_space_alone(space, named):
    asked = SearchSettings(space=space, cost="macs", cost_target="1", cost_image_size=64)
    with pytest.raises(ConfigurationError, match=rf"another size \({named}\)"):
        cost_aim(asked, (64, 64, 3), 10)


@pytest.mark.parametrize(
    ("flags", "least"), [({"cost_network": "imagenet"}, 32), ({"space": "mobile"}, 32), ({"space": "darts"}, 4)]
)
def test_images_that_are_too_small_for_the_network_whose_cost_is_meant(flags, least):
    asked = SearchSettings(cost="macs", cost_target="1", cost_image_size=least - 1, **flags)
    with pytest.raises(ConfigurationError, match=f"until {least} pixels are one, but they have {least - 1}"):
        cost_aim(asked, (64, 64, 3), 10)


def test_the_size_is_the_found_networks_not_the_supernets():
    asked = SearchSettings(cost="macs", cost_target="400M", cost_network="imagenet", cost_channels=48, cost_layers=14)
    aim = cost_aim(SearchSettings(**vars(asked) | {"cost_image_size": 224, "cost_classes": 1000}), (32, 32, 3), 10)
    assert aim.size == NetworkSize(48, 14, 224, 3, 1000, "imagenet")
    alphas = {"normal": np.zeros((14, 7)), "reduce": np.zeros((14, 7))}
    for kind, items in (
        ("normal", Genotype.load("FairDARTS_b").normal),
        ("reduce", Genotype.load("FairDARTS_b").reduce),
    ):
        for item in items:
            alphas[kind][edge_endpoints(4).index((item.to, item.source)), S1.operations.index(item.op)] = 1
    # The paper's number.
    assert round(aim.row(alphas, None)["expected_cost"] / 1e6) == 541


def test_a_search_descends_to_its_target_from_either_side():
    """With nothing else that the alphas descend but the cross-entropy, which sees one batch of noise."""
    options = {"zero_one": "none", "alpha_learning_rate": 0.2, "alpha_beta_1": 0.0, "method": "threshold_sparse"}
    options |= {"cost": "macs", "cost_target": "40k", "cost_weight": 50.0, "cost_channels": 4, "cost_layers": 3}
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(50, 8, 8, 1)), random.integers(0, 10, 50)
    batch = tf.constant(images, tf.float32), tf.constant(labels, tf.int32)
    model = build_search(tiny_settings(**options), (8, 8, 1), 10)[0]
    for target in ("40k", "28k"):
        aim = cost_aim(tiny_settings(**options | {"cost_target": target}), (8, 8, 1), 10)
        for table in model.supernet.alphas.values():
            table.assign(tf.zeros_like(table))
        model.penalties["cost_penalty"] = (50.0, aim.penalty)
        before = aim.row(model.mixing_weights(), None)["expected_cost"]
        for _ in range(10):
            model.alpha_optimizer.apply(model.alpha_gradients(batch), list(model.supernet.alphas.values()))
        after = aim.row(model.mixing_weights(), None)["expected_cost"]
        assert abs(after / aim.target - 1) < 0.2 * abs(before / aim.target - 1), (before, after)
    assert float(model.get_metrics_result()["cost_penalty"]) > 0


def test_the_history_has_what_is_expected_and_what_is_derived():
    history = History()
    aim = cost_aim(SearchSettings(cost="params", cost_target="2M"), (32, 32, 3), 10)
    genotype = Genotype.load("FairDARTS_a")
    row = aim.row({kind: np.full((14, 7), 0.5) for kind in ("normal", "reduce")}, genotype)
    history.append({"epoch": 1} | row, {"normal": np.zeros((14, 7)), "reduce": np.zeros((14, 7))})
    assert history.rows[0]["derived_cost"] == network_cost(genotype).params
    assert "expected_cost,derived_cost" in history.csv().splitlines()[0]
