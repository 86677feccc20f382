"""Search space S1: stacked cells, as DARTS and FairDARTS search them on CIFAR-10."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from fairdarts_tf import derivation
from fairdarts_tf.alphas import edge_endpoints, edge_names, nodes_of
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.genotypes import DARTS_OPERATIONS, FAIRDARTS_OPERATIONS, Genotype, known_operations
from fairdarts_tf.relaxations import competes
from fairdarts_tf.spaces.network_options import NetworkOptions
from fairdarts_tf.spaces.reductions import reduction_cells
from fairdarts_tf.spaces.space import SearchSpace
from fairdarts_tf.value_types import set_types

if TYPE_CHECKING:
    import numpy as np

    from fairdarts_tf.cell_choices import Choose
    from fairdarts_tf.costs import NetworkSize, Part
    from fairdarts_tf.network import DartsNetwork
    from fairdarts_tf.prices import Price
    from fairdarts_tf.settings import SearchSettings
    from fairdarts_tf.spaces.darts_supernet import DartsSupernet
    from fairdarts_tf.spaces.expected_costs import ExpectedCost


@dataclasses.dataclass(frozen=True)
class DartsSpace(SearchSpace):
    """Search space S1 and the size of its supernet.

    Args:
        operations: Names of the candidate operations. Defaults to FairDARTS' seven; DARTS has ``none`` before them.
        nodes: Intermediate nodes of a cell. Defaults to 4, hence 14 edges.
        init_channels: Channels of a node in the first cells; they double at each reduction. Defaults to 16.
        layers: Number of cells, at least 3; those at a third and at two thirds reduce. Defaults to 8.
        stem_multiplier: The stem has this many times `init_channels` channels. Defaults to 3.

    Raises:
        ConfigurationError: When a value is outside its range.

    Example:
        >>> space = fd.DartsSpace(operations=("skip_connect", "sep_conv_3x3"), nodes=2, init_channels=8, layers=3)
        >>> space.alpha_shapes
        {'normal': (5, 2), 'reduce': (5, 2)}
        >>> space.supernet((8, 8, 1), num_classes=10)(np.zeros((4, 8, 8, 1))).shape
        TensorShape([4, 10])
    """

    name: ClassVar[str] = "darts"
    titles: ClassVar[Mapping[str, str]] = {"normal": "Normal cell", "reduce": "Reduction cell"}
    row_noun: ClassVar[str] = "edge"
    noun: ClassVar[str] = "cells"
    skip_kind: ClassVar[str] = "normal"
    stem_kernel: ClassVar[str] = "stem/block/kernel"
    no_auxiliary_head: ClassVar[str] = "the images are too small for one"
    size_names: ClassVar[tuple[str, ...]] = ("init_channels", "layers", "stem")

    operations: tuple[str, ...] = FAIRDARTS_OPERATIONS
    nodes: int = 4
    init_channels: int = 16
    layers: int = 8
    stem_multiplier: int = 3

    def __post_init__(self) -> None:
        set_types(self)
        for operation in self.operations:
            if operation not in known_operations():
                raise ConfigurationError(unknown_name("operation", operation, known_operations()))
        if len(set(self.operations)) < len(self.operations) or not set(self.operations) - {"none"}:
            raise ConfigurationError(
                f"the operations {','.join(self.operations) or '(none given)'} are no search space: name each once, "
                "and at least one besides 'none'."
            )
        for field, least in (("nodes", 1), ("init_channels", 2), ("layers", 3), ("stem_multiplier", 1)):
            if getattr(self, field) < least:
                raise ConfigurationError(f"{field} must be at least {least}, but is {getattr(self, field)}.")

    @property
    def edges(self) -> int:
        """Number of edges of a cell."""
        return len(edge_endpoints(self.nodes))

    @property
    def alpha_shapes(self) -> dict[str, tuple[int, int]]:
        """The shape (edges, operations) of each table of alphas, by kind of cell."""
        return dict.fromkeys(self.kinds, (self.edges, len(self.operations)))

    @property
    def reductions(self) -> tuple[int, int]:
        """Indices of the cells that reduce."""
        return reduction_cells(self.layers)

    def row_names(self, kind: str) -> list[str]:
        """Returns the names of a table's rows: ``["0>2", "1>2", "0>3", ...]``."""
        return edge_names(self.edges)

    def chosen(self, genotype: Genotype, kind: str) -> list[tuple[int, int]]:
        """Returns (row, column) in a cell's table of alphas of each item of its genotype."""
        endpoints = edge_endpoints(self.nodes)
        return [
            (endpoints.index((item.to, item.source)), self.operations.index(item.op)) for item in genotype.items(kind)
        ]

    def check_image_shape(self, image_shape: tuple[int, int, int]) -> None:
        """Checks that images (height, width, channels) survive the reductions.

        Raises:
            ConfigurationError: When they are too small.
        """
        least = 2 ** len(self.reductions)
        if min(image_shape[:2]) < least:
            raise ConfigurationError(
                f"images of {image_shape[0]} x {image_shape[1]} pixels are too small: {len(self.reductions)} cells "
                f"halve them, which needs at least {least} pixels a side. Enlarge them with --image_size."
            )

    def least_side(self, stem: str) -> int:
        """Returns the least side of the images, which stem and reduction cells halve until it is one pixel."""
        from fairdarts_tf.costs import LEAST_SIDES

        return LEAST_SIDES[stem]

    def check_settings(self, settings: SearchSettings) -> None:
        """Checks that the supernet of cells can do what a search asks for.

        Raises:
            ConfigurationError: When it cannot.
        """
        super().check_settings(settings)
        for name in ("rematerialize", "sampled_paths"):
            if getattr(settings, name):
                raise ConfigurationError(
                    f"--{name} is of the layers of --space=mobile; the cells of --space=darts keep few tensors anyway. "
                    f"Leave it out, or divide the batch with --accumulate."
                )

    def supernet(
        self, image_shape: tuple[int, int, int], num_classes: int, relaxation: str = "sigmoid", **kwargs: object
    ) -> DartsSupernet:
        """Builds the supernet of this space.

        Args:
            image_shape: (height, width, channels).
            num_classes: Number of classes.
            relaxation: ``"sigmoid"`` (FairDARTS, the default) or ``"softmax"`` (DARTS).
            kwargs: Of `keras.Model`, such as ``dtype``.
        """
        from fairdarts_tf.spaces.darts_supernet import DartsSupernet

        self.check_image_shape(image_shape)
        supernet = DartsSupernet(num_classes=num_classes, relaxation=relaxation, **dataclasses.asdict(self), **kwargs)
        supernet.build((None, *image_shape))
        return supernet

    def derive(
        self,
        values: Mapping[str, np.ndarray],
        method: str = "threshold_sparse",
        threshold: float = 0.85,
        max_skips: int | None = None,
    ) -> Genotype:
        """Derives a genotype from relaxed alphas; see `fairdarts_tf.derivation.derive`."""
        return derivation.derive(values, self.operations, method, threshold, max_skips)

    def confidence(
        self,
        values: Mapping[str, np.ndarray],
        method: str = "threshold_sparse",
        threshold: float = 0.85,
        max_skips: int | None = None,
    ) -> list[derivation.Confidence]:
        """Returns how sure each choice is; see `fairdarts_tf.derivation.confidence`."""
        return derivation.confidence(values, self.operations, method, threshold, max_skips)

    def compose(self, choose: Choose, max_skips: int | None = None) -> Genotype:
        """Returns the genotype of a sequence of choices; see `fairdarts_tf.cell_choices.compose_cells`."""
        from fairdarts_tf.cell_choices import compose_cells

        return compose_cells(self._candidates, self.nodes, choose, max_skips)

    def cost_parts(self, size: NetworkSize) -> Iterator[Part]:
        """Yields parts among which is every part that a network of this space may have."""
        from fairdarts_tf.spaces.cell_prices import cell_parts

        return cell_parts(self._candidates, self.nodes, size)

    def expected_cost(self, size: NetworkSize, price: Price, method: str, relaxation: str = "sigmoid") -> ExpectedCost:
        """Returns the expected cost; see `fairdarts_tf.spaces.expected_costs.ExpectedCellCost`."""
        from fairdarts_tf.spaces.cell_prices import cell_prices
        from fairdarts_tf.spaces.expected_costs import ExpectedCellCost

        prices = cell_prices(self._candidates, self.nodes, size, price)
        columns = [column for column, name in enumerate(self.operations) if name != "none"]
        return ExpectedCellCost(prices, columns, derivation.METHODS[method], competes(relaxation))

    def extreme_genotypes(self, size: NetworkSize, price: Price, method: str) -> tuple[Genotype, Genotype]:
        """Returns the genotypes whose operations cost least and most; see `fairdarts_tf.spaces.cell_prices`."""
        from fairdarts_tf.spaces.cell_prices import cell_prices, extreme_genotype

        prices = cell_prices(self._candidates, self.nodes, size, price)
        cheapest, dearest = (
            extreme_genotype(prices, self._candidates, self.nodes, method, dearest) for dearest in (False, True)
        )
        return cheapest, dearest

    @property
    def _candidates(self) -> list[str]:
        """The operations that a genotype may hold."""
        return [name for name in self.operations if name != "none"]

    @classmethod
    def of_records(cls, settings: Mapping[str, str], tables: Mapping[str, tuple[int, ...]]) -> DartsSpace:
        """Returns the space of a search as its files have it; without names of operations, those of the papers."""
        names = tuple(name.strip() for name in settings.get("operations", "").split(",") if name.strip())
        rows, columns = _shape(tables) or (cls().edges, len(names or FAIRDARTS_OPERATIONS))
        known = {len(operations): operations for operations in (FAIRDARTS_OPERATIONS, DARTS_OPERATIONS)}
        if not names and columns not in known:
            raise ConfigurationError(
                f"which operations? The alphas have {columns} columns. Name one for each with --operations."
            )
        return _RecordedSpace(names or known[columns], nodes_of(rows))

    @classmethod
    def unknown(cls, tables: Mapping[str, tuple[int, ...]]) -> DartsSpace:
        """Returns a space whose operations have invented names, of which no genotype can be derived."""
        rows, columns = _shape(tables)
        return _RecordedSpace(tuple(f"operation {column}" for column in range(1, columns + 1)), nodes_of(rows))

    def inherit_weights(self, network: DartsNetwork, supernet: DartsSupernet) -> None:
        """Sets a network's weights to the supernet's; see `fairdarts_tf.cell_inheritance`."""
        from fairdarts_tf.cell_inheritance import inherit_cells

        inherit_cells(network, supernet)

    @classmethod
    def network(cls, genotype: Genotype, num_classes: int, options: NetworkOptions, **kwargs: object) -> DartsNetwork:
        """Returns the network of a genotype, not yet built; see `fairdarts_tf.network.DartsNetwork`."""
        from fairdarts_tf.network import DartsNetwork

        return DartsNetwork(genotype, num_classes, **dataclasses.asdict(options), **kwargs)

    @classmethod
    def describe_size(cls, size: NetworkSize) -> str:
        """Returns the size of a network in words."""
        return f"{size.init_channels} channels, {size.layers} cells, {super().describe_size(size)}"

    @classmethod
    def network_parts(cls, genotype: Genotype, size: NetworkSize) -> Iterator[Part]:
        """Yields every layer of the network with its cost; see `fairdarts_tf.costs.cell_network_parts`."""
        from fairdarts_tf.costs import cell_network_parts

        return cell_network_parts(genotype, size)


@dataclasses.dataclass(frozen=True)
class _RecordedSpace(DartsSpace):
    """As a search's files name it: what is wrong with the names is said where a genotype is derived with them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))


def _shape(tables: Mapping[str, tuple[int, ...]]) -> tuple[int, int] | None:
    return next(iter(tables.values()), None)
