"""The supernet of search space S1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from fairdarts_tf.cells import SupernetCell
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS
from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.relaxations import relaxation as relaxation_named
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.stems import CifarStem

if TYPE_CHECKING:
    from fairdarts_tf.perturbations import Perturbation


@keras.saving.register_keras_serializable("fairdarts_tf")
class DartsSupernet(keras.Model):
    """Stem, cells of mixed operations, global average pooling and a linear classifier.

    All normal cells share one table of alphas and all reduction cells another. The alphas are weights of the model, in
    `alphas`; all other trainable weights are in `network_weights`.

    Args:
        num_classes: Number of classes.
        operations: Names of the candidate operations.
        nodes: Intermediate nodes of a cell. Defaults to 4.
        init_channels: Channels of a node before the first reduction. Defaults to 16.
        layers: Number of cells. Defaults to 8.
        stem_multiplier: The stem has this many times `init_channels` channels. Defaults to 3.
        relaxation: Name of the relaxation. Defaults to ``"sigmoid"``.
        alpha_noise: Standard deviation of the initial alphas around 0. Defaults to 0 (FairDARTS); DARTS has 1e-3.

    Call arguments:
        images: (batch, height, width, channels), normalised.
        training: Whether BatchNorm uses the batch's statistics.
        perturbation: What disturbs the operations. Defaults to None: nothing.

    Returns:
        Logits, (batch, num_classes), at least float32.
    """

    def __init__(
        self,
        num_classes: int,
        operations: Sequence[str] = FAIRDARTS_OPERATIONS,
        nodes: int = 4,
        init_channels: int = 16,
        layers: int = 8,
        stem_multiplier: int = 3,
        relaxation: str = "sigmoid",
        alpha_noise: float = 0.0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.space = DartsSpace(tuple(operations), nodes, init_channels, layers, stem_multiplier)
        self.num_classes = num_classes
        self.relaxation = relaxation
        self.alpha_noise = alpha_noise
        self._relax = relaxation_named(relaxation).of_tensor
        policy = {"dtype": self.dtype_policy}
        self.stem = CifarStem(init_channels, stem_multiplier, name="stem", **policy)
        self.cells = [self._cell(index, policy) for index in range(layers)]
        self.classifier = keras.layers.Dense(num_classes, name="classifier", dtype=self._result_dtype)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the alphas and builds all layers for images (batch, height, width, channels)."""
        self.alphas = {
            kind: self.add_weight(
                name=f"alphas_{kind}",
                shape=shape,
                initializer=self._alpha_initializer(),
                dtype=self._result_dtype,
                autocast=False,
            )
            for kind, shape in self.space.alpha_shapes.items()
        }
        self.stem.build(tuple(input_shape))
        older, newer = self.stem.compute_output_shape(tuple(input_shape))
        for cell in self.cells:
            cell.build(older, newer)
            older, newer = newer, cell.compute_output_shape(older, newer)
        channels = newer[-1]
        self.classifier.kernel_initializer = FanInUniform(channels)
        self.classifier.bias_initializer = FanInUniform(channels)
        self.classifier.build((None, channels))

    def call(
        self, images: tf.Tensor, training: bool | None = None, perturbation: Perturbation | None = None
    ) -> tf.Tensor:
        """Returns the logits of the images."""
        weights = self.mixing_weights()
        older, newer = self.stem(tf.cast(images, self.compute_dtype), training=training)
        for index, cell in enumerate(self.cells):
            kind = "reduce" if cell.reduction else "normal"
            options = {} if perturbation is None else {"perturbation": perturbation.of(index)}
            older, newer = newer, cell(older, newer, weights[kind], training=training, **options)
        return self.classifier(tf.cast(tf.reduce_mean(newer, axis=[1, 2]), self._result_dtype))

    def mixing_weights(self) -> dict[str, tf.Tensor]:
        """Returns the relaxed alphas, (edges, operations), by kind of cell."""
        return {kind: self._relax(tf.convert_to_tensor(table)) for kind, table in self.alphas.items()}

    @property
    def network_weights(self) -> list[keras.Variable]:
        """All trainable weights but the alphas."""
        alphas = {id(table) for table in self.alphas.values()}
        return [weight for weight in self.trainable_weights if id(weight) not in alphas]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the logits."""
        return (input_shape[0], self.num_classes)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this model."""
        return super().get_config() | {
            "num_classes": self.num_classes,
            "operations": self.space.operations,
            "nodes": self.space.nodes,
            "init_channels": self.space.init_channels,
            "layers": self.space.layers,
            "stem_multiplier": self.space.stem_multiplier,
            "relaxation": self.relaxation,
            "alpha_noise": self.alpha_noise,
        }

    @property
    def _result_dtype(self) -> str:
        """Alphas, classifier and logits never fall below float32, whatever the cells compute in."""
        return "float64" if self.variable_dtype == "float64" else "float32"

    def _alpha_initializer(self) -> keras.initializers.Initializer | str:
        """Returns a new initializer for each table: one draws the same values every time."""
        return keras.initializers.RandomNormal(stddev=self.alpha_noise) if self.alpha_noise else "zeros"

    def _cell(self, index: int, policy: dict[str, object]) -> SupernetCell:
        reductions = self.space.reductions
        doublings = sum(index >= reduction for reduction in reductions)
        return SupernetCell(
            self.space.operations,
            filters=self.space.init_channels * 2**doublings,
            nodes=self.space.nodes,
            reduction=index in reductions,
            reduces_older=index - 1 in reductions,
            name=f"cell_{index}",
            **policy,
        )
