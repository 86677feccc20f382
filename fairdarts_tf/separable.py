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


Taps = tf.Tensor | tuple[tf.Tensor, tf.Tensor]


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
    images: Sequence[tf.Tensor],
    depthwise: Sequence[tf.Tensor],
    pointwise: Sequence[tf.Tensor],
    stride: int,
    upstreams: Sequence[tf.Tensor],
    of_kernels: bool = True,
) -> tuple[list[tf.Tensor], list[Taps], list[tf.Tensor]]:
    """Returns the gradients of `convolve` in its images and kernels, for several pairs of kernels.

    What lies between the two convolutions is computed again. That waits for the gradient that needs it, as it would
    otherwise run, and be kept, at once.

    Args:
        images: Those of each pair. Pairs that share theirs, the same tensor, share what is made of it.
        depthwise: As for `convolve`.
        pointwise: As for `convolve`.
        stride: As for `convolve`.
        upstreams: The gradients in its outputs.
        of_kernels: Whether the kernels' gradients are wanted.

    Returns:
        The gradient in each distinct image, in their order; that in each depthwise kernel, for `stack_taps`; and that
        in each pointwise kernel. The last two are empty where they are not wanted.
    """
    shape = images[0].shape
    size = _size(images[0], padding=0 if stride == 1 else 2 * (depthwise[0].shape[0] // 2))
    size_between = _size(upstreams[0], channels=shape[-1])
    size_of_point = tf.constant(pointwise[0].shape.as_list())
    padded: dict[int, tf.Tensor] = {}
    windows: dict[int, Taps] = {}
    of_padded: dict[int, list[tf.Tensor]] = {}
    of_depthwise, of_pointwise = [], []
    for x, kernel, point, upstream in zip(images, depthwise, pointwise, upstreams, strict=True):
        of_between = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=size_between, filter=point, out_backprop=upstream, strides=[1, 1, 1, 1], padding="SAME"
        )
        of_padded.setdefault(id(x), []).append(
            tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=size, filter=kernel, out_backprop=of_between, **_options(stride)
            )
        )
        if not of_kernels:
            continue
        with tf.control_dependencies([upstream]):
            if id(x) not in padded:
                padded[id(x)] = _pad(x, kernel, stride)
                windows[id(x)] = _windows(padded[id(x)], kernel, stride)
            between = _depthwise(padded[id(x)], kernel, stride)
        of_pointwise.append(
            tf.raw_ops.Conv2DBackpropFilter(
                input=between,
                filter_sizes=size_of_point,
                out_backprop=upstream,
                strides=[1, 1, 1, 1],
                padding="SAME",
            )
        )
        of_depthwise.append(_of_taps(windows[id(x)], of_between, kernel, stride))
    of_images = [_crop(_sum(terms), depthwise[0], stride) for terms in of_padded.values()]
    return of_images, of_depthwise, of_pointwise


def stack_taps(of_depthwise: Sequence[Taps]) -> tf.Tensor:
    """Returns the gradients in several depthwise kernels, (kernels, side, side, channels, 1)."""
    if isinstance(of_depthwise[0], tf.Tensor):
        return tf.stack(of_depthwise)
    left, right = (tf.stack(columns) for columns in zip(*of_depthwise, strict=True))
    # The column in the middle is in both.
    return tf.concat([left, right[:, :, 1:]], axis=2)


def _sum(terms: Sequence[tf.Tensor]) -> tf.Tensor:
    return terms[0] if len(terms) == 1 else tf.add_n(terms)


def _size(images: tf.Tensor, channels: int | None = None, padding: int = 0) -> tf.Tensor:
    """Returns the shape of images with other channels or enlarged sides: one constant, where it is known."""
    batch, height, width, own_channels = images.shape
    batch = tf.shape(images)[0] if batch is None else batch
    return tf.stack([batch, height + padding, width + padding, own_channels if channels is None else channels])


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


def _windows(padded: tf.Tensor, kernel: tf.Tensor, stride: int) -> Taps:
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


def _of_taps(windows: Taps, upstream: tf.Tensor, kernel: tf.Tensor, stride: int) -> Taps:
    """Returns the gradient in a depthwise kernel, or in its first and its last three columns."""
    if isinstance(windows, tf.Tensor):
        return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=windows, filter_sizes=kernel.shape, out_backprop=upstream, **_options(stride)
        )
    options = {"strides": [1, stride, stride, 1], "padding": "VALID", "filter_sizes": [5, 3, *kernel.shape[2:]]}
    left, right = (
        tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(input=window, out_backprop=upstream, **options)
        for window in windows
    )
    return left, right
