"""Convolutions and poolings with the padding of the reference: k // 2 on every side, also at stride 2.

Keras' and TensorFlow's "same" pads an even image at stride 2 on the right and below only, which shifts every pixel.
All functions take images (batch, height, width, channels) and kernels that start with (height, width, ...).
"""

from __future__ import annotations

import tensorflow as tf

Shape = tuple[int | None, ...]


def strided_shape(shape: Shape, stride: int, channels: int | None) -> Shape:
    """Returns (batch, ceil(height / stride), ceil(width / stride), channels) for images of a shape."""
    batch, *sides, _ = shape
    return (batch, *(None if side is None else -(-side // stride) for side in sides), channels)


def pointwise(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """1x1 convolution at stride 1; kernel (1, 1, channels in, channels out)."""
    return tf.nn.conv2d(images, kernel, strides=1, padding="SAME")


def convolution(images: tf.Tensor, kernel: tf.Tensor, strides: tuple[int, int] = (1, 1)) -> tf.Tensor:
    """Convolution; kernel (height, width, channels in, channels out), both sides odd."""
    if strides == (1, 1):
        # "SAME" is symmetric here; TFLite turns padding of one's own into an operation that copies the image.
        return tf.nn.conv2d(images, kernel, strides=1, padding="SAME")
    padding = [[0, 0], *([side // 2, side // 2] for side in kernel.shape[:2]), [0, 0]]
    return tf.nn.conv2d(images, kernel, strides=strides, padding=padding)


def depthwise(images: tf.Tensor, kernel: tf.Tensor, stride: int = 1, dilation: int = 1) -> tf.Tensor:
    """Depthwise convolution; kernel (side, side, channels, 1), side odd; dilation 1 or 2.

    With stride 2 and dilation 2 every tap falls on an even pixel: it is the plain convolution of the even pixels.
    TensorFlow's own operation returns wrong values for that pair.
    """
    if stride == 2 and dilation == 2:
        images, stride, dilation = images[:, ::2, ::2], 1, 1
    if stride == 1:
        # "SAME" is symmetric here, and the padding stays inside the fast kernel of the CPU.
        return tf.nn.depthwise_conv2d(images, kernel, [1, 1, 1, 1], "SAME", dilations=[dilation, dilation])
    margin = kernel.shape[0] // 2
    padded = tf.pad(images, [[0, 0], [margin, margin], [margin, margin], [0, 0]])
    return tf.nn.depthwise_conv2d(padded, kernel, [1, stride, stride, 1], "VALID")


def max_pool_3x3(images: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Maximum over 3x3 pixels; pixels beyond the edge never win."""
    if stride == 1:
        return tf.nn.max_pool2d(images, 3, 1, "SAME")
    # TFLite has no pooling with padding of one's own. A pixel that is repeated in its own window changes no maximum.
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    return tf.nn.max_pool2d(padded, 3, stride, "VALID")


def average_pool_3x3(images: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Mean over the pixels of a 3x3 window that lie inside the image."""
    if stride == 1:
        return tf.nn.avg_pool2d(images, 3, 1, "SAME")
    # The windows of stride 2 are every second one of stride 1, whose padding is symmetric.
    return tf.nn.avg_pool2d(images, 3, 1, "SAME")[:, ::stride, ::stride]
