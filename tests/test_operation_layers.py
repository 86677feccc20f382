"""The candidate operations, the mixed operation, the cell and the supernet as Keras layers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from layer_testing import call, check_layer, copy_weights, with_random_weights

from fairdarts_tf.cells import SupernetCell, edges_by_source
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import ALL_OPERATIONS, DARTS_OPERATIONS
from fairdarts_tf.mixed_op import MixedOp
from fairdarts_tf.operations import OPERATIONS, operation
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.spaces.darts_supernet import DartsSupernet

RANDOM = np.random.default_rng(0)
STATE = RANDOM.normal(size=(3, 6, 5, 4))
EVEN = RANDOM.normal(size=(3, 6, 6, 4))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_a_proper_layer(name, stride, tmp_path):
    check_layer(lambda dtype: operation(name, edges=2, stride=stride, dtype=dtype), (STATE,), tmp_path)


def test_every_name_of_a_genotype_has_a_layer():
    assert set(OPERATIONS) == set(ALL_OPERATIONS)


def test_unknown_operation():
    with pytest.raises(ConfigurationError, match="Did you mean 'sep_conv_3x3'"):
        operation("sep_conv_3x4")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_several_edges_equal_several_layers_and_scales_multiply(name, stride):
    layer = with_random_weights(operation(name, edges=3, stride=stride, dtype="float64"), (STATE,))
    scales = [tf.constant(RANDOM.normal(size=4)) for _ in range(3)]
    together = layer(tf.constant(STATE), scales=scales, training=False)
    for edge in range(3):
        alone = operation(name, stride=stride, dtype="float64")
        call(alone, (STATE,))
        copy_weights(alone, layer, edge)
        (expected,) = call(alone, (STATE,))
        np.testing.assert_allclose(together[edge], expected * scales[edge], rtol=1e-10, atol=1e-12)


def test_mixed_op_is_the_weighted_sum_of_its_operations():
    layer = MixedOp(DARTS_OPERATIONS, edges=2, dtype="float64")
    layer.build((None, 6, 5, 4))
    for candidate in layer.candidates:
        with_random_weights(candidate, (STATE,))
    weights = tf.constant(RANDOM.uniform(size=(2, len(DARTS_OPERATIONS))))
    state = tf.constant(STATE)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        outputs = layer(state, weights, training=False)
        total = tf.reduce_sum(outputs[0]) + 2 * tf.reduce_sum(outputs[1])
    gradient = tape.gradient(total, weights)
    terms = [candidate(state, training=False) for candidate in layer.candidates]
    for edge in range(2):
        expected = sum(weights[edge, i] * term[edge] for i, term in enumerate(terms))
        np.testing.assert_allclose(outputs[edge], expected, rtol=1e-10, atol=1e-12)
        sums = [(edge + 1) * float(tf.reduce_sum(term[edge])) for term in terms]
        np.testing.assert_allclose(gradient[edge], sums, rtol=1e-8, atol=1e-10)


def test_mixed_op_is_a_proper_layer(tmp_path):
    class Mixed(MixedOp):
        def call(self, inputs, training=None):
            table = tf.ones((self.edges, len(self.operations)), inputs.dtype) / 2
            return super().call(inputs, table, training=training)

    layer = MixedOp(("skip_connect", "sep_conv_3x3"), edges=2, stride=2)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    outputs = call(Mixed(("skip_connect", "sep_conv_3x3"), edges=2, stride=2), (EVEN,))
    assert [output.shape for output in outputs] == layer.compute_output_shape(EVEN.shape)


def test_edges_by_source():
    """Edges are numbered node 2 from 0, 1; node 3 from 0, 1, 2; node 4 from 0, 1, 2, 3."""
    assert edges_by_source(3) == [[0, 2, 5], [1, 3, 6], [4, 7], [8]]


@pytest.mark.parametrize("reduction", [False, True])
def test_a_node_sums_its_edges(reduction):
    cell = SupernetCell(("max_pool_3x3", "skip_connect"), 4, nodes=3, reduction=reduction, dtype="float64")
    inputs = (EVEN, RANDOM.normal(size=EVEN.shape))
    weights = RANDOM.uniform(size=(9, 2))
    with_random_weights(cell, (*inputs, weights))
    older, newer = (tf.constant(array) for array in inputs)
    states = [cell.align_older(older, training=False), cell.align_newer(newer, training=False)]
    edge = 0
    for node in range(3):
        terms = []
        for source in range(node + 2):
            row = cell.edges_from[source].index(edge)
            outputs = cell.mixed_ops[source](states[source], tf.constant(weights[cell.edges_from[source]]))
            terms.append(outputs[row])
            edge += 1
        states.append(tf.add_n(terms))
    found = cell(older, newer, tf.constant(weights), training=False)
    np.testing.assert_allclose(found, tf.concat(states[2:], -1), rtol=1e-10, atol=1e-12)
    assert found.shape == cell.compute_output_shape(older.shape, newer.shape)


def test_supernet_is_a_proper_model(tmp_path):
    def create(dtype):
        return DartsSupernet(5, ("max_pool_3x3", "sep_conv_3x3"), nodes=1, init_channels=4, layers=3, dtype=dtype)

    check_layer(create, (RANDOM.normal(size=(4, 8, 8, 3)),), tmp_path, policies=("float32", "mixed_bfloat16"))


@pytest.mark.parametrize(
    ("space", "shape"),
    [
        (DartsSpace(("none", "avg_pool_3x3", "conv_7x1_1x7"), nodes=2, init_channels=4, layers=4), (28, 28, 1)),
        (
            DartsSpace(("sep_conv_7x7", "dil_conv_5x5"), nodes=1, init_channels=2, layers=3, stem_multiplier=1),
            (7, 9, 3),
        ),
        (DartsSpace(nodes=5, init_channels=2, layers=3), (8, 8, 3)),
    ],
)
def test_other_spaces_and_images(space, shape):
    supernet = space.supernet(shape, 7, relaxation="softmax")
    assert supernet(np.zeros((2, *shape), np.float32)).shape == (2, 7)
    assert {kind: tuple(table.shape) for kind, table in supernet.alphas.items()} == space.alpha_shapes
    for table in supernet.mixing_weights().values():
        np.testing.assert_allclose(tf.reduce_sum(table, axis=1), 1, rtol=1e-6)
    alphas = {id(table) for table in supernet.alphas.values()}
    assert len(supernet.network_weights) == len(supernet.trainable_weights) - 2
    assert not alphas & {id(weight) for weight in supernet.network_weights}
    assert [cell.reduction for cell in supernet.cells] == [i in space.reductions for i in range(space.layers)]


def test_images_too_small():
    with pytest.raises(ConfigurationError, match="--image_size"):
        DartsSpace(layers=3, init_channels=2).supernet((3, 8, 1), 2)
