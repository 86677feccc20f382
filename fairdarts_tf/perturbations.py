"""What disturbs the operations of a supernet while it is searched: dropouts, and noise on skip connections.

Every random number is a function of the run's seed, the step, the half, the place in the supernet, and the image's
place in the batch over all replicas. So a search that is resumed draws what it would have drawn, and replicas together
draw what one device does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import keras
import tensorflow as tf

from fairdarts_tf.operations import Identity, Operation, Zero
from fairdarts_tf.replicas import count_replicas, replica_index
from fairdarts_tf.source_state import PHASES

HALVES = ("search", "train")

_ALGORITHM = "philox"
_BITS = 23
"""Of a random number: those of float32's fraction, so that no number is rounded."""


@dataclasses.dataclass(frozen=True)
class Draw:
    """A source of random numbers for the images of a batch.

    Args:
        seed: (2,), whole numbers. The same seed gives the same numbers.
        images: How many images this replica holds.
        first: The place of the first of them in the batch over all replicas. Defaults to 0.
        total: Images of that batch. Defaults to None: as many as this replica holds.
    """

    seed: tf.Tensor
    images: tf.Tensor | int
    first: tf.Tensor | int = 0
    total: tf.Tensor | int | None = None

    def of(self, index: int | tf.Tensor) -> Draw:
        """Returns the source of a part: other numbers for every index."""
        return dataclasses.replace(
            self, seed=tf.random.experimental.stateless_fold_in(self.seed, index, alg=_ALGORITHM)
        )

    def uniform(self, shape: Sequence[int]) -> tf.Tensor:
        """Returns numbers uniform in [0, 1), (images, *shape), float32."""
        return self._own(tf.cast(self._whole_numbers(shape), tf.float32) / 2**_BITS)

    def normal(self, shape: Sequence[int]) -> tf.Tensor:
        """Returns numbers of the standard normal distribution, (images, *shape), float32."""
        # The normal distribution's quantiles at the middles of 2**23 equal parts, none of which is infinite.
        middles = tf.cast(2 * self._whole_numbers(shape) + 1 - 2**_BITS, tf.float32) / 2**_BITS
        return self._own(tf.math.erfinv(middles) * 2.0**0.5)

    def _whole_numbers(self, shape: Sequence[int]) -> tf.Tensor:
        """Returns whole numbers from 0 to 2**23 - 1, (images of all replicas, *shape).

        Not TensorFlow's numbers with fractions, which XLA makes of the same bits in another way.
        """
        total = self.images if self.total is None else self.total
        bits = tf.random.stateless_uniform(
            [total, *shape], self.seed, minval=None, maxval=None, dtype=tf.uint32, alg=_ALGORITHM
        )
        return tf.cast(tf.bitwise.right_shift(bits, tf.constant(32 - _BITS, tf.uint32)), tf.int32)

    def _own(self, drawn: tf.Tensor) -> tf.Tensor:
        """Returns the part of this replica: all draw for the whole batch, so that parts fit together."""
        return drawn if self.total is None else drawn[self.first : self.first + self.images]


class Rule(Protocol):
    """One way to disturb the outputs of an operation."""

    def touches(self, operation: Operation) -> bool:
        """Returns whether it disturbs this operation."""

    def apply(self, outputs: list[tf.Tensor], scales: tf.Tensor, in_phases: bool, draw: Draw) -> list[tf.Tensor]:
        """Returns the disturbed outputs.

        Args:
            outputs: One for each edge, times its mixing weight.
            scales: The mixing weights, (edges, channels) or (edges, 1).
            in_phases: Whether the outputs are phases of images (see `SourceState`) in place of images.
            draw: Where the random numbers come from.
        """


class SkipNoise:
    """Adds noise of mean 0 and variance 1, times a factor, to what a skip connection of stride 1 passes on.

    ``weight * (x + factor * noise)`` (NoisyDARTS, Chu et al., 2020). The factor falls by a cosine.

    Args:
        kind: ``"gaussian"``, or ``"uniform"``: then from -sqrt(3) to sqrt(3), which has the same variance.
        factor: A scalar.
    """

    def __init__(self, kind: str, factor: keras.Variable) -> None:
        self.kind = kind
        self.factor = factor

    def touches(self, operation: Operation) -> bool:
        """Returns whether the operation is the identity."""
        return isinstance(operation, Identity)

    def apply(self, outputs: list[tf.Tensor], scales: tf.Tensor, in_phases: bool, draw: Draw) -> list[tf.Tensor]:
        """Returns the outputs with their noise."""
        weights = tf.unstack(tf.cast(scales, tf.float32) * tf.cast(tf.convert_to_tensor(self.factor), tf.float32))
        return [
            x + tf.cast(weight * self._noise(draw.of(edge), x.shape[1:]), x.dtype)
            for edge, (x, weight) in enumerate(zip(outputs, weights, strict=True))
        ]

    def _noise(self, draw: Draw, shape: Sequence[int]) -> tf.Tensor:
        if self.kind == "gaussian":
            return draw.normal(shape)
        return (2.0 * draw.uniform(shape) - 1.0) * 3.0**0.5


class SkipDropout:
    """Sets each number that a skip connection of stride 1 passes on to 0 with a probability, and scales up the others.

    P-DARTS, section 3.3 (Chen et al., ICCV 2019): skips then gain less over operations that have to learn.

    Args:
        rate: The probability, a scalar in [0, 1).
    """

    def __init__(self, rate: keras.Variable) -> None:
        self.rate = rate

    def touches(self, operation: Operation) -> bool:
        """Returns whether the operation is the identity."""
        return isinstance(operation, Identity)

    def apply(self, outputs: list[tf.Tensor], scales: tf.Tensor, in_phases: bool, draw: Draw) -> list[tf.Tensor]:
        """Returns the outputs, thinned out."""
        return [x * _kept(draw.of(edge), x.shape[1:], self.rate, x.dtype) for edge, x in enumerate(outputs)]


class OperationDropout:
    """Leaves an operation out for an image with a probability, and scales it up for the others.

    That is drop path on every candidate of every edge, as RobustDARTS has it (Zela et al., ICLR 2020, section 5.1).

    Args:
        rate: The probability, a scalar in [0, 1).
    """

    def __init__(self, rate: keras.Variable) -> None:
        self.rate = rate

    def touches(self, operation: Operation) -> bool:
        """Returns whether the operation computes anything."""
        return not isinstance(operation, Zero)

    def apply(self, outputs: list[tf.Tensor], scales: tf.Tensor, in_phases: bool, draw: Draw) -> list[tf.Tensor]:
        """Returns the outputs, each of 0 for some images."""
        kept = [_kept(draw.of(edge), [1, 1, 1], self.rate, x.dtype) for edge, x in enumerate(outputs)]
        # The phases of all images lie one after another.
        factors = [tf.tile(factor, [PHASES, 1, 1, 1]) for factor in kept] if in_phases else kept
        return [x * factor for x, factor in zip(outputs, factors, strict=True)]


@dataclasses.dataclass(frozen=True)
class Perturbation:
    """What disturbs the operations of a part of a supernet in one pass.

    Args:
        rules: In the order in which they act.
        draw: Where random numbers come from.
    """

    rules: tuple[Rule, ...]
    draw: Draw

    def of(self, index: int) -> Perturbation:
        """Returns what disturbs a part: a cell, or the operations of a state."""
        return dataclasses.replace(self, draw=self.draw.of(index))

    def touches(self, operation: Operation) -> bool:
        """Returns whether anything disturbs an operation."""
        return any(rule.touches(operation) for rule in self.rules)

    def apply(
        self, operation: Operation, column: int, outputs: list[tf.Tensor], scales: tf.Tensor, in_phases: bool
    ) -> list[tf.Tensor]:
        """Returns the disturbed outputs of an operation.

        Args:
            operation: The operation.
            column: Its place among the candidates.
            outputs: One for each edge, times its mixing weight.
            scales: The mixing weights, (edges, channels) or (edges, 1).
            in_phases: Whether the outputs are phases of images.
        """
        for number, rule in enumerate(self.rules):
            if rule.touches(operation):
                outputs = rule.apply(outputs, scales, in_phases, self.draw.of(column).of(number))
        return outputs


class SearchPerturbations:
    """The rules of a search, with how strong each is.

    Args:
        seed: Of the run.
        rules: Names of those that act: ``skip_noise``, ``skip_dropout``, ``operation_dropout``.
        noise: The kind of `SkipNoise`. Defaults to ``"gaussian"``.

    Attributes:
        strengths: A scalar variable for each rule, 0 until it is set.
    """

    def __init__(self, seed: int, rules: Sequence[str], noise: str = "gaussian") -> None:
        self._seed = seed
        self.strengths = {
            name: keras.Variable(0.0, dtype="float32", trainable=False, name=name) for name in _RULES if name in rules
        }
        self._rules = tuple(_RULES[name](strength, noise) for name, strength in self.strengths.items())

    def set_strengths(self, strengths: dict[str, float]) -> None:
        """Sets how strong the rules are from now on; those that do not act are passed over."""
        for name, variable in self.strengths.items():
            variable.assign(strengths[name])

    def at(
        self, step: tf.Tensor, half: str, images: tf.Tensor, part: tf.Tensor | int = 0, parts: int = 1
    ) -> Perturbation:
        """Returns what disturbs one pass.

        Args:
            step: Steps done before.
            half: ``"search"`` or ``"train"``.
            images: This replica's, or a part of these, (batch, ...).
            part: Which part. Defaults to 0.
            parts: How many there are, of equal size. Defaults to 1.
        """
        count = count_replicas() * parts
        batch = images.shape[0] or tf.shape(images)[0]
        draw = Draw(tf.constant([self._seed, HALVES.index(half)]), batch)
        if count > 1:
            place = tf.cast(replica_index(), tf.int32) * parts + part
            draw = dataclasses.replace(draw, first=place * batch, total=count * batch)
        return Perturbation(self._rules, draw.of(tf.cast(step, tf.int32)))


_RULES = {
    "skip_noise": lambda factor, kind: SkipNoise(kind, factor),
    "skip_dropout": lambda rate, kind: SkipDropout(rate),
    "operation_dropout": lambda rate, kind: OperationDropout(rate),
}
"""Every rule by name, in the order in which they act."""


def _kept(draw: Draw, shape: Sequence[int], rate: keras.Variable, dtype: tf.DType) -> tf.Tensor:
    """Returns 0 with a probability, else what makes up for it: (images, *shape)."""
    keep = 1.0 - tf.cast(tf.convert_to_tensor(rate), tf.float32)
    return tf.cast(tf.cast(draw.uniform(shape) < keep, tf.float32) / keep, dtype)
