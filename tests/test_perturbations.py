"""Dropouts and noise inside mixed operations, against their plain definitions; and where random numbers come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_testing import copy_weights

from fairdarts_tf.genotypes import ALL_OPERATIONS
from fairdarts_tf.kernels.library import portable_graph
from fairdarts_tf.mixed_op import MixedOp
from fairdarts_tf.operations import operation
from fairdarts_tf.perturbations import Draw, Perturbation, SearchPerturbations
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces.darts import DartsSpace

RULES = ("skip_noise", "skip_dropout", "operation_dropout")
SEED = tf.constant([3, 5])


def perturbation(strengths: dict[str, float], images: int, noise: str = "gaussian") -> Perturbation:
    perturbations = SearchPerturbations(0, tuple(strengths), noise)
    perturbations.set_strengths(strengths)
    rules = perturbations.at(tf.constant(0), "train", tf.zeros([images, 1])).rules
    return Perturbation(rules, Draw(SEED, images))


def plain_outputs(
    layer: MixedOp, x: tf.Tensor, weights: tf.Tensor, strengths: dict[str, float], noise: str
) -> list[tf.Tensor]:
    """Returns each edge's sum of ``weight * dropped(operation(x) + noise)``, by layers of one edge alone."""
    acting = [rule for rule in RULES if rule in strengths]
    sums = []
    for edge in range(layer.edges):
        terms = []
        for column, name in enumerate(layer.operations):
            alone = operation(name, stride=layer.stride, dtype="float64")
            alone.build(x.shape)
            copy_weights(alone, layer.candidates[column], edge)
            y = alone(x, training=True)[0]
            is_identity = name == "skip_connect" and layer.stride == 1
            for number, rule in enumerate(acting):
                draw = Draw(SEED, len(x)).of(column).of(number).of(edge)
                shape = y.shape[1:]
                if rule == "operation_dropout":
                    y = dropped(y, draw.uniform([1, 1, 1]), strengths[rule])
                elif rule == "skip_dropout" and is_identity:
                    y = dropped(y, draw.uniform(shape), strengths[rule])
                elif rule == "skip_noise" and is_identity:
                    uniform = (draw.uniform(shape) - 0.5) * np.sqrt(12)
                    y += strengths[rule] * tf.cast(draw.normal(shape) if noise == "gaussian" else uniform, y.dtype)
            terms.append(weights[edge, column] * y)
        sums.append(tf.add_n(terms))
    return sums


def dropped(y: tf.Tensor, drawn: tf.Tensor, rate: float) -> tf.Tensor:
    return tf.where(drawn >= np.float32(1) - np.float32(rate), tf.zeros_like(y), y / (1 - rate))


def with_gradients(compute, x: np.ndarray, weights: np.ndarray, dtype: str) -> list[np.ndarray]:
    x, weights = tf.constant(x, dtype), tf.constant(weights, dtype)
    with tf.GradientTape() as tape:
        tape.watch([x, weights])
        outputs = compute(x, weights)
        random = np.random.default_rng(5)
        loss = tf.add_n([tf.reduce_sum(y * tf.constant(random.normal(size=y.shape), dtype)) for y in outputs])
    found = tape.gradient(loss, [x, weights], unconnected_gradients="zero")
    return [np.asarray(tensor, np.float64) for tensor in [*outputs, *found]]


strengths_of_rules = st.dictionaries(st.sampled_from(RULES), st.floats(0.05, 0.7), min_size=1)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([(8, 8), (7, 7), (6, 10)]),
    st.lists(st.sampled_from(ALL_OPERATIONS), min_size=1, max_size=3, unique=True),
    st.integers(1, 3),
    st.sampled_from([1, 2]),
    strengths_of_rules,
    st.sampled_from(["gaussian", "uniform"]),
    st.sampled_from(["float32", "float64"]),
)
def test_a_disturbed_mixed_operation(
    size: tuple[int, int],
    operations: Sequence[str],
    edges: int,
    stride: int,
    strengths: dict[str, float],
    noise: str,
    dtype: str,
):
    """Outputs and gradients, of the fast path in float32 and of the plain one in float64."""
    random = np.random.default_rng(edges)
    x, weights = random.normal(size=(3, *size, 4)), random.uniform(0.1, 1.0, size=(edges, len(operations)))
    layer = MixedOp([*operations, "skip_connect"] if "skip_connect" not in operations else operations, edges, stride)
    weights = random.uniform(0.1, 1.0, size=(edges, len(layer.operations)))
    layer = MixedOp(layer.operations, edges, stride, dtype=dtype)
    layer.build(x.shape)
    disturbed = perturbation(strengths, len(x), noise)
    found = with_gradients(lambda x, w: layer(x, w, training=True, perturbation=disturbed), x, weights, dtype)
    expected = with_gradients(lambda x, w: plain_outputs(layer, x, w, strengths, noise), x, weights, "float64")
    largest = max(np.linalg.norm(other) for other in expected)
    for one, other in zip(found, expected, strict=True):
        assert np.linalg.norm(one - other) <= 2e-4 * max(1, np.linalg.norm(other)) + 1e-6 * largest


def test_what_is_not_disturbed_stays_to_the_bit():
    """Noise and dropout on skips leave other operations alone, as they do a skip of stride 2, and inference."""
    x = tf.random.stateless_normal([2, 8, 8, 4], [0, 0])
    for operations, stride in ((("sep_conv_3x3", "dil_conv_3x3"), 1), (("skip_connect",), 2)):
        layer = MixedOp(operations, 2, stride)
        weights = tf.fill([2, len(operations)], 0.5)
        plain = layer(x, weights, training=True)
        disturbed = layer(
            x, weights, training=True, perturbation=perturbation({"skip_noise": 1.0, "skip_dropout": 0.5}, 2)
        )
        for one, other in zip(plain, disturbed, strict=True):
            np.testing.assert_array_equal(one, other)


def test_dropouts_keep_the_mean_and_noise_has_the_variance_of_its_factor():
    x = tf.ones([64, 8, 8, 8])
    layer = MixedOp(["skip_connect"], edges=1)
    for strengths, noise, variance in (
        ({"skip_dropout": 0.3}, "gaussian", 0.3 / 0.7),
        ({"skip_noise": 0.5}, "gaussian", 0.25),
        ({"skip_noise": 0.5}, "uniform", 0.25),
    ):
        (output,) = layer(x, tf.ones([1, 1]), training=True, perturbation=perturbation(strengths, 64, noise))
        assert np.mean(output) == pytest.approx(1.0, abs=0.02)
        assert np.var(output) == pytest.approx(variance, rel=0.05)
        assert (np.max(np.abs(output - 1)) <= 0.5 * np.sqrt(3) + 1e-5) == (noise == "uniform")
    (output,) = layer(x, tf.ones([1, 1]), training=True, perturbation=perturbation({"operation_dropout": 0.25}, 64))
    of_images = output.numpy().reshape(64, -1)
    assert np.all(of_images == of_images[:, :1])
    assert 0.6 < np.mean(of_images[:, 0] > 0) < 0.9
    assert set(np.round(of_images[:, 0], 5)) == {0.0, np.float32(np.round(4 / 3, 5))}


def test_replicas_draw_what_one_device_draws():
    whole = Draw(SEED, 6).of(2)
    parts = [Draw(SEED, 3, first=3 * replica, total=6).of(2) for replica in range(2)]
    for kind in ("uniform", "normal"):
        drawn = tf.concat([getattr(part, kind)([2, 2]) for part in parts], axis=0)
        np.testing.assert_array_equal(drawn, getattr(whole, kind)([2, 2]))


def test_every_step_half_cell_state_operation_rule_and_edge_draws_others():
    images = tf.zeros([2, 4])
    perturbations = SearchPerturbations(0, RULES)
    draws = []
    for step in (0, 1):
        for half in ("search", "train"):
            draw = perturbations.at(tf.constant(step), half, images).draw
            draws += [draw.of(i).of(j).of(k) for i in range(3) for j in range(3) for k in range(3)]
    numbers = [tuple(draw.uniform([3]).numpy().ravel()) for draw in draws]
    assert len(set(numbers)) == len(numbers)
    again = SearchPerturbations(0, RULES).at(tf.constant(1), "train", images).draw.of(2).of(2).of(2)
    assert tuple(again.uniform([3]).numpy().ravel()) == numbers[-1]
    other = SearchPerturbations(1, RULES).at(tf.constant(1), "train", images).draw.of(2).of(2).of(2)
    assert tuple(other.uniform([3]).numpy().ravel()) != numbers[-1]


def test_a_supernet_hands_it_to_every_cell():
    space = DartsSpace(operations=("skip_connect",), nodes=1, init_channels=2, layers=3)
    supernet = space.supernet((8, 8, 1), 3)
    images = tf.random.stateless_normal([4, 8, 8, 1], [1, 1])
    plain = supernet(images, training=True)
    zero, strong = (perturbation({"skip_dropout": rate}, 4) for rate in (0.0, 0.5))
    np.testing.assert_array_equal(plain, supernet(images, training=True, perturbation=zero))
    assert np.any(plain != supernet(images, training=True, perturbation=strong))


def test_schedules():
    found = SearchSettings(
        epochs=10, skip_dropout=0.4, operation_dropout=0.2, skip_noise="gaussian", skip_noise_epochs=4
    )
    assert found.perturbations == ("skip_noise", "skip_dropout", "operation_dropout")
    by_epoch = [found.perturbations_at(epoch) for epoch in range(10)]
    assert [row["skip_dropout"] for row in by_epoch[::5]] == pytest.approx([0.4, 0.2])
    assert [row["operation_dropout"] for row in by_epoch[::5]] == pytest.approx([0.0, 0.1])
    assert [row["skip_noise"] for row in by_epoch[:6]] == pytest.approx([1, 0.853553, 0.5, 0.146447, 0, 0], abs=1e-6)
    assert SearchSettings().perturbations == ()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("stride", [1, 2])
def test_in_low_precision(policy: str, stride: int):
    """The same numbers are drawn, and the outputs come near those of float32."""
    x = tf.random.stateless_normal([3, 8, 8, 4], [0, 0])
    weights = tf.fill([2, 3], 0.5)
    disturbed = perturbation({"skip_noise": 1.0, "skip_dropout": 0.3, "operation_dropout": 0.3}, 3)
    layers = [
        MixedOp(("skip_connect", "sep_conv_3x3", "dil_conv_3x3"), 2, stride, dtype=dtype)
        for dtype in (policy, "float32")
    ]
    for layer in layers:
        layer.build(x.shape)
    copy_weights(layers[0], layers[1])
    low, full = (
        layer(tf.cast(x, layer.compute_dtype), weights, training=True, perturbation=disturbed) for layer in layers
    )
    for one, other in zip(low, full, strict=True):
        assert one.dtype == layers[0].compute_dtype
        error = np.linalg.norm(tf.cast(one, "float32") - other) / np.linalg.norm(other)
        assert error < (0.1 if policy == "mixed_bfloat16" else 0.02)


@pytest.fixture
def portable():
    """XLA has no compiled kernels."""
    with portable_graph():
        yield


def test_xla_draws_the_same_numbers(portable):
    x = tf.random.stateless_normal([3, 6, 6, 2], [0, 0])
    layer = MixedOp(["skip_connect"], edges=2)
    disturbed = perturbation({"skip_noise": 1.0, "skip_dropout": 0.3, "operation_dropout": 0.3}, 3)

    def compute(x: tf.Tensor) -> list[tf.Tensor]:
        return layer(x, tf.fill([2, 1], 0.5), training=True, perturbation=disturbed)

    for one, other in zip(compute(x), tf.function(compute, jit_compile=True)(x), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_numbers_are_uniform_and_normal():
    draw = Draw(SEED, 100_000)
    uniform, normal = draw.uniform([]).numpy(), draw.normal([]).numpy()
    assert 0 <= uniform.min() < 1e-4 and 1 - 1e-4 < uniform.max() < 1
    assert np.abs(np.histogram(uniform, 20, (0, 1))[0] - 5000).max() < 350
    assert (normal.mean(), normal.var()) == (pytest.approx(0, abs=0.015), pytest.approx(1, abs=0.02))
    assert np.mean(normal**4) == pytest.approx(3, abs=0.15)
    assert np.mean(np.abs(normal) < 1) == pytest.approx(0.6827, abs=0.006)
