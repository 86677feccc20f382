"""What a layer of a network costs in one number: multiply-adds, parameters, or milliseconds on a device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from fairdarts_tf.costs import AUXILIARY_HEAD, NetworkSize, Part, network_parts
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.latency_table import FORMS, LatencyTable
from fairdarts_tf.quantities import read_quantity
from fairdarts_tf.spaces import search_space, space_of

if TYPE_CHECKING:
    from fairdarts_tf.settings import SearchSettings

LATENCY = "latency"
UNITS = {"macs": "", "params": "", LATENCY: "ms"}
"""Every kind of cost by name, with its unit."""

_SIZE_FLAGS = {"init_channels": "cost_channels", "layers": "cost_layers", "stem": "cost_network"}
"""The setting of a search for each of `NetworkSize`'s fields that not every search space has."""


@dataclasses.dataclass(frozen=True)
class Price:
    """A kind of cost.

    Attributes:
        name: One of `UNITS`.
        of: The cost of a part of a network. That of a network is the sum over its parts.
    """

    name: str
    of: Callable[[Part], float]

    @property
    def unit(self) -> str:
        """The unit, or nothing for plain numbers."""
        return UNITS[self.name]


MACS = Price("macs", lambda part: part.cost.macs)
PARAMS = Price("params", lambda part: part.cost.params)


def latency_price(table: LatencyTable, form: str) -> Price:
    """Returns the price in milliseconds, as a table has it.

    Args:
        table: It must hold every shape that is asked for: see `LatencyTable.check_complete`.
        form: One of `fairdarts_tf.latency_table.FORMS`.

    Raises:
        ConfigurationError: When there is no such form.
    """
    if form not in FORMS:
        raise ConfigurationError(unknown_name("form", form, FORMS))
    return Price(LATENCY, lambda part: 0.0 if part.shape is None else table.milliseconds(form, part.shape))


def check_cost(settings: SearchSettings) -> None:
    """Checks what the settings of a search ask of the cost.

    Raises:
        ConfigurationError: When target or table are missing, the target is no number of the cost's unit, or a size is
            given that networks of the space do not have.
    """
    of_space = size_flags(settings.space)
    for field, name in _SIZE_FLAGS.items():
        value = getattr(settings, name)
        if name not in of_space and value != getattr(NetworkSize, field):
            raise ConfigurationError(
                f"--{name}={value} is not of --space={settings.space}, whose networks have their size from their "
                "layers and images. Leave it out."
            )
    if settings.cost == "none":
        return
    if not settings.cost_target:
        raise ConfigurationError(f"--cost={settings.cost} needs a target: --cost_target, as 300M or 12ms.")
    read_quantity("cost_target", settings.cost_target, UNITS[settings.cost])
    if settings.cost == LATENCY and not settings.latency_table:
        raise ConfigurationError(
            "--cost=latency needs the latencies of this device: --latency_table, a file that bin/measure_latency makes."
        )


def size_flags(space: str) -> tuple[str, ...]:
    """Returns the settings of a search that decide the size of the network whose cost is meant.

    Args:
        space: A name of `fairdarts_tf.spaces.SPACES`.

    Raises:
        ConfigurationError: When there is no such space.
    """
    return (*(_SIZE_FLAGS[name] for name in search_space(space).size_names), "cost_image_size")


def cost_size(settings: SearchSettings, image_shape: tuple[int, int, int], num_classes: int) -> NetworkSize:
    """Returns the size of the network whose cost a search's settings mean.

    Args:
        settings: All that decides the search.
        image_shape: (height, width, channels) of the search's images.
        num_classes: Number of classes of the search.

    Raises:
        ConfigurationError: When its images are too small.
    """
    side = settings.cost_image_size or image_shape[0]
    least = space_of(settings).least_side(settings.cost_network)
    if side < least:
        raise ConfigurationError(
            f"the network whose cost is meant halves its images until {least} pixels are one, but they have {side}. "
            f"Set --cost_image_size to {least} or more."
        )
    return NetworkSize(
        init_channels=settings.cost_channels,
        layers=settings.cost_layers,
        image_size=side,
        image_channels=image_shape[2],
        num_classes=settings.cost_classes or num_classes,
        stem=settings.cost_network,
    )


def network_price(genotype: AnyGenotype, size: NetworkSize, price: Price) -> float:
    """Returns what the network of a genotype costs, without the auxiliary head, which only training has."""
    return sum(price.of(part) for part in network_parts(genotype, size) if part.place != AUXILIARY_HEAD)
