"""The zero-one loss by hand and by its derivative."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.derivation import derive
from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.losses import ZERO_ONE_LOSSES, no_zero_one, node_penalty, zero_one_l1, zero_one_l2, zero_one_loss
from fairdarts_tf.relaxations import relaxation


def tables(*values: list[list[float]]) -> list[tf.Tensor]:
    return [tf.constant(table, tf.float64) for table in values]


def slopes(loss: object, values: np.ndarray) -> np.ndarray:
    """Returns the derivative by alpha at each value of the sigmoid, for a table of one entry."""
    alphas = tf.constant(np.log(values / (1 - values)))
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        total = loss([relaxation("sigmoid").of_tensor(alphas)])
    return tape.gradient(total, alphas).numpy() * len(values)


def test_by_hand():
    weights = tables([[0.1, 0.9], [0.5, 0.7]])
    assert float(zero_one_l2(weights)) == pytest.approx(-(0.16 + 0.16 + 0.0 + 0.04) / 4)
    assert float(zero_one_l1(weights)) == pytest.approx(-(0.4 + 0.4 + 0.0 + 0.2) / 4)
    assert float(no_zero_one(weights)) == 0.0


@pytest.mark.parametrize(("loss", "least"), [(zero_one_l2, -1 / 4), (zero_one_l1, -1 / 2)])
def test_range(loss, least):
    assert float(loss(tables([[0.0, 1.0], [1.0, 1.0]], [[0.0, 0.0]]))) == least
    assert float(loss(tables([[0.5, 0.5]]))) == 0.0
    values = np.random.default_rng(0).random((5, 7))
    assert least < float(loss([tf.constant(values)])) < 0


@pytest.mark.parametrize(("loss", "slope"), [(zero_one_l2, -2 * 0.3), (zero_one_l1, -1.0)])
def test_all_tables_count_alike(loss, slope):
    """N is the number of entries of all tables, not a mean of each table's mean."""
    weights = [tf.fill([2, 3], tf.constant(0.8, tf.float64)), tf.fill([4, 1], tf.constant(0.8, tf.float64))]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        total = loss(weights)
    for gradient in tape.gradient(total, weights):
        np.testing.assert_allclose(gradient, np.full(gradient.shape, slope / 10))


def test_of_the_papers_two_tables():
    weights = [tf.fill([14, 7], 1.0), tf.fill([14, 7], 0.5)]
    assert float(zero_one_l2(weights)) == pytest.approx(-0.25 * 98 / 196)


def test_slope_of_l2_vanishes_at_half_and_peaks_beside_it():
    assert slopes(zero_one_l2, np.array([0.5]))[0] == 0.0
    values = np.linspace(0.001, 0.999, 9981)
    slope = slopes(zero_one_l2, values)
    np.testing.assert_allclose(slope, -2 * (values - 0.5) * values * (1 - values), atol=1e-12)
    assert abs(values[np.argmax(np.abs(slope))] - 0.5) == pytest.approx(math.sqrt(1 / 12), abs=2e-4)
    assert abs(values[np.argmax(np.abs(slope))] - 0.5) == pytest.approx(0.289, abs=5e-4)


def test_slope_of_l1_is_largest_at_half():
    values = np.linspace(0.001, 0.999, 1000)
    slope = slopes(zero_one_l1, values)
    np.testing.assert_allclose(slope, -np.sign(values - 0.5) * values * (1 - values), atol=1e-12)
    assert abs(values[np.argmax(np.abs(slope))] - 0.5) < 1e-3
    assert np.abs(slope).max() == pytest.approx(0.25, abs=1e-5)


@pytest.mark.parametrize("loss", [zero_one_l2, zero_one_l1])
def test_descent_leads_away_from_half(loss):
    below, above = slopes(loss, np.array([0.4, 0.6]))
    assert below > 0 > above


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ZERO_ONE_LOSSES)
def test_keeps_the_dtype(name, dtype):
    total = zero_one_loss(name)([tf.fill([2, 2], tf.constant(0.3, dtype))])
    assert total.dtype == dtype
    assert total.shape == ()


def test_takes_any_iterable():
    assert float(zero_one_l2(iter(tables([[1.0]], [[1.0]])))) == -0.25
    assert float(zero_one_l2({"normal": tf.ones([1, 1])}.values())) == -0.25


def test_unknown_loss():
    assert zero_one_loss("l1") is zero_one_l1
    with pytest.raises(ConfigurationError, match="Did you mean 'none'"):
        zero_one_loss("non")


def test_settings_offer_every_loss():
    from fairdarts_tf.settings_values import ZERO_ONE_NAMES

    assert set(ZERO_ONE_NAMES) == set(ZERO_ONE_LOSSES)


def test_the_node_penalty_by_hand():
    """Node 2 of the first cell falls short by 0.15 and its node 3 by nothing; `none` is no input."""
    first = [[0.99, 0.2, 0.1], [0.9, 0.7, 0.3], [0.1, 0.2, 0.3], [0.1, 0.85, 0.3], [0.1, 0.0, 0.0]]
    weights = {"normal": tf.constant(first), "reduce": tf.fill([5, 3], 0.5)}
    with tf.GradientTape() as tape:
        tape.watch(weights)
        found = node_penalty(weights, threshold=0.85, candidates=[1, 2])
    assert float(found) == pytest.approx((0.15 + 0.0 + 0.35 + 0.35) / 4)
    slope = tape.gradient(found, weights)["normal"].numpy()
    expected = np.zeros((5, 3))
    expected[1, 1] = -1 / 4
    np.testing.assert_allclose(slope, expected, atol=1e-7)


def test_the_node_penalty_vanishes_where_every_node_is_derived():
    random = np.random.default_rng(0)
    operations = ("none", "skip_connect", "sep_conv_3x3")
    outcomes = set()
    for _ in range(200):
        table = random.uniform(0.4, 1.0, (5, 3))
        penalty = float(node_penalty({"normal": tf.constant(table)}, threshold=0.85, candidates=[1, 2]))
        try:
            nodes = derive({"normal": table, "reduce": np.ones((5, 3))}, operations).nodes("normal")
        except GenotypeError:
            nodes = ()
        outcomes.add(nodes)
        assert penalty > 0 or nodes == (2, 3)
        # A node may also be missing as what it reads from is missing.
        assert penalty == 0 or nodes != (2, 3)
    assert (2, 3) in outcomes and len(outcomes) > 1
