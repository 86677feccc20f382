"""The chains that are computed again for their gradient, against TensorFlow's own gradients of the plain chains."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from gradient_testing import assert_as_exact, gradients
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf import convolutions
from fairdarts_tf.separable_chain import Stage, separable_chain

EPSILON = 1e-5
few = settings(max_examples=12, deadline=None, derandomize=True)


@few
@given(
    st.integers(2, 21),
    st.integers(2, 21),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([3, 5, 7]),
    st.sampled_from([1, 2]),
    st.integers(1, 2),
)
def test_chain(height: int, width: int, channels: int, edges: int, side: int, stride: int, count: int):
    """Outputs, statistics and all gradients of one and two stages, against the plain chain in float64."""
    random = np.random.default_rng(height)
    shapes = [(side, side, channels, 1), (1, 1, channels, channels), (channels,), (channels,)]
    weights = [random.normal(size=(edges, *shape)) for _ in range(count) for shape in shapes]
    tensors = [random.normal(size=(3, height, width, channels)), *weights]

    def stages(weights: tuple[tf.Tensor, ...]) -> list[Stage]:
        return [Stage(*weights[4 * i : 4 * i + 4]) for i in range(count)]

    def fast(images: tf.Tensor, *weights: tf.Tensor) -> list:
        outputs, statistics = separable_chain(images, stages(weights), stride, EPSILON)
        return [*outputs, *[tf.stop_gradient(t) for batch in statistics for t in [batch.means, batch.variances]]]

    def plain(images: tf.Tensor, *weights: tf.Tensor) -> list:
        outputs, statistics = [images] * edges, []
        for index, stage in enumerate(stages(weights)):
            outputs = [tf.nn.relu(x) for x in outputs] if index else outputs
            step = 1 if index else stride
            outputs = [
                convolutions.pointwise(convolutions.depthwise(x, stage.depthwise[e], step), stage.pointwise[e])
                for e, x in enumerate(outputs)
            ]
            moments = [tf.nn.moments(x, [0, 1, 2]) for x in outputs]
            pixels = np.prod(outputs[0].shape[:3])
            means, variances = (tf.stack(row) for row in zip(*moments, strict=True))
            statistics += [means, variances * (pixels / max(pixels - 1, 1))]
            outputs = [
                tf.nn.batch_normalization(x, *moments[e], stage.beta[e], stage.gamma[e], EPSILON)
                for e, x in enumerate(outputs)
            ]
        return [*outputs, *map(tf.stop_gradient, statistics)]

    assert_as_exact(
        gradients(fast, tensors, "float32"), gradients(plain, tensors, "float64"), gradients(plain, tensors, "float32")
    )
