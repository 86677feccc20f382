"""Sampled paths: of the operations of a layer only a few are computed, drawn by their mixing weights.

This is the algorithm of ProxylessNAS (Cai, Zhu and Han, ICLR 2019, sections 3.1 and 3.2), not that of FairDARTS: a
layer passes on one operation, not a sum. With p the mixing weights divided by their sum, a step

- draws K different operations, one after the other by p among those that are left,
- gives them the weights q, their p divided by the sum over the K,
- draws by q the one whose output the layer passes on: its gate is 1, those of the others 0.

The gradient of the loss in gate j is ``<dy, o_j(x)>``, and that in the alphas follows as if the gates were q
(ProxylessNAS, equation 4): with the softmax ``sum over the K of <dy, o_j(x)> * q_j * (delta_ij - q_i)``. It sums to 0
over the K operations, which keeps the mean of their alphas, not the sum of their weights: ProxylessNAS shifts the K
alphas after each step so that the weights of all others stay what they are, which is not done here. With the sigmoid
the last factors are
``(delta_ij - q_i) * (1 - sigmoid(alpha_i))``, and no other weight depends on these alphas at all.

A step of the weights needs the operation alone that is passed on, and computes no other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

_ALGORITHM = "philox"
_LEAST = 1e-30
"""Under a logarithm, for a weight of 0."""
_OUT = -1e30


class Paths(NamedTuple):
    """What a layer computes in a step.

    Attributes:
        columns: Operations, (paths,), int32, all different.
        gates: What their outputs are multiplied by, (paths,): 1 for one of them, 0 for the others; the gradient is that
            of q.
    """

    columns: tf.Tensor
    gates: tf.Tensor


def sample_paths(weights: tf.Tensor, in_play: np.ndarray, paths: int, seed: tf.Tensor) -> Paths:
    """Draws the operations of a layer.

    Args:
        weights: Mixing weights, (operations,).
        in_play: (operations,), bool; the others are never drawn.
        paths: How many operations, K; all of those in play if there are fewer.
        seed: (2,), whole numbers. The same seed draws the same.
    """
    count = min(paths, int(in_play.sum()))
    drawing, gating = (_fold(seed, index) for index in range(2))
    logarithms = tf.where(in_play, tf.math.log(tf.maximum(weights, _LEAST)), tf.constant(_OUT, weights.dtype))
    # The K largest of log p + Gumbel noise are K draws without replacement (Kool et al., ICML 2019).
    _, columns = tf.math.top_k(logarithms + _gumbel([len(in_play)], drawing, weights.dtype), count)
    chosen = tf.gather(weights, columns)
    shares = chosen / tf.reduce_sum(chosen)
    noisy = tf.math.log(tf.maximum(shares, _LEAST)) + _gumbel([count], gating, weights.dtype)
    passed = tf.one_hot(tf.argmax(noisy), count, dtype=weights.dtype)
    return Paths(columns, passed + shares - tf.stop_gradient(shares))


def passed_column(paths: Paths) -> tf.Tensor:
    """Returns the operation whose output is passed on."""
    return tf.gather(paths.columns, tf.argmax(paths.gates))


def _fold(seed: tf.Tensor, index: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, index, alg=_ALGORITHM)


def _gumbel(shape: list[int], seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    uniform = tf.random.stateless_uniform(shape, seed, minval=1e-12, maxval=1.0, dtype=tf.float64, alg=_ALGORITHM)
    return tf.cast(-tf.math.log(-tf.math.log(uniform)), dtype)
