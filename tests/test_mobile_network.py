"""Supernet and found network of search space S2: layers, shapes, gradients, memory modes, inherited weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_testing import check_layer
from tiny_mobile import FIELDS, IMAGE, OPERATIONS, SMALLEST, SPACE, one_hot_alphas

from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.bottlenecks import ConvolutionUnit, InvertedBottleneck
from fairdarts_tf.costs import NetworkSize, network_cost
from fairdarts_tf.curvature import AlphaHessian
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.inherited_weights import inherit_weights
from fairdarts_tf.losses import zero_one_l2
from fairdarts_tf.mixed_layer import MixedLayer
from fairdarts_tf.mobile_network import FoundLayer, MobileNetwork
from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam
from fairdarts_tf.perturbations import SearchPerturbations
from fairdarts_tf.separable_chain import fixed_kernels
from fairdarts_tf.spaces.mobile import MobileSpace
from fairdarts_tf.spaces.mobile_supernet import MobileSupernet
from fairdarts_tf.spaces.network_options import NetworkOptions
from fairdarts_tf.unrolled_search import UnrolledSearch

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(6, *IMAGE)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])
COLUMNS = [1, 4, 3, 0]
IN_PLAY = SMALLEST.in_play["layers"]


def network_of(genotype, image_shape=IMAGE, **kwargs) -> MobileNetwork:
    network = SPACE.network(genotype, 3, NetworkOptions(), name="network", **kwargs)
    network.build((None, *image_shape))
    return network


@pytest.mark.parametrize(
    ("create", "shape"),
    [
        (lambda **policy: ConvolutionUnit(5, 3, 2, **policy), (2, 5, 6, 3)),
        (lambda **policy: ConvolutionUnit(None, 5, **policy), (2, 6, 6, 3)),
        (lambda **policy: InvertedBottleneck(4, 5, 3, 2, **policy), (2, 6, 6, 3)),
        (lambda **policy: InvertedBottleneck(3, 3, 1, affine=False, **policy), (2, 6, 6, 3)),
        (lambda **policy: FoundLayer(3, 3, 2, 1, **policy), (2, 6, 6, 4)),
    ],
)
def test_layers(create, shape, tmp_path):
    check_layer(create, (RANDOM.normal(size=shape),), tmp_path)


def test_bottleneck_is_the_plain_composition():
    layer = InvertedBottleneck(3, 5, 2, affine=False, dtype="float64")
    x = RANDOM.normal(size=(4, 6, 6, 3))
    layer.build(x.shape)
    found = layer(x, scale=tf.constant(0.3, "float64"), training=True).numpy()

    def norm(x):
        return (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-3)

    wide = np.clip(norm(x @ layer.expand.kernel.numpy()[0, 0]), 0, 6)
    padded = np.pad(wide, ((0, 0), (2, 2), (2, 2), (0, 0)))
    kernel = layer.depthwise.kernel.numpy()[..., 0]
    filtered = sum(padded[:, i : i + 6, j : j + 6] * kernel[i, j] for i in range(5) for j in range(5))
    expected = 0.3 * norm(np.clip(norm(filtered), 0, 6) @ layer.project.kernel.numpy()[0, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("channels", "stride"), [(3, 1), (3, 2), (4, 1)])
def test_mixed_layer_is_the_weighted_sum_of_its_operations(channels, stride, tmp_path):
    layer = MixedLayer(OPERATIONS, 4, stride, dtype="float64")
    x, weights = RANDOM.normal(size=(3, 6, 6, channels)), RANDOM.random(5)
    layer.build(x.shape)
    expected = 0.0
    for name, candidate, weight in zip(OPERATIONS, layer.candidates, weights, strict=True):
        if name != "skip_connect":
            residual = x if channels == 4 else 0.0
            expected = expected + weight * (candidate(x).numpy() + residual)
        elif channels == 4:
            expected = expected + weight * x
    np.testing.assert_allclose(layer(x, weights), expected, rtol=1e-10, atol=1e-12)
    again = MixedLayer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and again.compute_output_shape(x.shape) == layer(x, weights).shape


def test_supernet_has_one_table_and_the_papers_shapes():
    supernet = MobileSpace().supernet((32, 32, 3), 10, name="supernet")
    assert supernet.alphas["layers"].shape == (21, 7)
    assert [len([c for c in layer.candidates if c.built]) for layer in supernet.choice_layers].count(7) == 15
    widths = [layer.candidates[0].project.kernel.shape[-1] for layer in supernet.choice_layers]
    assert widths == [32] * 4 + [40] * 4 + [80] * 4 + [96] * 4 + [192] * 4 + [320]
    assert supernet.head.kernel.shape == (1, 1, 320, 1280) and supernet.stem.kernel.shape == (3, 3, 3, 32)
    assert supernet.first_block.expand is None and supernet.first_block.project.kernel.shape == (1, 1, 32, 16)
    assert all(unit.normalization.epsilon == 1e-3 for unit in (supernet.stem, supernet.head))


def test_keras_counts_the_parameters_that_the_genotype_says():
    for seed in range(2):
        genotype = MobileSpace().derive({"layers": np.random.default_rng(seed).random((21, 7))})
        network = MobileSpace.network(genotype, 1000, NetworkOptions(), name="network")
        network.build((None, 64, 64, 3))
        cost = network_cost(genotype, NetworkSize(image_size=64, num_classes=1000))
        assert sum(np.prod(variable.shape) for variable in network.trainable_variables) == cost.params


@pytest.mark.parametrize("sampled_paths", [0, 2])
def test_one_hot_supernet_is_the_derived_network_with_inherited_weights(sampled_paths):
    keras.utils.set_random_seed(1)
    supernet = SPACE.supernet(IMAGE, 3, name="supernet", sampled_paths=sampled_paths)
    for _ in range(3):
        supernet(IMAGES, training=True)
    supernet.alphas["layers"].assign(one_hot_alphas(COLUMNS)["layers"])
    genotype = SPACE.derive({kind: np.array(table) for kind, table in supernet.mixing_weights().items()})
    assert [item.op for item in genotype.items()] == [OPERATIONS[column] for column in COLUMNS]
    network = network_of(genotype)
    inherit_weights(network, supernet)
    assert len(network.found_layers) == 3
    np.testing.assert_allclose(network(IMAGES), supernet(IMAGES), rtol=1e-5, atol=1e-6)


def test_inheriting_refuses_what_does_not_fit():
    supernet = SPACE.supernet(IMAGE, 3, name="supernet")
    genotype = SPACE.derive({"layers": np.eye(5)[COLUMNS]})
    wide = MobileSpace(**FIELDS | {"mobile_widths": (4, 8)}).derive({"layers": np.eye(5)[COLUMNS]})
    with pytest.raises(RunError, match="other widths, depths or strides"):
        inherit_weights(network_of(wide), supernet)
    with pytest.raises(RunError, match="2 channels for the network, but 1"):
        inherit_weights(network_of(genotype), SPACE.supernet((8, 8, 1), 3, name="supernet"))
    with pytest.raises(ConfigurationError, match="--auxiliary_weight=0"):
        SPACE.network(genotype, 3, NetworkOptions(auxiliary=True))


def test_network_and_supernet_are_rebuilt_from_their_configurations(tmp_path):
    network = network_of(SPACE.derive({"layers": np.eye(5)[COLUMNS]}))
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert again.genotype == network.genotype
    np.testing.assert_array_equal(again(IMAGES), network(IMAGES))
    supernet = SPACE.supernet(IMAGE, 3, name="supernet", rematerialize=True, alpha_noise=0.1)
    copy = MobileSupernet.from_config(supernet.get_config())
    assert copy.get_config() == supernet.get_config()
    assert not supernet.alphas["layers"].numpy()[~SPACE.in_play["layers"]].any()
    assert supernet.alphas["layers"].numpy()[SPACE.in_play["layers"]].all()


def test_drop_path_leaves_out_the_bottleneck_beside_a_residual_connection():
    network = network_of(SPACE.derive({"layers": np.eye(5)[[0, 0, 0, 0]]}))
    network.set_drop_path_rate(0.999999)
    before = network.found_layers[0](network.first_block(network.stem(IMAGES)), training=True)
    np.testing.assert_array_equal(network.found_layers[1](before, training=True), before)
    assert len(network.training_variables) == 4


def search_of(accumulate: int = 1, kind: type[Search] = Search, **options: object) -> Search:
    keras.utils.set_random_seed(2)
    supernet = SMALLEST.supernet(IMAGE, 3, name="supernet", **options)
    supernet.alphas["layers"].assign(np.where(IN_PLAY, np.linspace(-1, 1, 6).reshape(2, 3), 0))
    search = kind(supernet, name="search")
    search.compile(MomentumSGD(0.1), ReferenceAdam(0.1), zero_one_weight=10.0, accumulate=accumulate)
    return search


@tf.function(autograph=False)
def gradients_of(search: Search, images: tf.Tensor, labels: tf.Tensor):
    return search.alpha_gradients((images, labels)), search.weight_gradients((images, labels))


def statistics_of(search: Search) -> list[np.ndarray]:
    return [variable.numpy() for variable in search.supernet.non_trainable_variables]


def test_what_is_not_in_play_has_no_gradient_and_no_part_in_the_zero_one_loss():
    search = search_of()
    (of_alphas,) = search.alpha_gradients((IMAGES, LABELS))
    assert not of_alphas.numpy()[~IN_PLAY].any() and of_alphas.numpy()[IN_PLAY].all()
    weights = search.mixing_weights()["layers"]
    assert IN_PLAY.sum() == 5 and not weights[~IN_PLAY].any()
    shown = float(search._means["zero_one"].result())
    assert shown == pytest.approx(float(zero_one_l2([tf.constant(weights[IN_PLAY])])), rel=1e-6)
    before = search.supernet.alphas["layers"].numpy()
    search.alpha_optimizer.apply([of_alphas], list(search.supernet.alphas.values()))
    moved = search.supernet.alphas["layers"].numpy() != before
    assert np.array_equal(moved, IN_PLAY)


@pytest.fixture(scope="module")
def plain_and_again() -> list[Search]:
    return [search_of(), search_of(rematerialize=True)]


def test_rematerialisation_changes_neither_gradients_nor_running_statistics(plain_and_again):
    plain, again = plain_and_again
    outputs = [gradients_of(search, IMAGES, LABELS) for search in (plain, again)]
    for one, other in zip(tf.nest.flatten(outputs[0]), tf.nest.flatten(outputs[1]), strict=True):
        scale = max(float(tf.reduce_max(tf.abs(one))), 1e-3)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * scale)
    for one, other in zip(statistics_of(plain), statistics_of(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    # Two passes in training mode move them twice, not four times.
    mean = again.supernet.stem.normalization.moving_mean.numpy()
    layer = again.supernet.choice_layers[0].candidates[0].depthwise.normalization
    assert np.any(mean) and np.any(layer.moving_mean.numpy())


def graph_operations(search: Search) -> list[str]:
    graph = gradients_of.get_concrete_function(search, tf.constant(IMAGES), tf.constant(LABELS)).graph
    return [node.type for node in graph.get_operations()]


def test_rematerialisation_computes_the_layers_twice(plain_and_again):
    counts = [graph_operations(search).count("DepthwiseConv2dNative") for search in plain_and_again]
    # Of two passes: the fixed block, and in two layers two bottlenecks each, which are computed again.
    assert counts == [2 * (1 + 4), 2 * (1 + 2 * 4)]


def test_accumulation_is_the_mean_over_the_parts():
    whole, parts = search_of(), search_of(accumulate=3)
    found = gradients_of(parts, IMAGES, LABELS)
    expected = [gradients_of.python_function(whole, IMAGES[i : i + 2], LABELS[i : i + 2]) for i in (0, 2, 4)]
    for value, *terms in zip(tf.nest.flatten(found), *map(tf.nest.flatten, expected), strict=True):
        mean = sum(term.numpy() for term in terms) / 3
        np.testing.assert_allclose(value, mean, rtol=1e-4, atol=1e-6)
    for name in ("train_loss", "train_accuracy", "search_loss", "zero_one"):
        assert float(parts._means[name].result()) == pytest.approx(float(whole._means[name].result()), rel=1e-5)


def test_a_sampled_search_steps():
    search = search_of(sampled_paths=2)
    before = search.supernet.alphas["layers"].numpy()
    search.train_step(((IMAGES, LABELS), (IMAGES, LABELS)))
    assert np.isfinite(search.supernet.alphas["layers"].numpy()).all()
    assert np.any(search.supernet.alphas["layers"].numpy() != before)


@pytest.mark.parametrize("options", [{}, {"rematerialize": True}, {"sampled_paths": 2}])
def test_computes_in_lower_precision(options):
    supernet = SMALLEST.supernet(IMAGE, 3, name="supernet", dtype="mixed_bfloat16", **options)
    with tf.GradientTape() as tape, fixed_kernels():
        logits = supernet(IMAGES, training=True)
        loss = tf.reduce_sum(logits * RANDOM.normal(size=(6, 3)))
    assert logits.dtype == tf.float32 and supernet.alphas["layers"].dtype == "float32"
    gradient = tape.gradient(loss, supernet.alphas["layers"].value)
    assert gradient.dtype == tf.float32 and np.isfinite(gradient).all() and np.any(gradient)


def test_second_order_foresees_the_same_step_with_rematerialisation():
    """The virtual step and its differences run within a scope of their own, and rematerialisation within that."""
    found = []
    for rematerialize in (False, True):
        search = search_of(rematerialize=rematerialize, kind=UnrolledSearch)
        before = [variable.numpy() for variable in search.supernet.variables]
        batch = (tf.constant(IMAGES), tf.constant(LABELS))
        (gradient,) = search.unrolled_alpha_gradients(batch, batch)
        assert all(np.array_equal(v, w.numpy()) for v, w in zip(before, search.supernet.variables, strict=True))
        found.append(gradient.numpy())
    assert np.array_equal(found[0] != 0, IN_PLAY)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-2, atol=1e-4 * np.abs(found[0]).max())


@pytest.mark.slow
def test_curvature_in_the_alphas_is_that_of_the_plain_supernet():
    found = []
    for rematerialize in (False, True):
        hessian = AlphaHessian(search_of(rematerialize=rematerialize))
        found.append(hessian.largest_eigenvalue((tf.constant(IMAGES), tf.constant(LABELS))))
    assert np.isfinite(found[0]) and found[1] == pytest.approx(found[0], rel=1e-4)


def test_what_disturbs_operations_of_cells_disturbs_those_of_layers():
    """Dropout of everything leaves nothing of the skip; at rate 0 each leaves all as it was."""
    layer = MixedLayer(OPERATIONS, 2)
    x, weights = (
        tf.constant(RANDOM.normal(size=(3, 4, 4, 2)).astype(np.float32)),
        tf.constant([0.1, 0.2, 0.3, 0.4, 0.5]),
    )
    layer.build(x.shape)
    plain = layer(x, weights, training=True)
    for rule in ("skip_dropout", "operation_dropout", "skip_noise"):
        perturbations = SearchPerturbations(0, [rule])
        for strength in (0.0, 0.99):
            perturbations.set_strengths({rule: strength})
            disturbed = layer(x, weights, training=True, perturbation=perturbations.at(tf.constant(3), "train", x))
            again = layer(x, weights, training=True, perturbation=perturbations.at(tf.constant(3), "train", x))
            np.testing.assert_array_equal(disturbed, again)
            assert np.allclose(disturbed, plain, rtol=1e-5, atol=1e-5) == (strength == 0.0)
    parts = [perturbations.at(tf.constant(3), "train", x[i : i + 1], part=i, parts=3).draw for i in range(3)]
    whole = perturbations.at(tf.constant(3), "train", x).draw.normal([2])
    np.testing.assert_array_equal(np.concatenate([draw.normal([2]) for draw in parts]), whole)
