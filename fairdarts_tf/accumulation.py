"""Gradient accumulation: a batch in parts, one after the other, whose gradients add up to those of the whole.

A step then takes the memory of one part. The loss is the mean over the batch, so the mean of the parts' means: the
gradients are those of the whole batch, but for BatchNorm, which normalises each part by its own mean and variance and
moves its running statistics once for each part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

Differentiate = Callable[[tf.Tensor, tf.Tensor, "tf.Tensor | int"], tuple[Sequence[tf.Tensor], Sequence[tf.Tensor]]]
"""From images, labels and the number of a part to the gradients of the loss, and to what is wanted of each image."""


def in_parts(
    differentiate: Differentiate,
    images: tf.Tensor,
    labels: tf.Tensor,
    parts: int,
    variables: Sequence[keras.Variable],
    wanted: Sequence[tf.DType],
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Returns the mean of the gradients of a batch's parts, and what is wanted of each image, for the whole batch.

    Args:
        differentiate: Called with each part.
        images: (batch, ...), the batch divisible by `parts`.
        labels: (batch,).
        parts: How many; 1: the batch as it is.
        variables: What the gradients are in.
        wanted: The dtype of each tensor that is wanted of the images.
    """
    if parts == 1:
        gradients, of_images = differentiate(images, labels, 0)
        return list(gradients), list(of_images)
    stacked = [_stack(tensor, parts) for tensor in (images, labels)]

    def add(part: tf.Tensor, sums: list[tf.Tensor], arrays: list[tf.TensorArray]) -> tuple:
        gradients, of_images = differentiate(*(tensor[part] for tensor in stacked), part)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
        return part + 1, sums, [array.write(part, tensor) for array, tensor in zip(arrays, of_images, strict=True)]

    sums = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
    arrays = [tf.TensorArray(dtype, parts) for dtype in wanted]
    # One part at a time: side by side they would take the memory of the whole.
    _, sums, arrays = tf.while_loop(
        lambda part, *_: part < parts, add, (tf.constant(0), sums, arrays), parallel_iterations=1
    )
    return [total / parts for total in sums], [array.concat() for array in arrays]


def _stack(tensor: tf.Tensor, parts: int) -> tf.Tensor:
    """Returns a batch as (parts, images of a part, ...)."""
    size = -1 if tensor.shape[0] is None else tensor.shape[0] // parts
    return tf.reshape(tensor, [parts, size, *tensor.shape[1:]])
