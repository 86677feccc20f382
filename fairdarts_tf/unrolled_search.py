"""The second order of DARTS: the alphas' gradient at the weights that one more step would give.

With the training loss T, the search loss S, weights w, alphas a and the learning rate r, the weights after a virtual
step are ``w' = w - r * (momentum * velocity + dT/dw(w, a) + decay * w)``, and (DARTS, equations 7 and 8)

    dS(w'(a), a)/da = dS/da(w', a) - r * d2T/(da dw)(w, a) * v,    v = dS/dw(w', a).

The product with v is a central difference of first derivatives, as in the authors' code,

    d2T/(da dw) * v = (dT/da(w + e * v, a) - dT/da(w - e * v, a)) / (2 * e),    e = 0.01 / |v|,

so that the gradients of the chains, which cannot be differentiated twice, suffice.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from fairdarts_tf.bilevel_search import Batch, Search
from fairdarts_tf.replicas import sum_over_replicas
from fairdarts_tf.separable_chain import fixed_kernels

DIFFERENCE = 0.01
"""Norm of the change of all weights in the central difference (DARTS, footnote 2 and code)."""


_TINY = 1e-30
"""Instead of a norm of 0, where the product is 0 whatever it is divided by."""


class UnrolledSearch(Search):
    """A bilevel search whose alphas foresee one step of the weights.

    The search loss that it reports is the one at the weights after the virtual step. What BatchNorm sees on the way to
    the alphas' gradient leaves its running statistics alone.

    Args:
        supernet: See `Search`.

    Attributes:
        difference: Norm of the change of the weights in the central difference. Defaults to `DIFFERENCE`.
    """

    def __init__(self, supernet: keras.Model, **kwargs: object) -> None:
        super().__init__(supernet, **kwargs)
        self.difference = DIFFERENCE

    def step_alpha_gradients(self, training_batch: Batch, search_batch: Batch) -> list[tf.Tensor]:
        """Returns the gradients that a step's update of the alphas applies: those after a virtual step."""
        return self.unrolled_alpha_gradients(training_batch, search_batch)

    @property
    def before_updates(self) -> tuple[str, ...]:
        """Nothing that can be told by its name: the virtual step has the rate of the weights."""
        return () if self.updates_alphas else super().before_updates

    def unrolled_alpha_gradients(self, training_batch: Batch, search_batch: Batch) -> list[tf.Tensor]:
        """Returns this replica's part of the alphas' gradients of the search loss after a virtual step, to be applied.

        Args:
            training_batch: Of the virtual step.
            search_batch: Of the search loss.
        """
        alphas, weights = self._alpha_tables, self.supernet.network_weights
        values = [tf.convert_to_tensor(weight) for weight in weights]
        with _at(weights, values):
            step, _ = self._differentiate(*training_batch, weights, "train", self.optimizer)
        with _at(weights, self.optimizer.values_after(sum_over_replicas(step), weights)):
            found, logits = self._differentiate(
                *search_batch, alphas + weights, "search", self.alpha_optimizer, self._penalty
            )
        self._record("search", search_batch[1], logits)
        self._penalty()
        first_order, direction = found[: len(alphas)], sum_over_replicas(found[len(alphas) :])
        norm = tf.linalg.global_norm(direction)
        size = tf.constant(self.difference, norm.dtype) / tf.maximum(norm, _TINY)
        pairs = list(zip(values, direction, strict=True))
        ahead = self._alpha_gradients_at([value + size * v for value, v in pairs], training_batch)
        behind = self._alpha_gradients_at([value - size * v for value, v in pairs], training_batch)
        rate = tf.cast(self.optimizer.learning_rate, norm.dtype)
        return [
            first - rate * (plus - minus) / (2 * size)
            for first, plus, minus in zip(first_order, ahead, behind, strict=True)
        ]

    def _alpha_gradients_at(self, values: Sequence[tf.Tensor], batch: Batch) -> list[tf.Tensor]:
        """Returns the alphas' gradients of the training loss at other weights."""
        with _at(self.supernet.network_weights, values), fixed_kernels():
            return self._differentiate(*batch, self._alpha_tables, "train", self.alpha_optimizer)[0]


def _at(variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> keras.StatelessScope:
    """Within, variables have other values, and whatever is assigned to any variable is forgotten."""
    return keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True)))
