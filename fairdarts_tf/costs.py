"""Parameters and multiply-adds of a found network, counted from its genotype alone; those of cells, layer by layer.

What is counted: the kernels of convolutions, the classifier with its bias, and the scale and offset of BatchNorm as
parameters; as multiply-adds those of convolutions and linear layers only, as the papers do. Poolings, additions,
BatchNorm and ReLU cost no multiply-adds here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from fairdarts_tf.errors import ConfigurationError, GenotypeError, unknown_name
from fairdarts_tf.genotype_base import GenotypeBase
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.genotypes import INPUTS, SKIP, Genotype, GenotypeItem, existing_nodes, reachable_items
from fairdarts_tf.layer_shapes import (
    CLASSIFIER,
    CONCAT,
    FACTORIZED_REDUCE,
    PIXELS_CONV,
    RELU_CONV_1X1,
    RELU_CONV_3X3,
    SUM,
    LayerShape,
)
from fairdarts_tf.spaces import search_space
from fairdarts_tf.spaces.reductions import reduction_cells

AUXILIARY_HEAD = "auxiliary_head"
"""The place of the auxiliary head among the parts of a network."""

_POOLING = 5
"""Side of the auxiliary head's pooling, in pixels."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """Parameters (weights that are learned) and multiply-adds of one image.

    Example:
        >>> fd.Cost(params=64, macs=4096) + fd.Cost(params=16)
        Cost(params=80, macs=4096)
    """

    params: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.macs + other.macs)


@dataclasses.dataclass(frozen=True)
class Part:
    """What one layer of a network costs.

    Attributes:
        place: ``stem``, ``cell_0`` (S2: ``layer_1``) and so on, ``auxiliary_head`` or ``classifier``.
        name: The layer within: an operation with its edge, or what aligns a cell's inputs.
        cost: Its cost.
        shape: What decides how long it takes. Defaults to None: it takes no time.
    """

    place: str
    name: str
    cost: Cost
    shape: LayerShape | None = None

    @property
    def is_counted(self) -> bool:
        """Whether its kind is one that the papers name: what joins layers is none."""
        return self.shape is None or self.shape.kind not in (SUM, CONCAT)


@dataclasses.dataclass(frozen=True)
class NetworkSize:
    """What decides the size of a found network besides its genotype.

    Args:
        init_channels: Channels of a node before the first reduction, in S1. Defaults to 36.
        layers: Number of cells, in S1. Defaults to 20.
        image_size: Side of the images, in pixels. Defaults to 32.
        image_channels: Defaults to 3.
        num_classes: Defaults to 10.
        stem: ``"cifar"`` or ``"imagenet"``, in S1. Defaults to ``"cifar"``.
    """

    init_channels: int = 36
    layers: int = 20
    image_size: int = 32
    image_channels: int = 3
    num_classes: int = 10
    stem: str = "cifar"


def network_parts(genotype: AnyGenotype, size: NetworkSize | None = None) -> list[Part]:
    """Returns every layer of the network with its cost, from the images to the classifier, then the auxiliary head.

    Images that are too small for an auxiliary head have none.

    Raises:
        ConfigurationError: When the stem is unknown.
        GenotypeError: When it is no genotype.
    """
    if not isinstance(genotype, GenotypeBase):
        raise GenotypeError(f"{genotype!r:.80} is no genotype. Load one: load_genotype('FairDARTS_a').")
    return list(search_space(genotype.space).network_parts(genotype, size or NetworkSize()))


def network_cost(genotype: AnyGenotype, size: NetworkSize | None = None, auxiliary_head: bool = False) -> Cost:
    """Returns the cost of the whole network.

    Args:
        genotype: The cells.
        size: Defaults to None: CIFAR-10's.
        auxiliary_head: Whether the head, which only training has, is counted too. Defaults to False.

    Raises:
        ConfigurationError: When the stem is unknown, or the images are too small for the head.
        GenotypeError: When it is no genotype.

    Example:
        >>> cost = fd.network_cost(fd.load_genotype("FairDARTS_a"))
        >>> round(cost.params / 1e6, 2), round(cost.macs / 1e6)
        (2.36, 371)
    """
    parts = network_parts(genotype, size)
    if auxiliary_head and parts[-1].place != AUXILIARY_HEAD:
        raise ConfigurationError("the images are too small for an auxiliary head. Enlarge them, or leave it out.")
    return sum((part.cost for part in parts if auxiliary_head or part.place != AUXILIARY_HEAD), Cost())


def cell_network_parts(genotype: Genotype, size: NetworkSize) -> Iterator[Part]:
    """Yields every layer of a network of cells with its cost; see `network_parts`."""
    if size.stem not in _STEMS:
        raise ConfigurationError(unknown_name("stem", size.stem, _STEMS))
    stem = _STEMS[size.stem](size)
    yield from stem.parts
    (older, older_side), (newer, newer_side) = stem.outputs
    head = None
    reductions = reduction_cells(size.layers)
    filters = size.init_channels
    for index in range(size.layers):
        reduction = index in reductions
        filters *= 2 if reduction else 1
        kind = "reduce" if reduction else "normal"
        items = genotype.items(kind)
        place = f"cell_{index}"
        kept, nodes = reachable_items(items), len(existing_nodes(items))
        read = {item.source for item in kept}
        yield _align(place, "align_older", (older, older_side), (filters, newer_side), 0 in read)
        yield _align(place, "align_newer", (newer, newer_side), (filters, newer_side), 1 in read)
        yield from (_item(place, item, filters, newer_side, reduction) for item in kept)
        older, older_side = newer, newer_side
        newer, newer_side = filters * nodes, _halved(newer_side) if reduction else newer_side
        for number in range(len(kept) - nodes):
            yield Part(place, f"sum_{number}", Cost(), LayerShape(SUM, newer_side, filters, filters))
        if nodes > 1:
            yield Part(place, "concat", Cost(), LayerShape(CONCAT, newer_side, filters, newer))
        if index == reductions[1]:
            head = _auxiliary_head(newer, newer_side, size)
    shape = LayerShape(CLASSIFIER, newer_side, newer, size.num_classes)
    yield Part("classifier", "linear", linear_cost(newer, size.num_classes), shape)
    if head is not None:
        yield Part(AUXILIARY_HEAD, "all", head)


def _align(place: str, name: str, given: tuple[int, int], wanted: tuple[int, int], is_read: bool) -> Part:
    """What brings an image (channels, side) to the channels and the side of a cell's nodes.

    One that no operation reads is trained and counted like others, but what runs a network leaves it out.
    """
    (inputs, side), (outputs, new_side) = given, wanted
    cost, kind = _relu_conv_norm(inputs, outputs, side), RELU_CONV_1X1
    if side != new_side:
        cost, kind = _factorized_reduce(inputs, outputs, new_side), FACTORIZED_REDUCE
    shape = LayerShape(kind, side, inputs, outputs, 1 if side == new_side else 2)
    return Part(place, name, cost, shape if is_read else None)


def _item(place: str, item: GenotypeItem, channels: int, side: int, reduction: bool) -> Part:
    stride = 2 if reduction and item.source < INPUTS else 1
    inner_side = _halved(side) if reduction else side
    cost = OPERATION_COSTS[item.op](channels, inner_side, stride)
    kind = item.op
    if kind == SKIP:
        kind = FACTORIZED_REDUCE if stride == 2 else None
    shape = LayerShape(kind, side if stride == 2 else inner_side, channels, channels, stride) if kind else None
    return Part(place, f"{item.source}>{item.to} {item.op}", cost, shape)


def convolution_cost(kernel: int, inputs: int, outputs: int, side: int) -> Cost:
    """Returns the cost of a convolution (kernel: its taps) to an image of so many pixels a side."""
    return Cost(kernel * inputs * outputs, kernel * inputs * outputs * side * side)


def _depthwise(side_of_kernel: int, channels: int, side: int) -> Cost:
    return convolution_cost(side_of_kernel**2, 1, channels, side)


def norm_cost(channels: int) -> Cost:
    """Returns the cost of BatchNorm."""
    return Cost(2 * channels)


def linear_cost(inputs: int, outputs: int) -> Cost:
    """Returns the cost of a linear layer with a bias."""
    return Cost(inputs * outputs + outputs, inputs * outputs)


def _relu_conv_norm(inputs: int, outputs: int, side: int) -> Cost:
    return convolution_cost(1, inputs, outputs, side) + norm_cost(outputs)


def _factorized_reduce(inputs: int, outputs: int, side: int) -> Cost:
    # Two convolutions to half the channels each read the larger image at stride 2.
    return convolution_cost(1, inputs, outputs, side) + norm_cost(outputs)


def _halved(side: int) -> int:
    return -(-side // 2)


def _free(channels: int, side: int, stride: int) -> Cost:
    return Cost()


def _skip(channels: int, side: int, stride: int) -> Cost:
    return _factorized_reduce(channels, channels, side) if stride == 2 else Cost()


def _separable(kernel: int) -> Callable[[int, int, int], Cost]:
    def cost(channels: int, side: int, stride: int) -> Cost:
        half = _depthwise(kernel, channels, side) + convolution_cost(1, channels, channels, side) + norm_cost(channels)
        return half + half

    return cost


def _dilated(kernel: int) -> Callable[[int, int, int], Cost]:
    def cost(channels: int, side: int, stride: int) -> Cost:
        return _depthwise(kernel, channels, side) + convolution_cost(1, channels, channels, side) + norm_cost(channels)

    return cost


def _factorized_7x7(channels: int, side: int, stride: int) -> Cost:
    # The 1x7 convolution halves the width only; the 7x1 one then halves the height.
    first = Cost(7 * channels**2, 7 * channels**2 * side * side * stride)
    return first + convolution_cost(7, channels, channels, side) + norm_cost(channels)


OPERATION_COSTS: dict[str, Callable[[int, int, int], Cost]] = {
    "max_pool_3x3": _free,
    "avg_pool_3x3": _free,
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "conv_7x1_1x7": _factorized_7x7,
}
"""The cost of each operation in a found network: of channels, side of its output in pixels, and stride."""


@dataclasses.dataclass(frozen=True)
class _Stem:
    parts: list[Part]
    outputs: tuple[tuple[int, int], tuple[int, int]]


def _cifar_stem(size: NetworkSize) -> _Stem:
    channels = 3 * size.init_channels
    cost = convolution_cost(9, size.image_channels, channels, size.image_size) + norm_cost(channels)
    shape = LayerShape(PIXELS_CONV, size.image_size, size.image_channels, channels)
    return _Stem([Part("stem", "block", cost, shape)], ((channels, size.image_size),) * 2)


def _imagenet_stem(size: NetworkSize) -> _Stem:
    channels, side = size.init_channels, size.image_size
    parts, inputs = [], size.image_channels
    for name, outputs in (("half", channels // 2), ("quarter", channels), ("eighth", channels)):
        shape = LayerShape(RELU_CONV_3X3 if parts else PIXELS_CONV, side, inputs, outputs, 2)
        side = _halved(side)
        parts.append(Part("stem", name, convolution_cost(9, inputs, outputs, side) + norm_cost(outputs), shape))
        inputs = outputs
    quarter = _halved(_halved(size.image_size))
    return _Stem(parts, ((channels, quarter), (channels, side)))


_STEMS = {"cifar": _cifar_stem, "imagenet": _imagenet_stem}
STEM_NAMES = tuple(_STEMS)
"""The names of all stems."""

LEAST_SIDES = {"cifar": 4, "imagenet": 32}
"""The least side of the images of a network of cells, in pixels, by its stem: that much becomes one pixel."""


def _auxiliary_head(channels: int, side: int, size: NetworkSize) -> Cost | None:
    stride = 3 if size.stem == "cifar" else 2
    pooled = (side - _POOLING) // stride + 1
    # A convolution of 2x2 taps follows.
    if pooled < 2:
        return None
    narrow = convolution_cost(1, channels, 128, pooled) + norm_cost(128)
    wide = convolution_cost(4, 128, 768, pooled - 1) + norm_cost(768)
    return narrow + wide + linear_cost(768, size.num_classes)
