"""The search as a Keras model: what a step changes, what it reports, and how the rate moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_search import tiny_settings

from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.search_run import build_search, run_search

SHAPE, CLASSES, BATCH = (8, 8, 1), 10, 16
# So that the zero-one loss has a slope from the first step on.
NOISE = 0.5


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """A tiny step takes less time than tracing it."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def batch(seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(seed)
    images = random.normal(size=(BATCH, *SHAPE)).astype(np.float32)
    return tf.constant(images), tf.constant(random.integers(0, CLASSES, BATCH), tf.int32)


def build(**changes: object) -> Search:
    return build_search(tiny_settings(alpha_noise=NOISE, **changes), SHAPE, CLASSES)[0]


def values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(variable.numpy()) for variable in variables]


def changed(before: list[np.ndarray], variables: list[keras.Variable]) -> list[bool]:
    return [bool((old != new).any()) for old, new in zip(before, values(variables), strict=True)]


def cross_entropy(search: Search, images: tf.Tensor, labels: tf.Tensor) -> float:
    return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, search(images))))


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("l2", lambda weights: -np.mean((weights - 0.5) ** 2)),
        ("l1", lambda weights: -np.mean(np.abs(weights - 0.5))),
        ("none", lambda weights: 0.0),
    ],
)
def test_reports_the_zero_one_loss_without_its_weight(name: str, formula):
    search = build(zero_one=name, zero_one_weight=3.0)
    weights = np.concatenate([1 / (1 + np.exp(-table.ravel())) for table in search.alphas().values()])
    metrics = search.train_step((batch(0), batch(1)))
    assert float(metrics["zero_one"]) == pytest.approx(formula(weights), rel=1e-5)


def test_the_zero_one_weight_scales_its_slope_in_the_alphas():
    plain = build(zero_one="none").alpha_gradients(batch(1))
    for weight in (1.0, 4.0):
        search = build(zero_one_weight=weight)
        tables = search.alphas().values()
        count = sum(table.size for table in tables)
        found = search.alpha_gradients(batch(1))
        for table, gradient, without in zip(tables, found, plain, strict=True):
            sigmoid = 1 / (1 + np.exp(-table))
            slope = -weight * 2 * (sigmoid - 0.5) * sigmoid * (1 - sigmoid) / count
            np.testing.assert_allclose(np.array(gradient) - np.array(without), slope, atol=1e-5)


def test_alphas_see_only_the_search_half_and_weights_the_training_half():
    one, other = build(), build()
    one.train_step((batch(0), batch(1)))
    other.train_step((batch(2), batch(1)))
    for kind, table in one.alphas().items():
        np.testing.assert_array_equal(table, other.alphas()[kind])
    assert all(changed(values(one.supernet.network_weights), other.supernet.network_weights))


def test_without_alpha_updates_the_weights_alone_move():
    search = build()
    search.updates_alphas = False
    alphas = values(list(search.supernet.alphas.values()))
    weights = values(search.supernet.network_weights)
    metrics = search.train_step((batch(0), batch(1)))
    assert not any(changed(alphas, list(search.supernet.alphas.values())))
    assert all(changed(weights, search.supernet.network_weights))
    assert int(search.alpha_optimizer.iterations) == 0 and int(search.optimizer.iterations) == 1
    assert float(metrics["search_loss"]) == 0


def test_at_a_single_level_both_follow_from_one_batch():
    """Alphas step as bilevel ones do on that batch; the weights' gradient is taken at the alphas before the step."""
    single, bilevel = build(single_level=True), build()
    bilevel.train_step((batch(0), batch(0)))
    frozen = build()
    frozen.updates_alphas = False
    frozen.train_step((batch(0), batch(0)))
    metrics = single.train_step(batch(0))
    for kind, table in single.alphas().items():
        np.testing.assert_allclose(table, bilevel.alphas()[kind], atol=1e-6)
    for found, expected in zip(
        values(single.supernet.network_weights), values(frozen.supernet.network_weights), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert float(metrics["zero_one"]) < 0


def test_evaluate_measures_and_changes_nothing():
    search = build()
    search.train_step((batch(0), batch(1)))
    before = values(search.supernet.variables)
    images, labels = batch(5)
    found = search.evaluate(tf.data.Dataset.from_tensors((images, labels)), verbose=0, return_dict=True)
    assert sorted(found) == ["search_accuracy", "search_loss"]
    assert float(found["search_loss"]) == pytest.approx(cross_entropy(search, images, labels), rel=1e-5)
    hits = np.argmax(search(images), axis=-1) == np.array(labels)
    assert float(found["search_accuracy"]) == pytest.approx(hits.mean())
    assert not any(changed(before, search.supernet.variables))


def test_metrics_are_means_of_their_own_epoch():
    search = build(learning_rate=0.0, learning_rate_min=0.0, alpha_learning_rate=0.0)
    pairs = [(batch(0), batch(1)), (batch(2), batch(3))]
    alone = []
    for pair in pairs:
        search.reset_metrics()
        alone.append(float(search.train_step(pair)["train_loss"]))
    steps = [*pairs, pairs[1], pairs[1]]
    data = tf.data.Dataset.from_generator(lambda: iter(steps), output_signature=tf.nest.map_structure(spec, steps[0]))
    losses = search.fit(data, epochs=2, steps_per_epoch=2, verbose=0).history["train_loss"]
    assert alone[0] != pytest.approx(alone[1], rel=1e-3)
    assert losses == pytest.approx([sum(alone) / 2, alone[1]], rel=1e-5)


def spec(tensor: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec.from_tensor(tensor)


def test_fit_takes_the_batches_in_order_and_loses_none():
    """The two searches agree to the bit only if `fit` takes no batch for itself."""
    steps = [(batch(2 * step), batch(2 * step + 1)) for step in range(3)]
    by_hand, by_fit = build(), build()
    for step in steps:
        by_hand.train_step(step)
    data = tf.data.Dataset.from_generator(lambda: iter(steps), output_signature=tf.nest.map_structure(spec, steps[0]))
    by_fit.fit(data, verbose=0)
    assert not any(changed(values(by_hand.supernet.variables), by_fit.supernet.variables))


def test_the_rate_of_each_epoch_is_the_one_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = tiny_settings(epochs=3, steps_per_epoch=1, warmup_epochs=1)
    used = []
    original = Search.train_step

    def patched(self: Search, data: object) -> dict[str, tf.Tensor]:
        used.append((float(self.optimizer.learning_rate), float(self.alpha_optimizer.learning_rate)))
        return original(self, data)

    monkeypatch.setattr(Search, "train_step", patched)
    result = run_search(settings, tmp_path)
    cosine = [0.005, 0.001 + 0.004 * 0.75, 0.001 + 0.004 * 0.25]
    assert [weights for weights, _ in used] == pytest.approx(cosine)
    assert [alphas for _, alphas in used] == pytest.approx([3e-3] * 3)
    assert [row["learning_rate"] for row in result.history.rows] == pytest.approx(cosine)
    assert [row["zero_one"] is None for row in result.history.rows] == [True, False, False]
    assert [row["search_loss"] is None for row in result.history.rows] == [True, False, False]
    normal = result.history.arrays()["normal"]
    assert not normal[0].any() and normal[1].all() and (normal[1] != normal[2]).all()
