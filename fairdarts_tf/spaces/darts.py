"""Search space S1: stacked cells, as DARTS and FairDARTS search them on CIFAR-10."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fairdarts_tf import derivation
from fairdarts_tf.alphas import edge_endpoints
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.genotypes import ALL_OPERATIONS, FAIRDARTS_OPERATIONS, Genotype
from fairdarts_tf.spaces.reductions import reduction_cells

if TYPE_CHECKING:
    from fairdarts_tf.spaces.darts_supernet import DartsSupernet

KINDS = ("normal", "reduce")


@dataclasses.dataclass(frozen=True)
class DartsSpace:
    """Search space S1 and the size of its supernet.

    Args:
        operations: Names of the candidate operations. Defaults to FairDARTS' seven; DARTS has ``none`` before them.
        nodes: Intermediate nodes of a cell. Defaults to 4, hence 14 edges.
        init_channels: Channels of a node in the first cells; they double at each reduction. Defaults to 16.
        layers: Number of cells, at least 3; those at a third and at two thirds reduce. Defaults to 8.
        stem_multiplier: The stem has this many times `init_channels` channels. Defaults to 3.

    Raises:
        ConfigurationError: When a value is outside its range.
    """

    name: ClassVar[str] = "darts"

    operations: tuple[str, ...] = FAIRDARTS_OPERATIONS
    nodes: int = 4
    init_channels: int = 16
    layers: int = 8
    stem_multiplier: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        for operation in self.operations:
            if operation not in ALL_OPERATIONS:
                raise ConfigurationError(unknown_name("operation", operation, ALL_OPERATIONS))
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
        return dict.fromkeys(KINDS, (self.edges, len(self.operations)))

    @property
    def reductions(self) -> tuple[int, int]:
        """Indices of the cells that reduce."""
        return reduction_cells(self.layers)

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
