"""Sampled paths of S2: which operations run, their gradients beside ones by hand, and the size of the graph."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tiny_mobile import IMAGE, OPERATIONS

from fairdarts_tf.mixed_layer import MixedLayer, SampledLayer
from fairdarts_tf.sampled_paths import passed_column, sample_paths
from fairdarts_tf.separable_chain import fixed_kernels

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(6, *IMAGE)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def sampled(weights: np.ndarray, in_play: np.ndarray, draws: int, paths: int = 2):
    seeds = tf.stack([tf.range(draws, dtype=tf.int64), tf.zeros(draws, tf.int64)], axis=1)
    function = tf.function(
        lambda seeds: tf.map_fn(
            lambda seed: tuple(sample_paths(tf.constant(weights), in_play, paths, seed)),
            seeds,
            fn_output_signature=(tf.int32, tf.float32),
        )
    )
    return [array.numpy() for array in function(seeds)]


def test_paths_are_drawn_without_replacement_by_their_weights():
    weights, in_play = np.float32([0.1, 0.6, 0.9, 0.2, 0.7]), np.array([True, True, True, True, False])
    columns, gates = sampled(weights, in_play, 4000)
    assert np.all(columns[:, 0] != columns[:, 1]) and columns.max() == 3
    p = weights[:4] / weights[:4].sum()
    pairs = {(i, j): p[i] * p[j] / (1 - p[i]) for i in range(4) for j in range(4) if i != j}
    counts = [np.sum((columns == pair).all(axis=1)) for pair in pairs]
    expected = np.array(list(pairs.values()), np.float64)
    assert stats.chisquare(counts, 4000 * expected / expected.sum()).pvalue > 1e-3
    assert np.array_equal(gates.sum(axis=1).round(5), np.ones(4000)) and set(gates.round(5).ravel()) == {0.0, 1.0}
    # Whichever two were drawn, the one passed on is drawn by its share of the two.
    shares = weights[columns[:, 0]] / weights[columns].sum(axis=1)
    passed = gates[:, 0] > 0.5
    score = (passed.sum() - shares.sum()) / np.sqrt((shares * (1 - shares)).sum())
    assert abs(score) < 4


@pytest.mark.parametrize("relaxation", ["softmax", "sigmoid"])
def test_gradient_of_the_alphas_is_that_of_proxylessnas(relaxation):
    """Equation 4 by hand: <dy, o_j(x)> * q_j * (delta_ij - q_i), times 1 - sigmoid with sigmoids."""
    layer = SampledLayer(OPERATIONS, 3, paths=2, dtype="float64")
    x, upstream = RANDOM.normal(size=(2, 4, 4, 3)), RANDOM.normal(size=(2, 4, 4, 3))
    layer.build(x.shape)
    alphas = tf.constant(RANDOM.normal(size=5))
    for seed in range(3):
        with tf.GradientTape() as tape, fixed_kernels():
            tape.watch(alphas)
            weights = tf.nn.softmax(alphas) if relaxation == "softmax" else tf.sigmoid(alphas)
            y = layer(x, weights, training=True, seed=tf.constant([seed, 7], tf.int64))
        found = tape.gradient(y, alphas, upstream).numpy()
        columns = sample_paths(weights, layer.in_play, 2, tf.constant([seed, 7], tf.int64)).columns.numpy()
        q = weights.numpy()[columns] / weights.numpy()[columns].sum()
        outputs = [layer._branch(column, True, tf.constant(x)).numpy() for column in columns]
        inner = np.array([np.sum(upstream * output) for output in outputs])
        expected = np.zeros(5)
        for i, column in enumerate(columns):
            expected[column] = sum(inner[j] * q[j] * ((i == j) - q[i]) for j in range(2))
        if relaxation == "sigmoid":
            expected *= 1 - weights.numpy()
        else:
            assert found.sum() == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_only_the_sampled_paths_run():
    """An operation that ran has moved the running statistics of its BatchNorm."""
    layer = SampledLayer(OPERATIONS, 2, paths=2)
    layer.build((None, *IMAGE))
    step = lambda seed: layer(IMAGES, np.ones(5, np.float32), training=True, seed=seed)  # noqa: E731
    means = [candidate.project.normalization.moving_mean for candidate in layer.candidates[:4]]
    # A step of the alphas computes two operations, one of the weights the one that is passed on.
    for context, most in ((fixed_kernels(), 2), (contextlib.nullcontext(), 1)):
        with context:
            traced = tf.function(step, autograph=False)
            found = []
            for seed in range(6):
                for mean in means:
                    mean.assign(np.zeros(mean.shape))
                traced(tf.constant([seed, 0], tf.int64))
                found.append(sum(bool(np.any(mean.numpy())) for mean in means))
        assert max(found) == most and min(found) >= most - 1


@pytest.mark.parametrize("in_graph", [False, True])
def test_gradient_of_a_sampled_layer_is_that_of_the_operation_by_itself(in_graph):
    layer = SampledLayer(OPERATIONS, 3, paths=2, dtype="float64")
    layer.build((2, 4, 4, 3))
    x, upstream = (tf.constant(RANDOM.normal(size=(2, 4, 4, 3))) for _ in range(2))
    weights = tf.constant(RANDOM.uniform(0.2, 0.9, len(OPERATIONS)))

    def gradients(compute):
        sources = [x, *(variable.value for variable in layer.trainable_variables)]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = compute(x)
        return tape.gradient(y, sources, upstream, unconnected_gradients="zero")

    of_layer = lambda seed: gradients(lambda x: layer(x, weights, training=True, seed=seed))  # noqa: E731
    if in_graph:
        of_layer = tf.function(of_layer, autograph=False)
    statistics = layer.non_trainable_variables
    start = [variable.numpy() for variable in statistics]
    columns = set()
    for number in range(4):
        seed = tf.constant([number, 7], tf.int64)
        column = int(passed_column(sample_paths(weights, layer.in_play, 2, seed)))
        found = [*of_layer(seed), *(variable.numpy() for variable in statistics)]
        for variable, value in zip(statistics, start, strict=True):
            variable.assign(value)
        by_itself = gradients(lambda x, column=column: layer._branch(column, True, x))
        expected = [*by_itself, *(variable.numpy() for variable in statistics)]
        for variable, value in zip(statistics, start, strict=True):
            variable.assign(value)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
        columns.add(column)
    assert len(columns) > 1


def test_the_graph_of_sampled_paths_stays_small():
    """TensorFlow's own gradient of a choice makes it five times as large, and takes gigabytes for the full space."""

    def size(layer, **options):
        layer.build((None, *IMAGE))

        def step(images, weights):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                y = layer(images, weights, training=True, **options)
            return tape.gradient(y, [weights, *(variable.value for variable in layer.trainable_variables)])

        images, weights = tf.TensorSpec([2, *IMAGE]), tf.TensorSpec([len(OPERATIONS)])
        return tf.function(step, autograph=False).get_concrete_function(images, weights).graph.as_graph_def().ByteSize()

    sampled = size(SampledLayer(OPERATIONS, 2, paths=2), seed=tf.constant([0, 0], tf.int64))
    assert sampled < 3 * size(MixedLayer(OPERATIONS, 2))
