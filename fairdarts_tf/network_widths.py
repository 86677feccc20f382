"""The sizes of the papers' networks, and the widest network that keeps within a limit of multiply-adds."""

from __future__ import annotations

import bisect
import dataclasses

from fairdarts_tf.costs import NetworkSize, network_cost
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.quantities import write_quantity
from fairdarts_tf.spaces import search_space

PAPERS_SIZES = {
    "cifar": NetworkSize(),
    "imagenet": NetworkSize(init_channels=48, layers=14, image_size=224, num_classes=1000, stem="imagenet"),
}
"""The networks of DARTS and FairDARTS by their stem."""

MOBILE_LIMIT = 600_000_000
"""Multiply-adds of an image of 224 x 224 pixels up to which papers call a network mobile (DARTS)."""

AUTO = 0
"""In place of a number of channels: as many as keep the network within the limit."""

_WIDTHS = range(2, 4097)


def widest(genotype: AnyGenotype, size: NetworkSize, limit: float) -> NetworkSize:
    """Returns the size with the most channels whose network has no more multiply-adds than the limit.

    Args:
        genotype: Of S1. Its network has the more multiply-adds, the more channels it begins with.
        size: All but the channels.
        limit: The most multiply-adds.

    Raises:
        ConfigurationError: When no network of the genotype fits, or its channels are no matter of choice.
    """
    if "init_channels" not in search_space(genotype.space).size_names:
        raise ConfigurationError(
            f"a genotype of --space={genotype.space} says its own widths: leave --init_channels=auto out."
        )
    sizes = [dataclasses.replace(size, init_channels=width) for width in _WIDTHS]
    count = bisect.bisect_right(sizes, limit, key=lambda wide: network_cost(genotype, wide).macs)
    if not count:
        least = write_quantity(network_cost(genotype, sizes[0]).macs)
        raise ConfigurationError(
            f"with {_WIDTHS[0]} channels the network has {least} multiply-adds already, more than the --macs_limit of "
            f"{write_quantity(limit)}. Raise it, or use fewer --layers or a smaller --image_size."
        )
    return sizes[count - 1]


def check_within(genotype: AnyGenotype, size: NetworkSize, limit: float) -> None:
    """Checks that a network keeps within a limit of multiply-adds.

    Raises:
        ConfigurationError: When it does not.
    """
    macs = network_cost(genotype, size).macs
    if macs > limit:
        raise ConfigurationError(
            f"the network has {write_quantity(macs)} multiply-adds, more than the --macs_limit of "
            f"{write_quantity(limit)}. Raise it, use fewer channels, or --init_channels=auto for the most that fit."
        )
