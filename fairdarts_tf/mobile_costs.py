"""Parameters and multiply-adds of the networks of search space S2: of a genotype, and of every choice.

Counted as in `fairdarts_tf.costs`. A network's cost is the sum over its layers, so the cost of all choices says that of
every genotype.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fairdarts_tf.costs import Cost, NetworkSize, Part, convolution_cost, linear_cost, norm_cost
from fairdarts_tf.genotypes import SKIP
from fairdarts_tf.layer_shapes import CLASSIFIER, CONV_RELU6, FIRST_BLOCK, PIXELS_CONV_RELU6, LayerShape
from fairdarts_tf.mobile_genotypes import KINDS, MobileGenotype, MobileLayer, bottleneck

if TYPE_CHECKING:
    from fairdarts_tf.spaces.mobile import MobileSpace

_LAYER = "layer_"
_FIRST = "mbconv1_3x3"


def mobile_network_parts(genotype: MobileGenotype, size: NetworkSize) -> Iterator[Part]:
    """Yields every layer of a network with its cost, from the images to the classifier.

    Args:
        genotype: Its layers.
        size: The side and channels of the images, and the classes; the rest is of other spaces.
    """
    side = _strided(size.image_size, genotype.stem_stride)
    stem, first, width, head = genotype.stem_width, genotype.first_width, genotype.stages[-1].width, genotype.head_width
    shape = LayerShape(PIXELS_CONV_RELU6, size.image_size, size.image_channels, stem, genotype.stem_stride)
    yield Part("stem", "convolution", _normalized(9, size.image_channels, stem, side), shape)
    cost = _normalized(9, 1, stem, side) + _normalized(1, stem, first, side)
    yield Part("first_block", _FIRST, cost, LayerShape(FIRST_BLOCK, side, stem, first))
    for layer in genotype.layers():
        shape = LayerShape(layer.operation, side, layer.inputs, layer.width, layer.stride)
        name = f"{_LAYER}{layer.number}"
        yield Part(name, layer.operation, layer_cost(layer, side), None if layer.operation == SKIP else shape)
        side = _strided(side, layer.stride)
    shape = LayerShape(CONV_RELU6, side, width, head)
    yield Part("head", "convolution", _normalized(1, width, head, side), shape)
    shape = LayerShape(CLASSIFIER, side, head, size.num_classes)
    yield Part("classifier", "linear", linear_cost(head, size.num_classes), shape)


def layer_cost(layer: MobileLayer, side: int) -> Cost:
    """Returns what a choice layer costs that reads images of so many pixels a side."""
    if layer.operation == SKIP:
        return Cost()
    choice = bottleneck(layer.operation)
    wide, outer = choice.expansion * layer.inputs, _strided(side, layer.stride)
    expand = _normalized(1, layer.inputs, wide, side) if choice.expansion > 1 else Cost()
    return expand + _normalized(choice.kernel**2, 1, wide, outer) + _normalized(1, wide, layer.width, outer)


def choice_parts(space: MobileSpace, size: NetworkSize) -> Iterator[tuple[int, int, Part]]:
    """Yields (row, column) in the table of alphas of every choice, and what it makes a part of the network.

    Args:
        space: The space.
        size: As for `mobile_network_parts`.
    """
    in_play = space.in_play[KINDS[0]]
    for column in range(len(space.operations)):
        for row, part in enumerate(_layer_parts(space.uniform_genotype(column), size)):
            if in_play[row, column]:
                yield row, column, part


def fixed_parts(space: MobileSpace, size: NetworkSize) -> Iterator[Part]:
    """Yields the parts that every network of a space has: stem, fixed block, head and classifier."""
    parts = mobile_network_parts(space.uniform_genotype(0), size)
    return (part for part in parts if not part.place.startswith(_LAYER))


def _layer_parts(genotype: MobileGenotype, size: NetworkSize) -> list[Part]:
    return [part for part in mobile_network_parts(genotype, size) if part.place.startswith(_LAYER)]


def _normalized(taps: int, inputs: int, outputs: int, side: int) -> Cost:
    """A convolution (depthwise: of one input) and its BatchNorm."""
    return convolution_cost(taps, inputs, outputs, side) + norm_cost(outputs)


def _strided(side: int, stride: int) -> int:
    return -(-side // stride)
