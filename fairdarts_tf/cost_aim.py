"""What the network that a search will derive is to cost, and how far the expected cost is from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import Row
from fairdarts_tf.latency_table import LatencyTable
from fairdarts_tf.prices import LATENCY, MACS, PARAMS, Price, cost_size, latency_price, network_price, size_flags
from fairdarts_tf.quantities import read_quantity, write_quantity
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import SearchSpace, space_of
from fairdarts_tf.spaces.expected_costs import ExpectedCost


@dataclasses.dataclass(frozen=True)
class CostAim:
    """A cost that the derived network is to have.

    Attributes:
        price: The kind of cost.
        size: The size of the network.
        target: What it is to cost.
        expected: What it is expected to cost, a function of the mixing weights.
    """

    price: Price
    size: NetworkSize
    target: float
    expected: ExpectedCost

    def penalty(self, weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns ``|expected cost / target - 1|``, a float64 scalar.

        The target is met from either side, and the slope does not fall off near it (TuNAS, Bender et al., CVPR 2020,
        section 3, where it is the absolute reward function).

        Args:
            weights: Mixing weights by kind, (rows, operations).
        """
        return tf.abs(self.expected(weights) / self.target - 1)

    def row(self, weights: Mapping[str, np.ndarray], genotype: AnyGenotype | None) -> Row:
        """Returns what the history records: the expected cost, and that of the genotype, None without one."""
        expected = self.expected({kind: tf.constant(table, tf.float64) for kind, table in weights.items()})
        derived = None if genotype is None else float(network_price(genotype, self.size, self.price))
        return {"expected_cost": float(expected), "derived_cost": derived}


def cost_aim(settings: SearchSettings, image_shape: tuple[int, int, int], num_classes: int) -> CostAim | None:
    """Returns what a search's settings ask of the cost, or None where they ask nothing.

    Args:
        settings: All that decides the search.
        image_shape: (height, width, channels) of the search's images.
        num_classes: Number of classes of the search.

    Raises:
        ConfigurationError: When no network of the space costs as much or as little, its images are too small, or the
            table of latencies lacks some of its layers.
        RunError: When that table cannot be read.
    """
    if settings.cost == "none":
        return None
    space, size = space_of(settings), cost_size(settings, image_shape, num_classes)
    price = _price(settings, space, size)
    target = read_quantity("cost_target", settings.cost_target, price.unit)
    least, most = (
        network_price(genotype, size, price) for genotype in space.extreme_genotypes(size, price, settings.method)
    )
    if not least <= target <= most:
        bounds = (write_quantity(cost, price.unit) for cost in (least, most))
        raise ConfigurationError(
            f"--cost_target={settings.cost_target}: networks of this space cost from {' to '.join(bounds)} "
            f"({price.name}) at {space.describe_size(size)}. Choose a target between, or another size "
            f"({', '.join(f'--{name}' for name in size_flags(settings.space))})."
        )
    return CostAim(price, size, target, space.expected_cost(size, price, settings.method, settings.relaxation))


def _price(settings: SearchSettings, space: SearchSpace, size: NetworkSize) -> Price:
    if settings.cost != LATENCY:
        return {"macs": MACS, "params": PARAMS}[settings.cost]
    table = LatencyTable.load(settings.latency_table)
    shapes = [part.shape for part in space.cost_parts(size) if part.shape is not None]
    table.check_complete(settings.latency_form, shapes, settings.latency_table)
    return latency_price(table, settings.latency_form)
