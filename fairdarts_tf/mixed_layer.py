"""The choice layer of a supernet of search space S2: all its operations mixed, or a few of them sampled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf import convolutions
from fairdarts_tf.bottlenecks import InvertedBottleneck
from fairdarts_tf.genotypes import SKIP
from fairdarts_tf.mobile_genotypes import bottleneck
from fairdarts_tf.operations import Identity
from fairdarts_tf.rematerialization import rematerialized, rematerialized_choice
from fairdarts_tf.sampled_paths import passed_column, sample_paths
from fairdarts_tf.separable_chain import wants_kernels

if TYPE_CHECKING:
    from fairdarts_tf.perturbations import Perturbation


@keras.saving.register_keras_serializable("fairdarts_tf")
class MixedLayer(keras.layers.Layer):
    """Computes ``sum over o of weight[o] * o(x)``.

    Each o is an inverted bottleneck, with its residual connection where the layer keeps the shape, or the input itself.
    Nothing is normalised over operations. The weight enters as the scale of the bottleneck's last BatchNorm, and the
    residual connections of all bottlenecks and the skip are one product: ``(sum of their weights) * x``.

    Args:
        operations: Names of the operations, in the order of the weights.
        filters: Channels of the output.
        stride: 1 or 2. Defaults to 1.
        rematerialize: Whether the gradient computes the layer again. Defaults to False.
    """

    def __init__(
        self,
        operations: Sequence[str],
        filters: int,
        stride: int = 1,
        rematerialize: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.operations = tuple(operations)
        self.filters = filters
        self.stride = stride
        self.rematerialize = rematerialize
        self.candidates = [_operation(name, filters, stride, self.dtype_policy) for name in self.operations]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the operations that a layer with such an input can have."""
        self.keeps_shape = self.stride == 1 and input_shape[-1] == self.filters
        self.in_play = np.array([name != SKIP or self.keeps_shape for name in self.operations])
        for candidate, exists in zip(self.candidates, self.in_play, strict=True):
            if exists:
                candidate.build(tuple(input_shape))

    def call(
        self,
        inputs: tf.Tensor,
        weights: tf.Tensor,
        training: bool | None = None,
        perturbation: Perturbation | None = None,
    ) -> tf.Tensor:
        """Mixes the operations.

        Args:
            inputs: (batch, height, width, channels).
            weights: Mixing weights, (operations,); those that are not in play are not read.
            training: Whether BatchNorm uses the batch's statistics.
            perturbation: What disturbs the operations. Defaults to None: nothing.

        Returns:
            (batch, ceil(height / stride), ceil(width / stride), filters).
        """
        compute = functools.partial(self._mix, training=training, perturbation=perturbation)
        if training and self.rematerialize:
            return rematerialized(compute, self, [inputs, weights])
        return compute(inputs, weights)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the output."""
        return convolutions.strided_shape(input_shape, self.stride, self.filters)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {
            "operations": self.operations,
            "filters": self.filters,
            "stride": self.stride,
            "rematerialize": self.rematerialize,
        }

    def _mix(
        self, inputs: tf.Tensor, weights: tf.Tensor, training: bool | None, perturbation: Perturbation | None
    ) -> tf.Tensor:
        terms, of_input = [], np.zeros(len(self.operations))
        for column, (candidate, weight) in enumerate(zip(self.candidates, tf.unstack(weights), strict=True)):
            if not self.in_play[column]:
                continue
            is_skip = isinstance(candidate, Identity)
            term = None if is_skip else candidate(inputs, scale=weight, training=training)
            if perturbation is not None and perturbation.touches(candidate):
                terms.append(self._disturbed(inputs, column, term, weight, perturbation))
                continue
            if term is not None:
                terms.append(term)
            if self.keeps_shape:
                of_input[column] = 1.0
        if of_input.any():
            # Not tf.add_n, whose order of summation depends on which of its inputs nothing else needs any more.
            factor = tf.reduce_sum(weights * tf.constant(of_input, weights.dtype))
            terms.append(tf.cast(factor, inputs.dtype) * inputs)
        return terms[0] if len(terms) == 1 else tf.add_n(terms)

    def _disturbed(
        self, inputs: tf.Tensor, column: int, term: tf.Tensor | None, weight: tf.Tensor, perturbation: Perturbation
    ) -> tf.Tensor:
        """Returns an operation's output by itself, times its weight, as the perturbation leaves it."""
        scaled = tf.cast(weight, inputs.dtype) * inputs if self.keeps_shape else 0.0
        output = scaled if term is None else term + scaled
        scales = tf.reshape(weight, [1, 1])
        (disturbed,) = perturbation.apply(self.candidates[column], column, [output], scales, in_phases=False)
        return disturbed


@keras.saving.register_keras_serializable("fairdarts_tf")
class SampledLayer(MixedLayer):
    """Passes on one operation, drawn by the weights, and computes few others: see `fairdarts_tf.sampled_paths`.

    In inference it is the operation with the largest weight.

    Args:
        paths: How many operations a step of the alphas computes. Defaults to 2.
        kwargs: See `MixedLayer`.
    """

    def __init__(self, *arguments: object, paths: int = 2, **kwargs: object) -> None:
        super().__init__(*arguments, **kwargs)
        self.paths = paths
        self._traced: dict[Hashable, list[Callable]] = {}

    def call(
        self, inputs: tf.Tensor, weights: tf.Tensor, training: bool | None = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Passes on one operation.

        Args:
            inputs: (batch, height, width, channels).
            weights: Mixing weights, (operations,).
            training: Whether operations are drawn, and BatchNorm uses the batch's statistics.
            seed: (2,), whole numbers, of the draw; needed while training.

        Returns:
            As `MixedLayer`.
        """
        if not training:
            existing = tf.where(self.in_play, weights, -tf.ones_like(weights))
            return self._computed(inputs, tf.argmax(existing, output_type=tf.int32), training)
        sampled = sample_paths(weights, self.in_play, self.paths, seed)
        if wants_kernels():
            return self._computed(inputs, passed_column(sampled), training)
        outputs = [self._computed(inputs, column, training) for column in tf.unstack(sampled.columns)]
        gates = tf.unstack(tf.cast(sampled.gates, inputs.dtype))
        return tf.add_n([gate * output for gate, output in zip(gates, outputs, strict=True)])

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"paths": self.paths}

    def _computed(self, inputs: tf.Tensor, column: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns the output of one operation; no other is computed."""
        present = [number for number, exists in enumerate(self.in_play) if exists]
        # Where there is no skip it is the last column that is missing, or none: branches are numbered without gaps.
        places = np.cumsum(self.in_play) - 1
        branches = [functools.partial(self._branch, number, training) for number in present]
        place = tf.gather(tf.constant(places, tf.int32), column)
        if not training:
            return tf.switch_case(place, [functools.partial(branch, inputs) for branch in branches])
        return rematerialized_choice(place, branches, self, [inputs], wants_kernels(), self._traced)

    def _branch(self, number: int, training: bool | None, inputs: tf.Tensor) -> tf.Tensor:
        candidate = self.candidates[number]
        if isinstance(candidate, Identity):
            return tf.identity(inputs)
        output = candidate(inputs, training=training)
        return output + inputs if self.keeps_shape else output


def _operation(name: str, filters: int, stride: int, policy: object) -> keras.layers.Layer:
    if name == SKIP:
        return Identity(name=name, dtype=policy)
    choice = bottleneck(name)
    return InvertedBottleneck(filters, choice.kernel, choice.expansion, stride, affine=False, name=name, dtype=policy)
