"""The supernet of search space S1: sizes, alphas, saving, dtypes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_testing import check_layer

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import DARTS_OPERATIONS, FAIRDARTS_OPERATIONS
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.spaces.darts_supernet import DartsSupernet

FEW = ("none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3")


def images(shape: tuple[int, int, int] = (8, 8, 3), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, *shape))


def supernet(
    shape: tuple[int, int, int] = (8, 8, 3), num_classes: int = 10, relaxation: str = "sigmoid", **kwargs: object
) -> DartsSupernet:
    space = DartsSpace(**{"operations": FEW, "nodes": 2, "init_channels": 4, "layers": 3} | kwargs)
    return space.supernet(shape, num_classes, relaxation)


def count(weights: list[keras.Variable]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def expected_count(
    channels: int, layers: int, nodes: int = 4, num_classes: int = 10, image_channels: int = 3, none: bool = False
) -> int:
    """Counts convolutions, the stem's BatchNorm and the classifier of the space of the papers, with a pencil."""
    total = 9 * image_channels * 3 * channels + 2 * 3 * channels
    older = newer = 3 * channels
    edges = nodes * (nodes + 3) // 2
    for index in range(layers):
        if index in (layers // 3, 2 * layers // 3):
            channels *= 2
            # From the two inputs, skips are factorized reductions.
            total += 2 * nodes * channels**2
        total += (older + newer) * channels
        separable = sum(2 * (side * channels + channels**2) for side in (9, 25))
        dilated = sum(side * channels + channels**2 for side in (9, 25))
        total += edges * (separable + dilated)
        older, newer = newer, nodes * channels
    return total + newer * num_classes + num_classes


@pytest.mark.parametrize("layers", [3, 4, 5, 6, 8])
def test_reductions_double_the_channels_and_halve_the_image(layers):
    model = supernet(layers=layers, nodes=1, operations=("skip_connect",))
    first, second = layers // 3, 2 * layers // 3
    assert [cell.reduction for cell in model.cells] == [index in (first, second) for index in range(layers)]
    assert [cell.reduces_older for cell in model.cells] == [index - 1 in (first, second) for index in range(layers)]
    channels = [4 * 2 ** ((index >= first) + (index >= second)) for index in range(layers)]
    assert [cell.filters for cell in model.cells] == channels
    sizes = []
    older, newer = model.stem(images().astype("float32"))
    weights = model.mixing_weights()
    for cell in model.cells:
        older, newer = newer, cell(older, newer, weights["reduce" if cell.reduction else "normal"])
        sizes.append(newer.shape[1:])
    halvings = [(index >= first) + (index >= second) for index in range(layers)]
    assert sizes == [(8 // 2**n, 8 // 2**n, 4 * 2**n) for n in halvings]


@pytest.mark.parametrize(
    ("shape", "num_classes", "arguments"),
    [
        ((28, 28, 1), 10, {}),
        ((9, 7, 3), 2, {"nodes": 1}),
        ((4, 4, 4), 100, {"nodes": 3, "layers": 4}),
        ((8, 8, 3), 10, {"operations": ("max_pool_3x3", "sep_conv_5x5")}),
        ((8, 8, 3), 10, {"operations": DARTS_OPERATIONS, "nodes": 1}),
        ((8, 8, 3), 10, {"operations": ("conv_7x1_1x7", "sep_conv_7x7", "skip_connect"), "stem_multiplier": 1}),
    ],
    ids=["digits", "odd sides", "many classes", "no skip", "with none", "older operations"],
)
def test_of_other_sizes(shape, num_classes, arguments):
    model = supernet(shape, num_classes, **arguments)
    space = model.space
    assert {table.shape for table in model.alphas.values()} == {(space.edges, len(space.operations))}
    for training in (False, True):
        logits = model(images(shape).astype("float32"), training=training)
        assert logits.shape == (3, num_classes)
        assert np.isfinite(logits).all()
    assert model.compute_output_shape((None, *shape)) == (None, num_classes)


def test_alphas_start_at_zero():
    model = supernet()
    assert list(model.alphas) == ["normal", "reduce"]
    for kind, weights in model.mixing_weights().items():
        np.testing.assert_array_equal(model.alphas[kind], np.zeros((5, 4)))
        np.testing.assert_array_equal(weights, np.full((5, 4), 0.5))


def test_alphas_of_darts_start_near_zero_each_elsewhere():
    keras.utils.set_random_seed(1)
    model = DartsSupernet(10, nodes=4, init_channels=4, layers=3, operations=DARTS_OPERATIONS, alpha_noise=1e-3)
    model.build((None, 8, 8, 3))
    normal, reduce = (table.numpy() for table in model.alphas.values())
    for table in (normal, reduce):
        assert 0.7e-3 < table.std() < 1.3e-3
        assert abs(table.mean()) < 3e-4
    assert not np.isin(normal, reduce).any(), "both cells must not start alike"


@pytest.mark.parametrize(("relaxation", "total"), [("softmax", 1.0), ("sigmoid", None)])
def test_relaxation(relaxation, total):
    model = supernet(relaxation=relaxation)
    alphas = np.random.default_rng(0).normal(size=(5, 4))
    for table in model.alphas.values():
        table.assign(alphas)
    for weights in model.mixing_weights().values():
        if total is None:
            np.testing.assert_allclose(weights, 1 / (1 + np.exp(-alphas)), rtol=1e-6)
        else:
            np.testing.assert_allclose(np.sum(weights, axis=-1), np.ones(5), rtol=1e-6)
            np.testing.assert_allclose(weights, np.exp(alphas) / np.exp(alphas).sum(-1, keepdims=True), rtol=1e-5)


def test_network_weights_are_all_but_the_alphas():
    model = supernet()
    alphas = {table.path for table in model.alphas.values()}
    weights = {weight.path for weight in model.network_weights}
    assert len(alphas) == 2 and not alphas & weights
    assert alphas | weights == {weight.path for weight in model.trainable_weights}
    assert len(weights) == len(model.network_weights), "paths must not collide"
    statistics = {weight.name for weight in model.non_trainable_weights}
    assert statistics == {"moving_mean", "moving_variance"}


def test_each_table_serves_its_kind_of_cell():
    """With all mixing weights of one kind at 0, its cells pass nothing on: the logits forget the image."""
    model = supernet(layers=4)
    logits = {}
    for closed in ("normal", "reduce", None):
        for kind, table in model.alphas.items():
            table.assign(tf.fill(table.shape, -1e4 if kind == closed else 0.0))
        logits[closed] = [model(images(seed=seed).astype("float32")).numpy() for seed in range(2)]
    assert not np.allclose(*logits[None])
    np.testing.assert_array_equal(*logits["reduce"])
    np.testing.assert_array_equal(*logits["normal"])


def test_has_as_many_weights_as_the_papers():
    model = DartsSpace().supernet((32, 32, 3), 10)
    assert count(model.network_weights) == expected_count(16, 8) == 1_930_618
    assert count(list(model.alphas.values())) == 2 * 14 * 7


@pytest.mark.parametrize(("channels", "layers", "nodes"), [(4, 3, 2), (6, 5, 3)])
def test_has_as_many_weights_as_counted(channels, layers, nodes):
    space = DartsSpace(FAIRDARTS_OPERATIONS, nodes, channels, layers)
    model = space.supernet((8, 8, 1), 7)
    assert count(model.network_weights) == expected_count(channels, layers, nodes, 7, image_channels=1)


def test_image_too_small():
    with pytest.raises(ConfigurationError, match="3 x 8 pixels are too small"):
        supernet((3, 8, 3))


def test_is_a_proper_model(tmp_path):
    """Round trips, `.keras` included; logits, alphas and statistics at least float32; a gradient for every weight."""

    def create(**kwargs: object) -> DartsSupernet:
        return DartsSupernet(
            5, operations=FEW, nodes=1, init_channels=4, layers=3, stem_multiplier=2, relaxation="softmax", **kwargs
        )

    check_layer(create, (images(),), tmp_path)


def test_unknown_relaxation():
    with pytest.raises(ConfigurationError, match="Did you mean 'softmax'"):
        DartsSupernet(10, relaxation="softmx")


def test_five_nodes():
    supernet = DartsSpace(nodes=5, init_channels=2, layers=3).supernet((8, 8, 3), 7)
    assert supernet(np.zeros((2, 8, 8, 3), np.float32)).shape == (2, 7)
    assert {tuple(table.shape) for table in supernet.alphas.values()} == {(20, 7)}
