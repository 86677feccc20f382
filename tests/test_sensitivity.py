"""How much a genotype depends on epoch and seed: means, shares of agreement, the agreement as a number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.random_genotypes import random_genotype
from fairdarts_tf.sensitivity import (
    DerivationSettings,
    agreement,
    consensus,
    derive_each,
    format_rows,
    load_weights,
    over_epochs,
    row_shares,
)
from fairdarts_tf.spaces.darts import DartsSpace

OPERATIONS = ("skip_connect", "sep_conv_3x3")
SPACE = DartsSpace(OPERATIONS, nodes=2)
SETTINGS = DerivationSettings(SPACE, "sigmoid", "threshold_sparse", 0.5)
RANDOM = np.random.default_rng(0)
HISTORY = {kind: RANDOM.normal(size=(4, 5, 2)).astype(np.float32) for kind in ("normal", "reduce")}


def sigmoid(alphas: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-alphas.astype(np.float64)))


def averaging(last: int) -> DerivationSettings:
    return DerivationSettings(SPACE, "sigmoid", "threshold_sparse", 0.5, average_last=last)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    np.savez(tmp_path / "history.npz", epoch=np.arange(1, 5), **HISTORY)
    np.savez(tmp_path / "alphas.npz", **{kind: table[-1] for kind, table in HISTORY.items()})
    return tmp_path


def test_the_mean_of_the_last_epochs_is_that_of_their_mixing_weights(run):
    for last, epochs in ((1, slice(3, 4)), (3, slice(1, 4)), (9, slice(0, 4))):
        found = load_weights(run, averaging(last))
        for kind, table in HISTORY.items():
            np.testing.assert_allclose(found[kind], sigmoid(table[epochs]).mean(axis=0), rtol=1e-14)
    found = load_weights(run, averaging(2), epoch=3)
    np.testing.assert_allclose(found["normal"], sigmoid(HISTORY["normal"][1:3]).mean(axis=0), rtol=1e-14)


def test_one_epoch_has_no_mean(run):
    with pytest.raises(ConfigurationError, match=r"history\.npz"):
        load_weights(run / "alphas.npz", averaging(2))
    assert load_weights(run / "history.npz", averaging(2)).keys() == {"normal", "reduce"}


def test_the_consensus_is_the_mean_of_runs():
    runs = [{kind: sigmoid(table[epoch]) for kind, table in HISTORY.items()} for epoch in range(3)]
    found = consensus(runs)
    np.testing.assert_allclose(found["reduce"], sigmoid(HISTORY["reduce"][:3]).mean(axis=0), rtol=1e-14)
    with pytest.raises(GenotypeError, match=r"\(2, 2\) and \(5, 2\)"):
        consensus([runs[0], {kind: table[:2] for kind, table in runs[1].items()}])


def cells(*items: tuple[str, int, int]) -> Genotype:
    reduce = (("sep_conv_3x3", 2, 0),)
    return Genotype(normal=items, normal_concat=(2,), reduce=reduce, reduce_concat=(2,))


def test_agreement_by_hand():
    one = cells(("skip_connect", 2, 0), ("sep_conv_3x3", 2, 1))
    other = cells(("skip_connect", 2, 0), ("skip_connect", 2, 1))
    found = agreement([one, other])
    assert found == {"normal": pytest.approx(1 / 3), "reduce": 1.0, "both": pytest.approx(2 / 4)}
    assert agreement([one, one, None])["both"] == pytest.approx(1 / 3)
    with pytest.raises(ConfigurationError, match="at least two"):
        agreement([one])


@given(st.lists(st.integers(0, 50), min_size=2, max_size=5))
def test_agreement_is_1_for_equal_genotypes_alone_and_knows_no_order(seeds):
    genotypes = [random_genotype(seed) for seed in seeds]
    found = agreement(genotypes)
    assert all(0 <= value <= 1 for value in found.values())
    assert (found["both"] == 1) == (len(set(genotypes)) == 1)
    assert agreement(genotypes[::-1])["both"] == pytest.approx(found["both"])


def test_shares_of_edges_by_hand():
    one = cells(("skip_connect", 2, 0), ("sep_conv_3x3", 2, 1))
    other = cells(("skip_connect", 2, 0))
    rows = row_shares(one, [one, other, other, None], DartsSpace(OPERATIONS, nodes=1))
    assert [(row.cell, row.place, row.operations, row.share) for row in rows] == [
        ("normal", "0>2", ("skip_connect",), 0.75),
        ("normal", "1>2", ("sep_conv_3x3",), 0.25),
        ("reduce", "0>2", ("sep_conv_3x3",), 0.75),
        ("reduce", "1>2", (), 0.75),
    ]
    assert len(format_rows(rows, "4 epochs", "edge").splitlines()) == 5


def test_genotypes_over_epochs():
    """An epoch's genotype is the one that the search derived then, from the mean up to that epoch."""
    settings = averaging(2)
    found = over_epochs(HISTORY, settings, last=3)
    assert len(found) == 3 and len(over_epochs(HISTORY, settings, last=10)) == 4
    means = [
        {kind: sigmoid(table[max(end - 2, 0) : end]).mean(axis=0) for kind, table in HISTORY.items()}
        for end in (2, 3, 4)
    ]
    assert found == derive_each(means, settings)
    strict = DerivationSettings(SPACE, "sigmoid", "threshold_sparse", 1.0)
    assert over_epochs(HISTORY, strict, last=2) == [None, None]
