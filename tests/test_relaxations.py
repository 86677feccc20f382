"""Relaxations: both forms of each formula."""

from __future__ import annotations

import numpy as np
import pytest

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.relaxations import RELAXATIONS, relaxation

ALPHAS = np.array([[0.0, np.log(3.0), -np.log(3.0)]])
VALUES = {"sigmoid": [[0.5, 0.75, 0.25]], "softmax": np.array([[3, 9, 1]]) / 13}


@pytest.mark.parametrize("name", VALUES)
def test_arrays(name):
    values = RELAXATIONS[name].of_array(ALPHAS.astype(np.float32))
    np.testing.assert_allclose(values, VALUES[name], rtol=1e-7)
    assert values.dtype == np.float64


@pytest.mark.parametrize("name", VALUES)
def test_tensors(name):
    np.testing.assert_allclose(RELAXATIONS[name].of_tensor(ALPHAS), VALUES[name], rtol=1e-12)


@pytest.mark.parametrize("name", VALUES)
def test_large_alphas_do_not_overflow(name):
    with np.errstate(over="raise", invalid="raise"):
        values = RELAXATIONS[name].of_array(np.array([[1e4, -1e4, 0.0]]))
    assert values[0, 0] == 1 and values[0, 1] == 0


def test_every_relaxation_is_tested():
    assert set(RELAXATIONS) == set(VALUES)


def test_unknown_relaxation():
    with pytest.raises(ConfigurationError, match="Did you mean 'softmax'"):
        relaxation("softmx")
