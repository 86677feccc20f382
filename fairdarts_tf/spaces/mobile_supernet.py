"""The supernet of search space S2."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf.bottlenecks import ConvolutionUnit, InvertedBottleneck
from fairdarts_tf.initializers import FanInUniform
from fairdarts_tf.mixed_layer import MixedLayer, SampledLayer
from fairdarts_tf.mobile_genotypes import KINDS, MobileLayer
from fairdarts_tf.relaxations import relaxation as relaxation_named
from fairdarts_tf.spaces.mobile import MobileSpace

if TYPE_CHECKING:
    from fairdarts_tf.perturbations import Perturbation

_KIND = KINDS[0]


@keras.saving.register_keras_serializable("fairdarts_tf")
class MobileSupernet(keras.Model):
    """Stem, fixed block, choice layers, 1x1 convolution, global average pooling and a linear classifier.

    The alphas are one weight of the model, in `alphas` under ``"layers"``: (choice layers, operations). All other
    trainable weights are in `network_weights`.

    Args:
        num_classes: Number of classes.
        relaxation: Name of the relaxation. Defaults to ``"sigmoid"``.
        alpha_noise: Standard deviation of the initial alphas around 0. Defaults to 0.
        rematerialize: Whether the gradient of a choice layer computes it again, which saves memory. Defaults to False.
        sampled_paths: How many operations of a layer are computed, sampled: another algorithm, see
            `fairdarts_tf.sampled_paths`. Defaults to 0: all, mixed.
        seed: Of the sampling. Defaults to 0.
        kwargs: The fields of `MobileSpace`, and those of `keras.Model`, such as ``dtype``.

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
        relaxation: str = "sigmoid",
        alpha_noise: float = 0.0,
        rematerialize: bool = False,
        sampled_paths: int = 0,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        names = [field.name for field in dataclasses.fields(MobileSpace)]
        space = MobileSpace(**{name: kwargs.pop(name) for name in names if name in kwargs})
        super().__init__(**kwargs)
        self.space = space
        self.num_classes = num_classes
        self.relaxation = relaxation
        self.alpha_noise = alpha_noise
        self.rematerialize = rematerialize
        self.sampled_paths = sampled_paths
        self.seed = seed
        self._relax = relaxation_named(relaxation).of_tensor
        policy = {"dtype": self.dtype_policy}
        self.stem = ConvolutionUnit(space.mobile_stem_width, 3, space.mobile_stem_stride, name="stem", **policy)
        self.first_block = InvertedBottleneck(space.mobile_first_width, expansion=1, name="first_block", **policy)
        self.choice_layers = [self._choice_layer(layer, policy) for layer in space.layers]
        self.head = ConvolutionUnit(space.mobile_head_width, name="head", **policy)
        self.classifier = keras.layers.Dense(num_classes, name="classifier", dtype=self._result_dtype)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the alphas and builds all layers for images (batch, height, width, channels)."""
        self.alphas = {
            _KIND: self.add_weight(
                name=f"alphas_{_KIND}",
                shape=self.space.alpha_shapes[_KIND],
                initializer=self._initial_alphas if self.alpha_noise else "zeros",
                dtype=self._result_dtype,
                autocast=False,
            )
        }
        if self.sampled_paths:
            self.seed_generator = keras.random.SeedGenerator(self.seed, name="seed_generator")
        shape = tuple(input_shape)
        for layer in (self.stem, self.first_block, *self.choice_layers, self.head):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.classifier.kernel_initializer = FanInUniform(shape[-1])
        self.classifier.bias_initializer = FanInUniform(shape[-1])
        self.classifier.build((None, shape[-1]))

    def call(
        self, images: tf.Tensor, training: bool | None = None, perturbation: Perturbation | None = None
    ) -> tf.Tensor:
        """Returns the logits of the images."""
        weights = tf.unstack(self.mixing_weights()[_KIND])
        x = self.stem(tf.cast(images, self.compute_dtype), training=training)
        x = self.first_block(x, training=training)
        options = self._options_of_layers(training, perturbation)
        for layer, row, named in zip(self.choice_layers, weights, options, strict=True):
            x = layer(x, row, training=training, **named)
        x = self.head(x, training=training)
        return self.classifier(tf.cast(tf.reduce_mean(x, axis=[1, 2]), self._result_dtype))

    def mixing_weights(self) -> dict[str, tf.Tensor]:
        """Returns the relaxed alphas, (layers, operations), under ``"layers"``; 0 where nothing is in play."""
        in_play = self.space.in_play
        return {kind: self._relax(tf.convert_to_tensor(table), in_play[kind]) for kind, table in self.alphas.items()}

    def kept_scales(self) -> np.ndarray:
        """Returns what the bottleneck of each choice is multiplied by, (layers, operations).

        That is its mixing weight; where paths are sampled it is passed on as it is.
        """
        weights = np.array(self.mixing_weights()[_KIND])
        return np.ones_like(weights) if self.sampled_paths else weights

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
        names = ("num_classes", "relaxation", "alpha_noise", "rematerialize", "sampled_paths", "seed")
        own = {name: getattr(self, name) for name in names}
        return super().get_config() | dataclasses.asdict(self.space) | own

    @property
    def _result_dtype(self) -> str:
        """Alphas, classifier and logits never fall below float32, whatever the layers compute in."""
        return "float64" if self.variable_dtype == "float64" else "float32"

    def _options_of_layers(self, training: bool | None, perturbation: Perturbation | None) -> list[dict[str, object]]:
        """Returns what else each choice layer is called with."""
        count = len(self.choice_layers)
        if self.sampled_paths and training:
            seed = tf.cast(self.seed_generator.next(), tf.int64)
            return [{"seed": tf.random.experimental.stateless_fold_in(seed, index)} for index in range(count)]
        if perturbation is not None:
            return [{"perturbation": perturbation.of(index)} for index in range(count)]
        return [{}] * count

    def _initial_alphas(self, shape: tuple[int, ...], dtype: str | None = None) -> object:
        """Draws the alphas in play; the others stay 0, and never move."""
        drawn = keras.initializers.RandomNormal(stddev=self.alpha_noise)(shape, dtype=dtype)
        return keras.ops.where(self.space.in_play[_KIND], drawn, keras.ops.zeros_like(drawn))

    def _choice_layer(self, layer: MobileLayer, policy: dict[str, object]) -> MixedLayer:
        options = {"name": f"layer_{layer.number}", **policy}
        if self.sampled_paths:
            return SampledLayer(self.space.operations, layer.width, layer.stride, paths=self.sampled_paths, **options)
        return MixedLayer(self.space.operations, layer.width, layer.stride, self.rematerialize, **options)
