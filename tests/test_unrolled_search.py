"""The second order of DARTS against exact differentiation through the virtual step, in float64."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.unrolled_search import DIFFERENCE, UnrolledSearch

SHAPE, CLASSES, IMAGES = (6, 6, 2), 3, 12
OPERATIONS = ("none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
RATE = 0.5
Batch = tuple[tf.Tensor, tf.Tensor]


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def batch(seed: int) -> Batch:
    random = np.random.default_rng(seed)
    return tf.constant(random.normal(size=(IMAGES, *SHAPE))), tf.constant(random.integers(0, CLASSES, IMAGES), tf.int32)


@pytest.fixture
def search() -> UnrolledSearch:
    """A tiny search in the middle of its way: with velocities, with alphas that are not all alike."""
    keras.utils.set_random_seed(0)
    space = DartsSpace(operations=OPERATIONS, nodes=1, init_channels=2, layers=3)
    search = UnrolledSearch(space.supernet(SHAPE, CLASSES, relaxation="softmax", dtype="float64"))
    search.compile(MomentumSGD(RATE, decay=0.01), ReferenceAdam(), zero_one="l2", zero_one_weight=2.0)
    random = np.random.default_rng(1)
    for table in search.supernet.alphas.values():
        table.assign(random.normal(size=table.shape))
    search.optimizer.apply(search.weight_gradients(batch(0)), search.supernet.network_weights)
    return search


def cross_entropy(search: UnrolledSearch, batch: Batch) -> tf.Tensor:
    logits = search.supernet(batch[0], training=True)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(batch[1], logits))


def exact_gradients(search: UnrolledSearch, training_batch: Batch, search_batch: Batch) -> tuple[np.ndarray, ...]:
    """Returns the gradient differentiated through the step, and its first term, which takes w' for a constant."""
    alphas, weights = list(search.supernet.alphas.values()), search.supernet.network_weights
    tables = [tf.convert_to_tensor(table) for table in alphas]
    values = [tf.convert_to_tensor(weight) for weight in weights]
    velocities = [tf.convert_to_tensor(velocity) for velocity in search.optimizer._velocities]
    found = []
    for through_the_step in (True, False):
        with tf.GradientTape() as outer:
            outer.watch(tables)
            with keras.StatelessScope(list(zip(alphas, tables, strict=True)) + list(zip(weights, values, strict=True))):
                with tf.GradientTape() as inner:
                    inner.watch(values)
                    loss = cross_entropy(search, training_batch)
                gradients = inner.gradient(loss, values)
            after = [
                value - RATE * (0.9 * velocity + gradient + 0.01 * value)
                for value, velocity, gradient in zip(values, velocities, gradients, strict=True)
            ]
            if not through_the_step:
                after = [tf.stop_gradient(value) for value in after]
            with keras.StatelessScope(list(zip(alphas, tables, strict=True)) + list(zip(weights, after, strict=True))):
                softmaxes = tf.concat([tf.nn.softmax(table) for table in tables], axis=0)
                loss = cross_entropy(search, search_batch) - 2.0 * tf.reduce_mean((softmaxes - 0.5) ** 2)
        found.append(flat(outer.gradient(loss, tables)))
    return tuple(found)


def flat(tensors: list[tf.Tensor]) -> np.ndarray:
    return np.concatenate([np.ravel(tensor) for tensor in tensors])


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def test_the_gradient_is_that_through_the_step(search: UnrolledSearch):
    exact, first_term = exact_gradients(search, batch(2), batch(3))
    second_term = exact - first_term
    assert distance(first_term, exact) > 0.05, "the second term must matter, or nothing is tested"
    search.difference = 1e-6
    found = flat(search.unrolled_alpha_gradients(batch(2), batch(3)))
    assert distance(found - first_term, second_term) < 1e-5


def test_the_difference_is_the_authors(search: UnrolledSearch):
    """Their procedure in plain steps, which moves the weights forth and back: the change of all has the norm 0.01."""
    alphas, weights = list(search.supernet.alphas.values()), search.supernet.network_weights
    found = flat(search.unrolled_alpha_gradients(batch(2), batch(3)))
    values = [weight.numpy() for weight in weights]

    def gradients(variables: list[keras.Variable], of: Batch, penalty: float) -> list[np.ndarray]:
        sources = [variable.value for variable in variables]
        with tf.GradientTape() as tape:
            softmaxes = tf.concat(list(search.supernet.mixing_weights().values()), axis=0)
            loss = cross_entropy(search, of) - penalty * tf.reduce_mean((softmaxes - 0.5) ** 2)
        return [np.array(gradient) for gradient in tape.gradient(loss, sources)]

    def assign(changes: list[np.ndarray]) -> None:
        for weight, value, change in zip(weights, values, changes, strict=True):
            weight.assign(value + change)

    velocities = [velocity.numpy() for velocity in search.optimizer._velocities]
    step = gradients(weights, batch(2), penalty=0.0)
    assign([-RATE * (0.9 * m + g + 0.01 * w) for m, g, w in zip(velocities, step, values, strict=True)])
    first, direction = gradients(alphas, batch(3), penalty=2.0), gradients(weights, batch(3), penalty=2.0)
    size = DIFFERENCE / np.sqrt(sum(np.sum(v**2) for v in direction))
    assign([size * v for v in direction])
    ahead = gradients(alphas, batch(2), penalty=0.0)
    assign([-size * v for v in direction])
    behind = gradients(alphas, batch(2), penalty=0.0)
    expected = flat(first) - RATE * (flat(ahead) - flat(behind)) / (2 * size)
    assert distance(found, expected) < 1e-9


def test_the_gradient_changes_nothing_but_the_metrics(search: UnrolledSearch):
    variables = [*search.supernet.variables, *search.optimizer.variables, *search.alpha_optimizer.variables]
    before = [variable.numpy() for variable in variables]
    search.reset_metrics()
    search.unrolled_alpha_gradients(batch(2), batch(3))
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    results = search.get_metrics_result()
    assert float(results["search_loss"]) > 0 and float(results["zero_one"]) < 0
    assert float(results["train_loss"]) == 0


def test_without_a_rate_it_is_the_first_order(search: UnrolledSearch):
    search.optimizer.learning_rate = 0.0
    found = search.unrolled_alpha_gradients(batch(2), batch(3))
    np.testing.assert_allclose(flat(found), flat(search.alpha_gradients(batch(3))), rtol=1e-12, atol=1e-14)


def test_a_step_moves_alphas_and_weights(search: UnrolledSearch):
    expected = flat(search.unrolled_alpha_gradients(batch(2), batch(3)))
    before = flat(list(search.alphas().values()))
    search.alpha_optimizer.learning_rate, search.alpha_optimizer.decay = 1e-3, 0.0
    weights = [weight.numpy() for weight in search.supernet.network_weights]
    search.train_step((batch(2), batch(3)))
    change = flat(list(search.alphas().values())) - before
    clear = np.abs(expected) > 1e-6
    np.testing.assert_array_equal(np.sign(change[clear]), -np.sign(expected[clear]))
    assert all(np.any(weight != old) for weight, old in zip(search.supernet.network_weights, weights, strict=True))


def test_refusals():
    with pytest.raises(ConfigurationError, match="--single_level"):
        SearchSettings(unrolled=True, single_level=True)
    with pytest.raises(ConfigurationError, match="--precision=mixed_bfloat16"):
        SearchSettings(unrolled=True, precision="mixed_bfloat16")
