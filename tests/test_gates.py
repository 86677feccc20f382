"""Expectations over gates against the enumeration of all their patterns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.gates import any_on, count_distribution, drawn, expected_kept, odds

PROBABILITIES = (0.9, 0.2, 0.65, 0.4)


def patterns(probabilities):
    """Yields each pattern of gates with its probability."""
    for pattern in itertools.product((0, 1), repeat=len(probabilities)):
        yield (
            np.array(pattern),
            np.prod([p if on else 1 - p for p, on in zip(probabilities, pattern, strict=True)]),
        )


def tensor(values):
    return tf.constant(values, tf.float64)


def test_any_on_and_counts():
    by_count = np.zeros(len(PROBABILITIES) + 1)
    for pattern, probability in patterns(PROBABILITIES):
        by_count[pattern.sum()] += probability
    np.testing.assert_allclose(count_distribution(tensor(PROBABILITIES)), by_count, rtol=1e-12)
    assert float(any_on(tensor(PROBABILITIES))) == pytest.approx(1 - by_count[0])


def test_rows_are_independent():
    rows = tensor([PROBABILITIES, PROBABILITIES[::-1], (0, 0, 0, 0)])
    functions = (count_distribution, any_on, odds, lambda p: drawn(odds(p), 2), lambda p: expected_kept(p, odds(p), 2))
    for function in functions:
        for row, found in zip(rows, function(rows).numpy(), strict=True):
            np.testing.assert_allclose(found, function(row), rtol=1e-12)


def test_odds_of_a_sigmoid_are_the_exponential_of_its_alpha():
    alphas = np.array([-20.0, -1.0, 0.0, 3.0, 12.0])
    np.testing.assert_allclose(odds(tf.sigmoid(tensor(alphas))), np.exp(alphas), rtol=1e-9)
    np.testing.assert_allclose(odds(tensor([0.0, 1.0])), [1e-12, 1e12], rtol=1e-3)


@pytest.mark.parametrize("most", [1, 2])
def test_those_that_are_drawn_are_the_largest_after_gumbel_noise(most):
    """Against a million draws."""
    strengths = np.array([4.0, 0.5, 1.5, 2.0])
    noise = np.random.default_rng(0).gumbel(size=(1_000_000, 4))
    largest = np.argsort(-(np.log(strengths) + noise), axis=1)[:, :most]
    frequencies = [np.mean((largest == gate).any(axis=1)) for gate in range(4)]
    found = drawn(tensor(strengths), most).numpy()
    np.testing.assert_allclose(found, frequencies, atol=0.002)
    assert found.sum() == pytest.approx(most)


def test_all_are_drawn_where_there_is_room():
    np.testing.assert_array_equal(drawn(tensor((0.3, 0.1)), 2), (1, 1))


@pytest.mark.parametrize("most", [1, 2])
def test_what_is_kept_adds_up_to_the_expected_number(most):
    expected = sum(probability * min(most, pattern.sum()) for pattern, probability in patterns(PROBABILITIES))
    kept = expected_kept(tensor(PROBABILITIES), odds(tensor(PROBABILITIES)), most).numpy()
    assert kept.sum() == pytest.approx(expected)
    assert (kept >= 0).all() and (kept <= 1).all()
    assert (np.argsort(kept) == np.argsort(PROBABILITIES)).all()


def test_all_are_kept_where_there_is_room():
    for most, probabilities in ((None, PROBABILITIES), (2, PROBABILITIES[:2])):
        kept = expected_kept(tensor(probabilities), odds(tensor(probabilities)), most)
        np.testing.assert_array_equal(kept, probabilities)


@pytest.mark.parametrize("most", [1, 2])
def test_at_zeros_and_ones_what_is_on_is_kept(most):
    for pattern in itertools.product((0.0, 1.0), repeat=5):
        on = sum(pattern)
        expected = np.array(pattern) * (min(most, on) / on if on else 0)
        kept = expected_kept(tensor(pattern), odds(tensor(pattern)), most).numpy()
        np.testing.assert_allclose(kept, expected, atol=1e-20, rtol=0 if on <= most else 1e-12)


def test_the_order_of_operations_that_are_all_on_still_has_a_gradient():
    """Where probabilities are 1 to 4 digits, and those of a product with them have next to none."""
    alphas = tf.constant([9.5, 10.0, 9.0], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        probabilities = tf.sigmoid(alphas)
        kept = expected_kept(probabilities, odds(probabilities), 1)[0]
    softmax = np.exp([9.5, 10, 9]) / np.exp([9.5, 10, 9]).sum()
    expected = softmax[0] * (np.array([1, 0, 0]) - softmax)
    np.testing.assert_allclose(tape.gradient(kept, alphas), expected, rtol=1e-3)
