"""Genotypes that KerasTuner chooses: every choice is valid, and every published genotype can be chosen."""

from __future__ import annotations

import collections

import keras_tuner
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_mobile import SPACE as TINY_MOBILE

import fairdarts_tf as fd
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import DARTS_OPERATIONS, Genotype, published, published_names
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.spaces.mobile import MobileSpace
from fairdarts_tf.spaces.space import SearchSpace
from fairdarts_tf.tuning import genotype_space

SPACES = [DartsSpace(), DartsSpace(operations=DARTS_OPERATIONS, nodes=2), TINY_MOBILE, MobileSpace()]


def random_hyperparameters(space: SearchSpace, seed: int, max_skips: int | None) -> keras_tuner.HyperParameters:
    """Draws a trial as KerasTuner's random search does, of all that the space declares."""
    declared = keras_tuner.HyperParameters()
    genotype_space(declared, space, max_skips)
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective=keras_tuner.Objective("x", "max"), hyperparameters=declared, seed=seed
    )
    trial = declared.copy()
    trial.values = oracle.populate_space("0")["values"]
    return trial


@given(seed=st.integers(1, 2**31), which=st.integers(0, len(SPACES) - 1), max_skips=st.none() | st.integers(0, 3))
def test_every_choice_is_valid_and_within_the_limit(seed: int, which: int, max_skips: int | None):
    space = SPACES[which]
    hp = random_hyperparameters(space, seed, max_skips)
    asked = set(hp.values)
    genotype = genotype_space(hp, space, max_skips)
    assert set(hp.values) == asked, "all choices were declared before"
    assert type(genotype).from_json(genotype.to_json()) == genotype
    if max_skips is not None:
        assert genotype.skips(space.skip_kind) <= max_skips
    for kind in space.kinds:
        # What the space can name it can derive: a genotype of one-hot mixing weights is itself.
        values = {name: np.zeros(shape) for name, shape in space.alpha_shapes.items()}
        for name in space.kinds:
            values[name][tuple(zip(*space.chosen(genotype, name), strict=True))] = 1.0
        derived = space.derive(values, "threshold_sparse", 0.5)
        assert sorted(derived.items(kind)) == sorted(genotype.items(kind))
    if isinstance(genotype, Genotype):
        assert genotype == genotype.pruned()
        for kind in genotype.kinds:
            assert max(collections.Counter(item.to for item in genotype.items(kind)).values()) <= 2


@pytest.mark.parametrize("name", published_names())
def test_every_published_genotype_can_be_chosen(name: str):
    wanted = published(name).pruned()
    hp = keras_tuner.HyperParameters()
    for kind in wanted.kinds:
        for to in range(2, 6):
            items = sorted((item for item in wanted.items(kind) if item.to == to), key=lambda item: item.source)
            hp.values[f"{kind}/{to}/inputs"] = "+".join(str(item.source) for item in items) or "no"
            for place, item in enumerate(items, start=1):
                hp.values[f"{kind}/{to}/operation_{place}"] = item.op
    found = fd.tuning.genotype_space(hp)
    for kind in wanted.kinds:
        assert sorted(found.items(kind)) == sorted(wanted.items(kind))
        assert found.concat(kind) == wanted.concat(kind)


def test_every_choice_of_a_small_space_comes_up_and_no_other():
    """One node reading one or two of two states through one of two operations: 4 + 2 + 2 cells, 64 pairs of them."""
    space = DartsSpace(operations=("skip_connect", "sep_conv_3x3"), nodes=1)
    found = {genotype_space(random_hyperparameters(space, seed, None), space) for seed in range(1, 900)}
    assert len(found) == 64


def test_a_limit_that_leaves_no_operation():
    with pytest.raises(ConfigurationError, match="normal/2/operation_1 has no operation but 'skip_connect'"):
        genotype_space(keras_tuner.HyperParameters(), DartsSpace(operations=("skip_connect",)), max_skips=1)
