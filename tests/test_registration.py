"""Operations, relaxations and spaces of one's own: what they compute, cost and keep, and which are refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

import fairdarts_tf as fd
from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.inherited_weights import inherit_weights
from fairdarts_tf.layer_operation import LayerOperation
from fairdarts_tf.network import DartsNetwork
from tests.registered import forgotten
from tests.tiny_search import without_pictures

SPACE_FIELDS = {"operations": ("skip_connect", "conv_3x3"), "nodes": 1, "init_channels": 4, "layers": 3}


def plain(channels: int, stride: int) -> keras.layers.Layer:
    return keras.layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)


def blurred(channels: int, stride: int) -> keras.layers.Layer:
    """Two layers within one, with a BatchNorm that has a state of its own."""
    first = keras.layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)
    return keras.Sequential([first, keras.layers.BatchNormalization()])


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with forgotten():
        fd.register_operation("conv_3x3", plain)
        fd.register_operation("blur_conv", blurred)
        yield


def genotype() -> fd.Genotype:
    return fd.Genotype(
        normal=[("conv_3x3", 2, 0), ("blur_conv", 2, 1)],
        normal_concat=[2],
        reduce=[("conv_3x3", 2, 0), ("blur_conv", 2, 1)],
        reduce_concat=[2],
    )


def test_a_mixed_operation_is_the_weighted_sum_of_normalised_layers():
    keras.utils.set_random_seed(0)
    mixed = fd.MixedOp(("conv_3x3", "skip_connect"), edges=2)
    mixed.build((None, None, None, 3))
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype(np.float32)
    weights = np.array([[0.7, 0.2], [0.4, 0.9]], np.float32)
    found = mixed(x, weights=weights, training=True)
    for edge, layer in enumerate(mixed.candidates[0].edge_layers):
        padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
        kernel = np.array(layer.kernel, np.float64)
        y = sum(padded[:, i : i + 6, j : j + 6] @ kernel[i, j] for i in range(3) for j in range(3))
        y = (y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + 1e-5)
        np.testing.assert_allclose(found[edge], weights[edge, 0] * y + weights[edge, 1] * x, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_names_of_variables_do_not_depend_on_what_was_made_before(stride: int):
    def names() -> list[str]:
        layer = LayerOperation("blur_conv", edges=2, stride=stride, name="blur_conv")
        layer.build((None, None, None, 4))
        return [variable.path for variable in layer.variables]

    first = names()
    keras.layers.DepthwiseConv2D(3)
    keras.layers.BatchNormalization()
    assert names() == first
    assert len(set(first)) == len(first)


@pytest.mark.slow
def test_a_search_with_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_pictures(monkeypatch)
    space = fd.DartsSpace(("skip_connect", "blur_conv"), nodes=1, init_channels=2, layers=3)
    settings = {"batch_size": 50, "steps_per_epoch": 1, "epochs": 2, "checkpoint_steps": 1}

    class StoppedError(Exception):
        pass

    def stop(so_far: fd.SearchResult) -> None:
        if len(so_far.history.rows) == 1:
            raise StoppedError

    with pytest.raises(StoppedError):
        fd.search("digits", space, workdir=tmp_path / "stopped", on_epoch=stop, **settings)
    keras.layers.BatchNormalization()
    resumed = fd.search("digits", space, workdir=tmp_path / "stopped", on_epoch=stop, **settings)
    whole = fd.search("digits", space, workdir=tmp_path / "whole", on_epoch=lambda _: None, **settings)
    for kind, table in whole.alphas.items():
        np.testing.assert_array_equal(table, resumed.alphas[kind])


def test_its_cost_is_what_a_network_of_it_has():
    network = DartsNetwork(genotype(), num_classes=10, init_channels=4, layers=3)
    network.build((None, 8, 8, 3))
    learned = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    size = fd.costs.NetworkSize(init_channels=4, layers=3, image_size=8)
    cost = fd.network_cost(genotype(), size)
    assert cost.params == learned
    # Two reductions and a normal cell on 4 x 4, 2 x 2 and 2 x 2 pixels: each a 3x3 convolution and a depthwise one.
    only_skips = fd.Genotype(
        normal=[("skip_connect", 2, 0)], normal_concat=[2], reduce=[("max_pool_3x3", 2, 0)], reduce_concat=[2]
    )
    places = [(8, 4), (16, 2)] if network.reductions == (1, 2) else None
    assert places, network.reductions
    of_cells = [(4, 8), *places]
    expected = sum((9 * c * c + 9 * c) * side * side for c, side in of_cells)
    assert cost.macs - fd.network_cost(only_skips, size).macs == expected


def test_a_given_cost_is_taken():
    fd.register_operation("free_conv", plain, cost=lambda channels, side, stride: fd.Cost(channels, side * stride))
    found = fd.costs.OPERATION_COSTS["free_conv"](3, 8, 2)
    assert found == fd.Cost(3, 16)


def test_a_network_inherits_the_layers_of_the_supernet():
    space = fd.DartsSpace(("conv_3x3", "blur_conv"), nodes=1, init_channels=4, layers=3)
    supernet = space.supernet((8, 8, 3), num_classes=10)
    network = DartsNetwork(genotype(), num_classes=10, init_channels=4, layers=3)
    network.build((None, 8, 8, 3))
    inherit_weights(network, supernet)
    for found, searched in zip(network.cells, supernet.cells, strict=True):
        plain_layer, blur_layer = found.operations
        of_edge_0, of_edge_1 = searched.mixed_ops[0].candidates[0], searched.mixed_ops[1].candidates[1]
        np.testing.assert_array_equal(plain_layer.edge_layers[0].kernel, of_edge_0.edge_layers[0].kernel)
        for inherited, own in zip(blur_layer.edge_layers[0].weights, of_edge_1.edge_layers[0].weights, strict=True):
            np.testing.assert_array_equal(inherited, own)
        np.testing.assert_allclose(plain_layer.normalization.gamma, np.full((1, found.filters), 0.5))


def test_a_network_with_it_is_saved_and_loaded(tmp_path: Path):
    digits = fd.load_dataset("digits")
    network = genotype().build(digits, init_channels=4, layers=3)
    network.save(tmp_path / "own.keras")
    keras.layers.DepthwiseConv2D(3)
    loaded = keras.saving.load_model(tmp_path / "own.keras")
    np.testing.assert_array_equal(loaded(digits.images[:5]), network(digits.images[:5]))


def test_mixed_precision_reaches_the_layers():
    layer = LayerOperation("conv_3x3", dtype=keras.DTypePolicy("mixed_bfloat16"))
    layer.build((None, None, None, 4))
    assert layer.edge_layers[0].compute_dtype == "bfloat16" and keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    "make",
    [
        lambda channels, stride: keras.layers.Conv2D(channels + 1, 3, stride, padding="same"),
        lambda channels, stride: keras.layers.Conv2D(channels, 3, stride),
        lambda channels, stride: keras.layers.Conv2D(channels, 3, padding="same"),
    ],
    ids=["channels", "padding", "stride"],
)
def test_a_layer_that_makes_another_shape_is_refused(make):
    fd.register_operation("odd", make)
    with pytest.raises(ConfigurationError, match="but must make"):
        LayerOperation("odd", stride=2).build((None, None, None, 4))


@pytest.mark.parametrize("name", ["conv_3x3", "sep_conv_3x3", "none"])
def test_a_name_that_is_taken_is_refused(name: str):
    with pytest.raises(ConfigurationError, match="there is an operation .* already"):
        fd.register_operation(name, plain)


@pytest.mark.parametrize("name", ["", "Conv", "a,b", "a b", "1x1", "x" * 41, 3])
def test_a_name_that_no_file_could_keep_is_refused(name: object):
    with pytest.raises(ConfigurationError, match="lower-case"):
        fd.register_operation(name, plain)


@pytest.mark.parametrize("arguments", [(3,), (plain, 3)])
def test_what_makes_no_layer_or_cost_is_refused(arguments: tuple[object, ...]):
    with forgotten(), pytest.raises(ConfigurationError, match="'other' needs a function"):
        fd.register_operation("other", *arguments)


def test_what_is_not_registered_is_unknown():
    with forgotten(), pytest.raises(GenotypeError, match="unknown operation 'other'"):
        fd.Genotype(normal=[("other", 2, 0)], normal_concat=[2], reduce=[("other", 2, 0)], reduce_concat=[2])
    with pytest.raises(ConfigurationError, match="unknown operation of one's own"):
        LayerOperation("other")


def test_relaxations_that_cannot_be_are_refused():
    with pytest.raises(ConfigurationError, match="there is a relaxation 'sigmoid' already"):
        fd.register_relaxation("sigmoid", object())
    with pytest.raises(ConfigurationError, match="no method of_tensor"):
        fd.register_relaxation("other", object())


def test_spaces_that_cannot_be_are_refused():
    @dataclasses.dataclass(frozen=True)
    class WithField(fd.DartsSpace):
        name = "with_field"
        depth: int = 3

    with pytest.raises(ConfigurationError, match="'depth', which is no setting"):
        fd.register_space(WithField)
    with pytest.raises(ConfigurationError, match="there is a search space 'darts' already"):
        fd.register_space(type("Nameless", (fd.DartsSpace,), {}))
    with pytest.raises(ConfigurationError, match="subclass"):
        fd.register_space(Search)
