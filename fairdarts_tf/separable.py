"""Depthwise-pointwise convolutions of several kernel pairs, and their gradients by the fastest operations.

The gradient in a kernel of width 5 is computed as two of width 3: TensorFlow's CPU library has a fast gradient for
kernels up to 3 pixels wide and one several times slower for wider ones. The gradient of tap (i, j) is the sum over
pixels of ``x[y + i, x + j] * dy[y, x]``: no tap depends on another. Taps 0, 1, 2 of a row are those of a 5x3 kernel on
the image padded by two pixels on the left alone, taps 2, 3, 4 on the image padded on the right alone. All kernels that
read one image share both.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

LEAST_SIDE = 8
"""Below this height or width of the outputs a single gradient of a 5x5 kernel is the faster one."""


def convolve(
    images: tf.Tensor, depthwise: Sequence[tf.Tensor], pointwise: Sequence[tf.Tensor], stride: int = 1
) -> list[tf.Tensor]:
    """Convolves the same images depthwise and then pointwise, with each of several pairs of kernels.

    Args:
        images: (batch, height, width, channels).
        depthwise: Each (side, side, channels, 1), side odd; the padding is side // 2 on every side.
        pointwise: Each (1, 1, channels, filters).
        stride: Of the depthwise convolution, 1 or 2.

    Returns:
        A tensor (batch, ceil(height / stride), ceil(width / stride), filters) for each pair.
    """
    padded = _pad(images, depthwise[0], stride)
    pairs = zip(depthwise, pointwise, strict=True)
    return [_pointwise(_depthwise(padded, kernel, stride), point) for kernel, point in pairs]


def gradients(
    images: tf.Tensor,
    depthwise: Sequence[tf.Tensor],
    pointwise: Sequence[tf.Tensor],
    stride: int,
    upstreams: Sequence[tf.Tensor],
) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
    """Returns the gradients of `convolve` in the images, the depthwise and the pointwise kernels.

    What lies between the two convolutions is computed again. That waits for the gradient that needs it, as it would
    otherwise run, and be kept, at once.

    Args:
        images: As for `convolve`.
        depthwise: As for `convolve`.
        pointwise: As for `convolve`.
        stride: As for `convolve`.
        upstreams: The gradients in its outputs.
    """
    with tf.control_dependencies(upstreams[:1]):
        padded = _pad(images, depthwise[0], stride)
        windows = _windows(padded, depthwise[0], stride)
    size = _size(padded)
    size_between = _size(upstreams[0], channels=images.shape[-1])
    of_padded, of_depthwise, of_pointwise = [], [], []
    for upstream, kernel, point in zip(upstreams, depthwise, pointwise, strict=True):
        with tf.control_dependencies([upstream]):
            between = _depthwise(padded, kernel, stride)
        of_pointwise.append(
            tf.raw_ops.Conv2DBackpropFilter(
                input=between, filter_sizes=point.shape, out_backprop=upstream, strides=[1, 1, 1, 1], padding="SAME"
            )
        )
        of_between = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=size_between, filter=point, out_backprop=upstream, strides=[1, 1, 1, 1], padding="SAME"
        )
        of_depthwise.append(_of_taps(windows, of_between, kernel, stride))
        of_padded.append(
            tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=size, filter=kernel, out_backprop=of_between, **_options(stride)
            )
        )
    return _crop(tf.add_n(of_padded), depthwise[0], stride), of_depthwise, of_pointwise


def _size(images: tf.Tensor, channels: int | None = None) -> tf.Tensor:
    """Returns the shape of images, with other channels if there are any: one constant, where it is known."""
    channels = images.shape[-1] if channels is None else channels
    if images.shape.is_fully_defined():
        return tf.constant([*images.shape[:3], channels])
    return tf.concat([tf.shape(images)[:3], [channels]], axis=0)


def _options(stride: int) -> dict[str, object]:
    """At stride 1 the padding stays inside the operation; at stride 2 its own would be lopsided."""
    return {"strides": [1, stride, stride, 1], "padding": "SAME" if stride == 1 else "VALID"}


def _depthwise(padded: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    return tf.raw_ops.DepthwiseConv2dNative(input=padded, filter=kernel, **_options(stride))


def _pointwise(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(images, kernel, strides=1, padding="SAME")


def _pad(images: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    if stride == 1:
        return images
    margin = kernel.shape[0] // 2
    return tf.pad(images, [[0, 0], [margin, margin], [margin, margin], [0, 0]])


def _crop(padded: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Undoes `_pad`."""
    margin = kernel.shape[0] // 2
    return padded if stride == 1 else padded[:, margin:-margin, margin:-margin]


def _windows(padded: tf.Tensor, kernel: tf.Tensor, stride: int) -> tuple[tf.Tensor, tf.Tensor] | tf.Tensor:
    """Returns what the gradient in the taps reads: two images where a kernel of width 5 is halved, else the one."""
    sides = padded.shape[1:3]
    wide = sides.is_fully_defined() and min(sides) >= LEAST_SIDE * stride
    halves = kernel.shape[:2] == (5, 5) and wide and padded.dtype in (tf.float32, tf.bfloat16)
    if not halves or tf.config.list_physical_devices("GPU"):
        return padded
    if stride == 2:
        return padded[:, :, :-2], padded[:, :, 2:]
    left, right = ([[0, 0], [2, 2], columns, [0, 0]] for columns in ([2, 0], [0, 2]))
    return tf.pad(padded, left), tf.pad(padded, right)


def _of_taps(
    windows: tuple[tf.Tensor, tf.Tensor] | tf.Tensor, upstream: tf.Tensor, kernel: tf.Tensor, stride: int
) -> tf.Tensor:
    """Returns the gradient in a depthwise kernel."""
    if isinstance(windows, tf.Tensor):
        return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=windows, filter_sizes=kernel.shape, out_backprop=upstream, **_options(stride)
        )
    left, right = (
        tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=window,
            filter_sizes=[5, 3, *kernel.shape[2:]],
            out_backprop=upstream,
            strides=[1, stride, stride, 1],
            padding="VALID",
        )
        for window in windows
    )
    return tf.concat([left, right[:, 1:]], axis=1)
