"""The curvature of the search loss in the alphas: the largest eigenvalue of its Hessian.

Where it grows, cells that are derived generalise worse (RobustDARTS, Zela et al., ICLR 2020, section 4).
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf.bilevel_search import Batch, Search
from fairdarts_tf.lanczos import largest_eigenvalue
from fairdarts_tf.second_derivatives import twice_differentiable


class AlphaHessian:
    """The Hessian of the search loss in all alphas, by products with vectors; never as a matrix.

    A product is the derivative of ``gradient . vector``, exact but for rounding. Differences of gradients do not serve:
    a network of ReLUs has kinks between any two points that are not much closer than rounding allows. The loss is the
    one that the alphas descend, penalties included, on a batch in training mode; nothing of the search is changed.

    Args:
        search: The search, in float32 or float64.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._tables = list(search.supernet.alphas.values())
        self._product = tf.function(self._product_of, autograph=False)

    @property
    def size(self) -> int:
        """Number of alphas."""
        return sum(int(np.prod(table.shape)) for table in self._tables)

    def product(self, vector: np.ndarray, batch: Batch) -> np.ndarray:
        """Returns the Hessian times a vector, (size,), table by table and row by row."""
        ends = np.cumsum([int(np.prod(table.shape)) for table in self._tables])[:-1]
        parts = [
            tf.constant(part.reshape(table.shape), table.dtype)
            for part, table in zip(np.split(vector, ends), self._tables, strict=True)
        ]
        return np.concatenate([np.ravel(part) for part in self._product(parts, *batch)]).astype(np.float64)

    def largest_eigenvalue(self, batch: Batch) -> float:
        """Returns the largest eigenvalue on a batch, to about a thousandth."""
        return largest_eigenvalue(lambda vector: self.product(vector, batch), self.size)

    def _product_of(self, direction: list[tf.Tensor], images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        values = [tf.convert_to_tensor(table) for table in self._tables]
        # The weights are not watched: their part in second derivatives would be traced in vain.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            # Whatever is assigned within, as running statistics and metrics, is forgotten.
            scope = keras.StatelessScope(state_mapping=list(zip(self._tables, values, strict=True)))
            with scope, twice_differentiable():
                gradients = self._search.alpha_gradients((images, labels))
            slope = tf.add_n([tf.reduce_sum(g * part) for g, part in zip(gradients, direction, strict=True)])
            # A gradient is a replica's part, and here one device holds the batch alone.
            slope *= self._search.distribute_strategy.num_replicas_in_sync
        return tape.gradient(slope, values, unconnected_gradients="zero")
