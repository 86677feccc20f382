"""The mixed operation: the sum of all candidate operations, each times its mixing weight."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from fairdarts_tf.kernels.terms import Term, sum_terms
from fairdarts_tf.operations import operation
from fairdarts_tf.source_state import SourceState, join_phases

if TYPE_CHECKING:
    from fairdarts_tf.perturbations import Perturbation


@dataclasses.dataclass
class Terms:
    """What a node sums.

    Attributes:
        images: Tensors.
        phases: Phases of images (see `SourceState`), which are joined once they are summed.
        normalizable: Terms of compiled kernels, whose BatchNorm is carried out as they are summed.
    """

    images: list[tf.Tensor] = dataclasses.field(default_factory=list)
    phases: list[tf.Tensor] = dataclasses.field(default_factory=list)
    normalizable: list[Term] = dataclasses.field(default_factory=list)

    def add(self, term: tf.Tensor | Term, in_phases: bool = False) -> None:
        """Adds one term, as `Operation.compute` returned it."""
        if isinstance(term, Term):
            self.normalizable.append(term)
        elif in_phases:
            self.phases.append(term)
        else:
            self.images.append(term)

    def extend(self, others: Terms) -> None:
        """Adds the terms of another edge."""
        self.images += others.images
        self.phases += others.phases
        self.normalizable += others.normalizable

    def sum(self) -> tf.Tensor:
        """Returns the sum, (batch, height, width, channels)."""
        sums = list(self.images)
        if self.phases:
            sums.append(join_phases(tf.add_n(self.phases)))
        if self.normalizable:
            sums.append(sum_terms(self.normalizable))
        return sums[0] if len(sums) == 1 else tf.add_n(sums)


@keras.saving.register_keras_serializable("fairdarts_tf")
class MixedOp(keras.layers.Layer):
    """Computes ``sum over o of weight[e, o] * o(x)`` on each edge e that leaves one state.

    Nothing is normalised over operations or edges; whether the weights compete is the relaxation's matter. With
    ``edges=1`` this is the mixed operation of the papers. The weights enter as the scale of each operation's last
    BatchNorm, which has no scale of its own: the product costs no pass over memory, and the gradient of a weight falls
    out of BatchNorm's.

    Args:
        operations: Names of the candidate operations, in the order of the weights' columns.
        edges: The number of edges that leave the state. Defaults to 1.
        stride: The stride of all operations: 1 or 2. Defaults to 1.

    Example:
        >>> mixed = fd.MixedOp(("skip_connect", "sep_conv_3x3"))
        >>> weights = np.array([[0.9, 0.1]], "float32")
        >>> [edge.shape for edge in mixed(np.zeros((4, 8, 8, 2), "float32"), weights=weights)]
        [TensorShape([4, 8, 8, 2])]
    """

    def __init__(self, operations: Sequence[str], edges: int = 1, stride: int = 1, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)
        self.operations = tuple(operations)
        self.edges = edges
        self.stride = stride
        self.candidates = [
            operation(name, edges=edges, stride=stride, dtype=self.dtype_policy) for name in self.operations
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the candidates for states (batch, height, width, channels)."""
        for candidate in self.candidates:
            candidate.build(tuple(input_shape))

    def call(
        self,
        inputs: tf.Tensor,
        weights: tf.Tensor,
        training: bool | None = None,
        perturbation: Perturbation | None = None,
    ) -> list[tf.Tensor]:
        """Mixes the candidates on each edge.

        Args:
            inputs: The state, (batch, height, width, channels).
            weights: Mixing weights, (edges, operations).
            training: Whether BatchNorm uses the batch's statistics.
            perturbation: What disturbs the operations. Defaults to None: nothing.

        Returns:
            A list of one tensor an edge, (batch, ceil(height / stride), ceil(width / stride), channels).
        """
        return [terms.sum() for terms in self.terms(SourceState(inputs, training, perturbation), weights)]

    def terms(self, state: SourceState, weights: tf.Tensor) -> list[Terms]:
        """Returns what `call` sums, edge by edge, so that a node can sum the terms of all its edges at once.

        Args:
            state: The state that the edges leave.
            weights: Mixing weights, (edges, operations).
        """
        # Kernels take one scale for all channels; TensorFlow's BatchNorm does not.
        scales = self._scales(weights, channels=1 if state.compiled else state.tensor.shape[-1])
        edges = [Terms() for _ in range(self.edges)]
        for column, (candidate, scale) in enumerate(zip(self.candidates, scales, strict=True)):
            outputs = candidate.compute(state, scale)
            in_phases = candidate.stays_in_phases(state)
            if state.perturbation is not None and state.perturbation.touches(candidate):
                outputs = [sum_terms([x]) if isinstance(x, Term) else x for x in outputs]
                outputs = state.perturbation.apply(candidate, column, outputs, scale, in_phases)
            for terms, output in zip(edges, outputs, strict=True):
                terms.add(output, in_phases)
        return edges

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        """Returns the shape of each edge's output."""
        return self.candidates[0].compute_output_shape(input_shape)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"operations": self.operations, "edges": self.edges, "stride": self.stride}

    def _scales(self, weights: tf.Tensor, channels: int) -> list[tf.Tensor]:
        """Returns, for each operation, its weight on each edge as a scale of every channel: (edges, channels)."""
        shape = [self.edges, len(self.operations), channels]
        table = tf.broadcast_to(tf.convert_to_tensor(weights)[..., tf.newaxis], shape)
        return tf.unstack(table, axis=1)
