"""Search space S1: its sizes and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import DARTS_OPERATIONS
from fairdarts_tf.spaces import SPACES, search_space
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.spaces.reductions import reduction_cells


def test_defaults_are_the_papers():
    space = DartsSpace()
    assert space.operations == (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )
    assert (space.nodes, space.init_channels, space.layers, space.stem_multiplier) == (4, 16, 8, 3)
    assert space.edges == 14
    assert space.alpha_shapes == {"normal": (14, 7), "reduce": (14, 7)}
    assert space.reductions == (2, 5)


@pytest.mark.parametrize(("nodes", "edges"), [(1, 2), (2, 5), (3, 9), (4, 14), (5, 20)])
def test_edges(nodes, edges):
    space = DartsSpace(DARTS_OPERATIONS, nodes=nodes)
    assert space.edges == edges
    assert set(space.alpha_shapes.values()) == {(edges, 8)}


@pytest.mark.parametrize(("layers", "cells"), [(3, (1, 2)), (4, (1, 2)), (5, (1, 3)), (8, (2, 5)), (20, (6, 13))])
def test_reductions(layers, cells):
    assert DartsSpace(layers=layers).reductions == reduction_cells(layers) == cells


def test_operations_may_be_a_list():
    assert DartsSpace(["none", "skip_connect"]).operations == ("none", "skip_connect")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operations": ["sep_conv_3x"]}, "Did you mean 'sep_conv_3x3'"),
        ({"operations": ["skip_connect", "skip_connect"]}, "name each once"),
        ({"operations": []}, "none given"),
        ({"operations": ["none"]}, "at least one besides 'none'"),
        ({"nodes": 0}, "nodes must be at least 1, but is 0"),
        ({"init_channels": 1}, "init_channels must be at least 2, but is 1"),
        ({"layers": 2}, "layers must be at least 3, but is 2"),
        ({"stem_multiplier": 0}, "stem_multiplier must be at least 1, but is 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        DartsSpace(**arguments)


def test_image_too_small():
    DartsSpace().check_image_shape((4, 4, 3))
    for shape in ((3, 32, 3), (32, 3, 3)):
        with pytest.raises(ConfigurationError, match=f"{shape[0]} x {shape[1]} pixels are too small.*at least 4"):
            DartsSpace().check_image_shape(shape)
        with pytest.raises(ConfigurationError, match="too small"):
            DartsSpace().supernet(shape, 10)


def test_derives_a_genotype_of_its_operations():
    space = DartsSpace(("skip_connect", "sep_conv_3x3"), nodes=1)
    values = {"normal": np.array([[0.9, 0.1], [0.2, 0.95]]), "reduce": np.array([[0.1, 0.1], [0.99, 0.2]])}
    genotype = space.derive(values)
    assert set(genotype.normal) == {("skip_connect", 2, 0), ("sep_conv_3x3", 2, 1)}
    assert genotype.reduce == (("skip_connect", 2, 1),)
    assert set(space.derive(values, threshold=0.93).normal) == {("sep_conv_3x3", 2, 1)}


def test_spaces_by_name():
    assert search_space("darts") is DartsSpace
    for name in SPACES:
        assert search_space(name).name == name
    with pytest.raises(ConfigurationError, match="Did you mean 'darts'"):
        search_space("dart")


def test_a_space_can_be_named_without_tensorflow():
    code = (
        "import sys; from fairdarts_tf.spaces import search_space; search_space('darts')(); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
