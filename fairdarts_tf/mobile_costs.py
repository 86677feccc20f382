"""Parameters and multiply-adds of the networks of search space S2: of a genotype, and of every choice.

Counted as in `fairdarts_tf.costs`. A network's cost is the sum over its layers, so the cost of all choices says that of
every genotype.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fairdarts_tf.costs import Cost, NetworkSize, Part, convolution_cost, linear_cost, norm_cost
from fairdarts_tf.genotypes import SKIP
from fairdarts_tf.mobile_genotypes import KINDS, MobileGenotype, MobileLayer, bottleneck

if TYPE_CHECKING:
    from fairdarts_tf.spaces.mobile import MobileSpace


@dataclasses.dataclass(frozen=True)
class ChoiceCosts:
    """What the networks of a space cost.

    Attributes:
        fixed: Of all that every network has: stem, fixed block, head and classifier.
        choices: Of each entry of the tables of alphas, by kind, row and column; nothing where it is not in play.
    """

    fixed: Cost
    choices: Mapping[str, Sequence[Sequence[Cost]]]


def mobile_network_parts(genotype: MobileGenotype, size: NetworkSize) -> Iterator[Part]:
    """Yields every layer of a network with its cost, from the images to the classifier.

    Args:
        genotype: Its layers.
        size: The side and channels of the images, and the classes; the rest is of other spaces.
    """
    side = _strided(size.image_size, genotype.stem_stride)
    stem = genotype.stem_width
    yield Part("stem", "convolution", _normalized(9, size.image_channels, stem, side))
    first = _normalized(9, 1, stem, side) + _normalized(1, stem, genotype.first_width, side)
    yield Part("first_block", "mbconv1_3x3", first)
    for layer in genotype.layers():
        yield Part(f"layer_{layer.number}", layer.operation, layer_cost(layer, side))
        side = _strided(side, layer.stride)
    yield Part("head", "convolution", _normalized(1, genotype.stages[-1].width, genotype.head_width, side))
    yield Part("classifier", "linear", linear_cost(genotype.head_width, size.num_classes))


def layer_cost(layer: MobileLayer, side: int) -> Cost:
    """Returns what a choice layer costs that reads images of so many pixels a side."""
    if layer.operation == SKIP:
        return Cost()
    choice = bottleneck(layer.operation)
    wide, outer = choice.expansion * layer.inputs, _strided(side, layer.stride)
    expand = _normalized(1, layer.inputs, wide, side) if choice.expansion > 1 else Cost()
    return expand + _normalized(choice.kernel**2, 1, wide, outer) + _normalized(1, wide, layer.width, outer)


def choice_costs(space: MobileSpace, size: NetworkSize) -> ChoiceCosts:
    """Returns what the networks of a space cost; arguments as for `mobile_network_parts`."""
    rows, in_play = [], space.in_play[KINDS[0]]
    for layer, (side, *_), exists in zip(
        space.layers, space.layer_shapes((size.image_size, size.image_size, size.image_channels)), in_play, strict=True
    ):
        row = [
            layer_cost(layer._replace(operation=name), side) if there else Cost()
            for name, there in zip(space.operations, exists, strict=True)
        ]
        rows.append(tuple(row))
    any_choice = [name for name in space.operations if name != SKIP][0]
    some = space.genotype([layer._replace(operation=any_choice).item for layer in space.layers])
    parts = mobile_network_parts(some, size)
    fixed = sum((part.cost for part in parts if not part.place.startswith("layer_")), Cost())
    return ChoiceCosts(fixed, {KINDS[0]: tuple(rows)})


def _normalized(taps: int, inputs: int, outputs: int, side: int) -> Cost:
    """A convolution (depthwise: of one input) and its BatchNorm."""
    return convolution_cost(taps, inputs, outputs, side) + norm_cost(outputs)


def _strided(side: int, stride: int) -> int:
    return -(-side // stride)
