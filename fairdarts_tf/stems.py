"""What brings images to the first cell: stems for small images and for ImageNet's."""

from __future__ import annotations

import keras
import tensorflow as tf

from fairdarts_tf.cells import ConvolutionBlock


@keras.saving.register_keras_serializable("fairdarts_tf")
class CifarStem(keras.layers.Layer):
    """One 3x3 convolution and BatchNorm; both inputs of the first cell are its output (DARTS).

    Args:
        filters: Channels of the first cells' nodes.
        multiplier: The stem has this many times as many. Defaults to 3.
    """

    reduces = False
    """Whether the second state is half the size of the first."""

    def __init__(self, filters: int, multiplier: int = 3, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.multiplier = multiplier
        self.block = ConvolutionBlock(
            filters * multiplier, kernel_size=3, activate=False, affine=True, name="block", dtype=self.dtype_policy
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the convolution."""
        self.block.build(tuple(input_shape))

    def call(self, images: tf.Tensor, training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the two inputs of the first cell."""
        x = self.block(images, training=training)
        return x, x

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], ...]:
        """Returns the shapes of both outputs."""
        return (self.block.compute_output_shape(tuple(input_shape)),) * 2

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"filters": self.filters, "multiplier": self.multiplier}


@keras.saving.register_keras_serializable("fairdarts_tf")
class ImageNetStem(keras.layers.Layer):
    """Two blocks that halve the image twice, then once more; each feeds one input of the first cell (DARTS).

    Args:
        filters: Channels of the first cells' nodes, and of both outputs.
    """

    reduces = True
    """Whether the second state is half the size of the first."""

    def __init__(self, filters: int, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        options = {"kernel_size": 3, "stride": 2, "affine": True, "dtype": self.dtype_policy}
        self.blocks = [
            ConvolutionBlock(filters // 2, activate=False, name="half", **options),
            ConvolutionBlock(filters, name="quarter", **options),
            ConvolutionBlock(filters, name="eighth", **options),
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the three convolutions."""
        shape = tuple(input_shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)

    def call(self, images: tf.Tensor, training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the two inputs of the first cell, a quarter and an eighth of the image's sides."""
        half, quarter, eighth = self.blocks
        older = quarter(half(images, training=training), training=training)
        return older, eighth(older, training=training)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], ...]:
        """Returns the shapes of both outputs."""
        shapes = [tuple(input_shape)]
        for block in self.blocks:
            shapes.append(block.compute_output_shape(shapes[-1]))
        return shapes[2], shapes[3]

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"filters": self.filters}


STEMS = {"cifar": CifarStem, "imagenet": ImageNetStem}
"""Every stem by the name of the images that it is for."""
