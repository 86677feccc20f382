"""Random genotypes: what each of them is, and that all are equally likely."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotypes import CELL_KINDS, DARTS_OPERATIONS, FAIRDARTS_OPERATIONS, Genotype
from fairdarts_tf.random_genotypes import random_genotype

SEEDS = range(1500)


def chi_square(counts: Counter, outcomes: int) -> float:
    """Returns the statistic of a uniform distribution over so many outcomes; it is about ``outcomes - 1``."""
    expected = counts.total() / outcomes
    assert len(counts) <= outcomes
    return sum((count - expected) ** 2 / expected for count in counts.values()) + expected * (outcomes - len(counts))


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([1, 2]))
def test_each_node_has_so_many_different_inputs(seed, nodes, edges_per_node):
    genotype = random_genotype(seed, DARTS_OPERATIONS, nodes, edges_per_node)
    for kind in CELL_KINDS:
        assert genotype.concat(kind) == genotype.nodes(kind) == tuple(range(2, 2 + nodes))
        edges = [(item.to, item.source) for item in genotype.items(kind)]
        assert len(set(edges)) == len(edges)
        assert Counter(to for to, _ in edges) == dict.fromkeys(genotype.concat(kind), edges_per_node)
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert random_genotype(seed, DARTS_OPERATIONS, nodes, edges_per_node) == genotype


@given(st.integers(0, 2**32 - 1), st.integers(0, 8))
def test_the_normal_cell_has_as_many_skips_as_asked_for(seed, skips):
    genotype = random_genotype(seed, skips=skips)
    assert sum(item.op == "skip_connect" for item in genotype.normal) == skips


@pytest.mark.parametrize("kind", CELL_KINDS)
def test_inputs_and_operations_are_uniform(kind):
    cells = [random_genotype(seed).items(kind) for seed in SEEDS]
    for node, pairs in ((3, 3), (4, 6), (5, 10)):
        inputs = Counter(tuple(item.source for item in cell if item.to == node) for cell in cells)
        assert chi_square(inputs, pairs) < 30
    for place in range(8):
        assert chi_square(Counter(cell[place].op for cell in cells), len(FAIRDARTS_OPERATIONS)) < 25


def test_all_small_cells_are_equally_likely():
    operations = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")
    cells = Counter(random_genotype(seed, operations, nodes=2, edges_per_node=1).normal for seed in SEEDS)
    assert chi_square(cells, 2 * 3 * 3**2) < 100


def test_all_small_cells_with_one_skip_are_equally_likely():
    operations = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")
    cells = Counter(random_genotype(seed, operations, nodes=2, skips=1).normal for seed in SEEDS)
    assert chi_square(cells, 3 * 4 * 2**3) < 150


def test_a_seed_means_one_genotype_for_ever():
    assert random_genotype(0, skips=2).normal == (
        ("dil_conv_5x5", 2, 0),
        ("sep_conv_3x3", 2, 1),
        ("skip_connect", 3, 0),
        ("dil_conv_3x3", 3, 2),
        ("max_pool_3x3", 4, 0),
        ("skip_connect", 4, 1),
        ("max_pool_3x3", 5, 0),
        ("dil_conv_3x3", 5, 2),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"nodes": 0}, "nodes is 0"),
        ({"edges_per_node": 3}, "edges_per_node is 3"),
        ({"skips": 9}, "from 0 to 8"),
        ({"skips": -1}, "from 0 to 8"),
        ({"skips": 1, "operations": ("none", "sep_conv_3x3")}, "none of the operations"),
        ({"skips": 1, "operations": ("none", "skip_connect")}, "Add other operations"),
    ],
)
def test_what_no_cell_can_have_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        random_genotype(**{"seed": 0} | arguments)


@pytest.mark.parametrize("operations", [("none",), ("sep_conv_3x4",), ("skip_connect", "skip_connect")])
def test_operations_that_are_no_candidates_are_refused(operations):
    with pytest.raises(GenotypeError):
        random_genotype(0, operations)


def test_needs_no_tensorflow():
    program = "import sys, fairdarts_tf.random_genotypes; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
