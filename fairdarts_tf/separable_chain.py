"""Depthwise-pointwise convolutions for training: the gradients of the fastest operations, and few tensors kept.

What the backward pass needs is kept from the forward pass, unless it is cheap to compute again. Of the chain

    images -> depthwise -> a -> pointwise -> b -> BatchNorm, ReLU -> c -> depthwise -> d -> pointwise -> e

a plain gradient keeps a, b, c, d and e. Here b and e are kept: one depthwise convolution of the images gives a; one
normalisation of b gives c, whose depthwise convolution is d. Recomputation waits for the gradient that needs it, as it
would otherwise run, and be kept, at once.

The gradient in a kernel of width 5 is computed as two of width 3: TensorFlow's CPU library has a fast gradient for
kernels up to 3 pixels wide and one several times slower for wider ones. The gradient of tap (i, j) is the sum over
pixels of ``x[y + i, x + j] * dy[y, x]``: no tap depends on another. Taps 0, 1, 2 of a row are those of a 5x3 kernel on
the image padded by two pixels on the left alone, taps 2, 3, 4 on the image padded on the right alone. All kernels that
read one image share both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

LEAST_SIDE = 8
"""Below this height or width of the outputs a single gradient of a 5x5 kernel is the faster one."""


def separable(
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
    count = len(depthwise)

    @tf.custom_gradient
    def compute(images: tf.Tensor, *kernels: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tuple[tf.Tensor]]]:
        depthwise, pointwise = kernels[:count], kernels[count:]
        padded = _pad(images, depthwise[0], stride)
        outputs = [
            _pointwise(_depthwise(padded, kernel, stride), point)
            for kernel, point in zip(depthwise, pointwise, strict=True)
        ]

        def gradient(*upstreams: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return _gradient(images, depthwise, pointwise, stride, upstreams)

        return outputs, gradient

    return compute(images, *depthwise, *pointwise)


def normalized_separable(
    inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float, depthwise: tf.Tensor, pointwise: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """BatchNorm by the batch's statistics, ReLU, then a depthwise and a pointwise convolution of stride 1.

    Args:
        inputs: (batch, height, width, channels), no float64.
        scale: Of the BatchNorm, (channels,).
        offset: Of the BatchNorm, (channels,).
        epsilon: Of the BatchNorm.
        depthwise: (side, side, channels, 1), side odd.
        pointwise: (1, 1, channels, filters).

    Returns:
        (batch, height, width, filters); the batch's mean and its unbiased variance, both (channels,) and without
        gradient.
    """

    @tf.custom_gradient
    def compute(
        inputs: tf.Tensor, depthwise: tf.Tensor, pointwise: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, ...], Callable[..., tuple[tf.Tensor, ...]]]:
        none = tf.zeros([0])
        forward = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=none, variance=none, epsilon=epsilon, is_training=True
        )
        output = _pointwise(_depthwise(tf.nn.relu(forward.y), depthwise, stride=1), pointwise)

        def gradient(upstream: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            with tf.control_dependencies([upstream]):
                normalized = tf.raw_ops.FusedBatchNormV3(
                    x=inputs,
                    scale=scale,
                    offset=offset,
                    mean=forward.batch_mean,
                    variance=_biased(forward.batch_variance, inputs),
                    epsilon=epsilon,
                    is_training=False,
                ).y
                images = tf.nn.relu(normalized)
            of_images, of_depthwise, of_pointwise = _gradient(images, [depthwise], [pointwise], 1, [upstream])
            backward = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=tf.raw_ops.ReluGrad(gradients=of_images, features=images),
                x=inputs,
                scale=scale,
                reserve_space_1=forward.reserve_space_1,
                reserve_space_2=forward.reserve_space_2,
                reserve_space_3=forward.reserve_space_3,
                epsilon=epsilon,
                is_training=True,
            )
            return (
                backward.x_backprop,
                of_depthwise,
                of_pointwise,
                backward.scale_backprop,
                backward.offset_backprop,
            )

        return (output, forward.batch_mean, forward.batch_variance), gradient

    return compute(inputs, depthwise, pointwise, scale, offset)


def _gradient(
    images: tf.Tensor,
    depthwise: Sequence[tf.Tensor],
    pointwise: Sequence[tf.Tensor],
    stride: int,
    upstreams: Sequence[tf.Tensor],
) -> tuple[tf.Tensor, ...]:
    """Returns the gradients of `separable` in the images, the depthwise and the pointwise kernels."""
    with tf.control_dependencies(upstreams[:1]):
        padded = _pad(images, depthwise[0], stride)
        windows = _windows(padded, depthwise[0], stride)
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
            input_sizes=tf.shape(between), filter=point, out_backprop=upstream, strides=[1, 1, 1, 1], padding="SAME"
        )
        of_depthwise.append(_of_taps(windows, of_between, kernel, stride))
        of_padded.append(
            tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(padded), filter=kernel, out_backprop=of_between, **_options(stride)
            )
        )
    return _crop(tf.add_n(of_padded), depthwise[0], stride), *of_depthwise, *of_pointwise


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


def _biased(variance: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """Returns the variance that BatchNorm divides by, from the unbiased one: devices differ in what else they keep."""
    count = tf.cast(tf.size(inputs) // tf.size(variance), variance.dtype)
    return variance * (count - 1) / count
