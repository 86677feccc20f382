"""The found network: cells of a genotype, stacked and trained from scratch."""

from __future__ import annotations

import json

import keras
import tensorflow as tf

from fairdarts_tf.auxiliary_head import AuxiliaryHead
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.network_cells import DROP_PATHS, NetworkCell
from fairdarts_tf.spaces.reductions import reduction_cells
from fairdarts_tf.stems import STEMS


@keras.saving.register_keras_serializable("fairdarts_tf")
class DartsNetwork(keras.Model):
    """Stem, cells of a genotype, global average pooling and a linear classifier.

    Args:
        genotype: The cells.
        num_classes: Number of classes.
        init_channels: Channels of a node before the first reduction. Defaults to 36 (CIFAR-10; ImageNet: 48).
        layers: Number of cells. Defaults to 20 (CIFAR-10; ImageNet: 14).
        stem: ``"cifar"`` or ``"imagenet"``. Defaults to ``"cifar"``.
        auxiliary: Whether an auxiliary head is trained after the second reduction. Defaults to False.
        drop_path: Where paths are dropped: ``"node"`` (FairDARTS) or ``"operation"`` (DARTS). Defaults to ``"node"``.

    Call arguments:
        images: (batch, height, width, channels), normalised.
        training: Whether BatchNorm uses the batch's statistics, and paths are dropped.

    Returns:
        Logits, (batch, num_classes), at least float32; in training with an auxiliary head a pair with its logits.

    Raises:
        ConfigurationError: When stem or drop path are unknown.

    Example:
        >>> network = fd.DartsNetwork(fd.load_genotype("FairDARTS_a"), num_classes=10, init_channels=2, layers=3)
        >>> network(np.zeros((4, 32, 32, 3), "float32")).shape
        TensorShape([4, 10])
    """

    def __init__(
        self,
        genotype: Genotype,
        num_classes: int,
        init_channels: int = 36,
        layers: int = 20,
        stem: str = "cifar",
        auxiliary: bool = False,
        drop_path: str = "node",
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        if stem not in STEMS:
            raise ConfigurationError(unknown_name("stem", stem, STEMS))
        if drop_path not in DROP_PATHS:
            raise ConfigurationError(unknown_name("drop path", drop_path, DROP_PATHS))
        self.genotype = genotype
        self.num_classes = num_classes
        self.init_channels = init_channels
        self.layer_count = layers
        self.stem_name = stem
        self.auxiliary = auxiliary
        self.drop_path = drop_path
        self.reductions = reduction_cells(layers)
        policy = {"dtype": self.dtype_policy}
        self.stem = STEMS[stem](init_channels, name="stem", **policy)
        self.cells = [self._cell(index, policy) for index in range(layers)]
        self.auxiliary_head = (
            AuxiliaryHead(num_classes, stride=3 if stem == "cifar" else 2, name="auxiliary_head", **policy)
            if auxiliary
            else None
        )
        self.classifier = keras.layers.Dense(num_classes, name="classifier", dtype=self._result_dtype)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds all layers for images (batch, height, width, channels).

        Raises:
            ConfigurationError: When the images are too small for the reductions or the auxiliary head.
        """
        least = (8 if self.stem.reduces else 1) * 2 ** len(self.reductions)
        if min(side or least for side in input_shape[1:3]) < least:
            raise ConfigurationError(
                f"images of {input_shape[1]} x {input_shape[2]} pixels are too small: the network halves them to "
                f"nothing. It needs at least {least} pixels a side; enlarge them with --image_size."
            )
        self.stem.build(tuple(input_shape))
        older, newer = self.stem.compute_output_shape(tuple(input_shape))
        for index, cell in enumerate(self.cells):
            cell.build(older, newer)
            older, newer = newer, cell.compute_output_shape(older, newer)
            if self.auxiliary_head is not None and index == self.reductions[1]:
                self.auxiliary_head.build(newer)
        self.classifier.kernel_initializer = FanInUniform(newer[-1])
        self.classifier.bias_initializer = FanInUniform(newer[-1])
        self.classifier.build((None, newer[-1]))

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        """Returns the logits of the images."""
        older, newer = self.stem(tf.cast(images, self.compute_dtype), training=training)
        auxiliary_logits = None
        for index, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer, training=training)
            if training and self.auxiliary_head is not None and index == self.reductions[1]:
                auxiliary_logits = self.auxiliary_head(newer, training=training)
        logits = self.classifier(tf.cast(tf.reduce_mean(newer, axis=[1, 2]), self._result_dtype))
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)

    def set_drop_path_rate(self, rate: float) -> None:
        """Sets the probability that a path is dropped, in [0, 1)."""
        for cell in self.cells:
            for layer in cell.drop_paths.values():
                layer.rate.assign(rate)

    @property
    def training_variables(self) -> list[keras.Variable]:
        """The variables that only training has: those of drop path and of the auxiliary head."""
        paths = [path for cell in self.cells for path in cell.drop_paths.values()]
        heads = [] if self.auxiliary_head is None else [self.auxiliary_head]
        return [variable for layer in (*paths, *heads) for variable in layer.variables]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the logits."""
        return (input_shape[0], self.num_classes)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this model."""
        return super().get_config() | {
            "genotype": json.loads(self.genotype.to_json()),
            "num_classes": self.num_classes,
            "init_channels": self.init_channels,
            "layers": self.layer_count,
            "stem": self.stem_name,
            "auxiliary": self.auxiliary,
            "drop_path": self.drop_path,
        }

    @classmethod
    def from_config(cls, config: dict[str, object]) -> DartsNetwork:
        """Rebuilds a model from `get_config`."""
        return cls(**config | {"genotype": Genotype.from_json(json.dumps(config["genotype"]))})

    @property
    def _result_dtype(self) -> str:
        """Classifier and logits never fall below float32, whatever the cells compute in."""
        return "float64" if self.variable_dtype == "float64" else "float32"

    def _cell(self, index: int, policy: dict[str, object]) -> NetworkCell:
        doublings = sum(index >= reduction for reduction in self.reductions)
        reduction = index in self.reductions
        return NetworkCell(
            self.genotype.items("reduce" if reduction else "normal"),
            filters=self.init_channels * 2**doublings,
            reduction=reduction,
            reduces_older=index - 1 in self.reductions or (index == 0 and self.stem.reduces),
            drop_path=self.drop_path,
            name=f"cell_{index}",
            **policy,
        )
