"""Single layers of found networks, ready to be timed: a function of each kind and shape of layer.

Weights are random. BatchNorm is that of inference, which converters fold into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf import layer_shapes
from fairdarts_tf.bottlenecks import ConvolutionUnit, InvertedBottleneck
from fairdarts_tf.cells import ConvolutionBlock
from fairdarts_tf.layer_shapes import LayerShape
from fairdarts_tf.mobile_genotypes import bottleneck
from fairdarts_tf.mobile_network import FoundLayer
from fairdarts_tf.operations import OPERATIONS, FactorizedReduce, operation

Compute = Callable[..., tf.Tensor]


def layer_function(shape: LayerShape, copies: int = 1) -> tf.types.experimental.ConcreteFunction:
    """Returns the function of one image that a layer computes, in inference, or so many of its kind side by side.

    The arguments of each are what it reads: an image (1, side, side, inputs) in float32, several of a sum or of a
    concatenation, or pixels in uint8. Copies have weights and inputs of their own, so that no compiler takes them for
    one.
    """
    build = _BUILDERS.get(shape.kind, _operation)
    layers = [build(shape) for _ in range(copies)]
    count = _INPUT_COUNTS.get(shape.kind, lambda _: 1)(shape)
    dtype = tf.uint8 if shape.kind in _READ_PIXELS else tf.float32
    image = tf.TensorSpec((1, shape.side, shape.side, shape.inputs), dtype)

    def compute(*images: tf.Tensor) -> list[tf.Tensor]:
        outputs = [layer(*images[place * count : (place + 1) * count]) for place, layer in enumerate(layers)]
        return [output[(slice(0, 1),) * len(output.shape)] for output in outputs]

    function = tf.function(compute, input_signature=[image] * (count * copies), autograph=False).get_concrete_function()
    # TensorFlow holds a function's variables weakly: collected in between, they are missing when it is converted.
    function.layers = layers
    return function


def _operation(shape: LayerShape) -> Compute:
    if shape.kind in OPERATIONS:
        return _first(operation(shape.kind, stride=shape.stride, affine=True), shape)
    choice = bottleneck(shape.kind)
    return _built(FoundLayer(shape.outputs, choice.kernel, choice.expansion, shape.stride), shape)


def _convolution(side: int, activate: bool = True) -> Callable[[LayerShape], Compute]:
    def build(shape: LayerShape) -> Compute:
        layer = ConvolutionBlock(shape.outputs, side, shape.stride, activate, affine=True)
        return _built(layer, shape)

    return build


def _unit(side: int) -> Callable[[LayerShape], Compute]:
    return lambda shape: _built(ConvolutionUnit(shape.outputs, side, shape.stride), shape)


def _first_block(shape: LayerShape) -> Compute:
    return _built(InvertedBottleneck(shape.outputs, expansion=1), shape)


def _of_pixels(build: Callable[[LayerShape], Compute]) -> Callable[[LayerShape], Compute]:
    """Lets a layer read bytes of pixels, normalised as `ServingNetwork` does."""

    def build_with_pixels(shape: LayerShape) -> Compute:
        convolution = build(shape)
        scale, offset = (np.full(shape.inputs, value, np.float32) for value in (1 / 64, -2.0))
        return lambda pixels: convolution(tf.cast(pixels, tf.float32) * scale + offset)

    return build_with_pixels


def _reduce(shape: LayerShape) -> Compute:
    return _first(FactorizedReduce(filters=shape.outputs, affine=True), shape)


def _classifier(shape: LayerShape) -> Compute:
    layer = _built(keras.layers.Dense(shape.outputs), shape)
    return lambda images: tf.nn.softmax(layer(tf.reduce_mean(images, axis=[1, 2])))


def _concat(shape: LayerShape) -> Compute:
    return lambda *images: tf.concat(images, axis=-1)


def _sum(shape: LayerShape) -> Compute:
    return tf.add


def _first(layer: keras.layers.Layer, shape: LayerShape) -> Compute:
    """Returns an operation on one edge."""
    of_edges = _built(layer, shape)
    return lambda images: of_edges(images)[0]


def _built(layer: keras.layers.Layer, shape: LayerShape) -> Compute:
    is_dense = isinstance(layer, keras.layers.Dense)
    layer.build((None, shape.inputs) if is_dense else (None, shape.side, shape.side, shape.inputs))
    return layer if is_dense else lambda images: layer(images, training=False)


_BUILDERS: dict[str, Callable[[LayerShape], Compute]] = {
    layer_shapes.PIXELS_CONV: _of_pixels(_convolution(3, activate=False)),
    layer_shapes.PIXELS_CONV_RELU6: _of_pixels(_unit(3)),
    layer_shapes.FIRST_BLOCK: _first_block,
    layer_shapes.CONV_RELU6: _unit(1),
    layer_shapes.RELU_CONV_3X3: _convolution(3),
    layer_shapes.RELU_CONV_1X1: _convolution(1),
    layer_shapes.FACTORIZED_REDUCE: _reduce,
    layer_shapes.SUM: _sum,
    layer_shapes.CONCAT: _concat,
    layer_shapes.CLASSIFIER: _classifier,
}
"""How every kind of layer is built that is no operation of a genotype. A new kind is a function and a line."""

_READ_PIXELS = (layer_shapes.PIXELS_CONV, layer_shapes.PIXELS_CONV_RELU6)
_INPUT_COUNTS: dict[str, Callable[[LayerShape], int]] = {
    layer_shapes.SUM: lambda _: 2,
    layer_shapes.CONCAT: lambda shape: shape.outputs // shape.inputs,
}
