"""Expectations over gates against the enumeration of all their patterns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.gates import any_on, count_distribution, drawn_pair, expected_kept, shares

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
    for function in (count_distribution, any_on, shares, drawn_pair, lambda p: expected_kept(p, 2)):
        together = function(rows).numpy()
        for row, found in zip(rows, together, strict=True):
            np.testing.assert_allclose(found, function(row), rtol=1e-12)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_what_is_kept_adds_up_to_the_expected_number(most):
    expected = sum(probability * min(most, pattern.sum()) for pattern, probability in patterns(PROBABILITIES))
    kept = expected_kept(tensor(PROBABILITIES), most).numpy()
    assert kept.sum() == pytest.approx(expected)
    np.testing.assert_allclose(kept / kept.sum(), np.array(PROBABILITIES) / sum(PROBABILITIES), rtol=1e-12)
    assert (kept <= PROBABILITIES).all()


def test_all_are_kept_where_there_is_room():
    for most in (None, 4, 9):
        np.testing.assert_array_equal(expected_kept(tensor(PROBABILITIES), most), PROBABILITIES)


def test_at_zeros_and_ones_what_is_on_is_kept_exactly():
    for pattern in itertools.product((0.0, 1.0), repeat=5):
        for most in (1, 2, 3):
            on = sum(pattern)
            expected = np.array(pattern) * (min(most, on) / on if on else 0)
            np.testing.assert_allclose(expected_kept(tensor(pattern), most), expected, rtol=1e-15)


def test_a_pair_is_drawn_in_turn():
    strengths = np.array(PROBABILITIES)
    expected = np.zeros(4)
    for first, second in itertools.permutations(range(4), 2):
        rest = strengths.sum() - strengths[first]
        expected[[first, second]] += strengths[first] / strengths.sum() * strengths[second] / rest
    found = drawn_pair(tensor(PROBABILITIES)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.sum() == pytest.approx(2)
    np.testing.assert_array_equal(drawn_pair(tensor((0, 1, 0, 1, 0))), (0, 1, 0, 1, 0))
    np.testing.assert_array_equal(drawn_pair(tensor((0.3, 0.1))), (1, 1))
