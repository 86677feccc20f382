"""Parameters and multiply-adds of a found network by cell and by operation. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from fairdarts_tf.costs import AUXILIARY_HEAD, LEAST_SIDES, Cost, NetworkSize, Part, network_parts
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.settings_checks import check_settings
from fairdarts_tf.spaces import search_space
from fairdarts_tf.spaces.reductions import reduction_cells

COUNTED = (
    "params: kernels of convolutions, scale and offset of BatchNorm, the classifier with its bias. macs: multiply-adds "
    "of convolutions and of the classifier for one image; pooling, addition, BatchNorm and ReLU count none. They are "
    "those of the mathematics: TensorFlow's profiler counts slightly more where a dilated convolution meets an odd "
    "side, which TensorFlow pads. The auxiliary head exists in training only, and not for images that are too small "
    "for it: it is in params_with_auxiliary_head alone, and not in macs."
)

_RANGES: dict[str, tuple[float, float]] = {
    "init_channels": (2, 4096),
    "layers": (3, 1000),
    "image_size": (1, 4096),
    "image_channels": (1, 1024),
    "num_classes": (2, 1_000_000),
}


@dataclasses.dataclass(frozen=True)
class Group:
    """Several layers of a network, taken together.

    Attributes:
        name: Of the cell, or of the operation.
        kind: ``"normal"`` or ``"reduce"`` for a cell, else empty.
        parts: The layers.
    """

    name: str
    kind: str
    parts: tuple[Part, ...]

    @property
    def cost(self) -> Cost:
        """What they cost together."""
        return sum((part.cost for part in self.parts), Cost())


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a network costs.

    Attributes:
        total: Of the whole network, without auxiliary head.
        auxiliary_head: Of that head, which only training has; None where there is none, or the images are too small.
        cells: Stem, cells (of S2: layers) and classifier, in order; without the head.
        operations: The same layers by operation: those that the genotype names, the alignments of the cells' inputs,
            stem and classifier; the one with the most multiply-adds first.
        no_auxiliary_head: Why there is no auxiliary head, where there is none.
    """

    total: Cost
    auxiliary_head: Cost | None
    cells: tuple[Group, ...]
    operations: tuple[Group, ...]
    no_auxiliary_head: str

    @property
    def params_with_auxiliary_head(self) -> int | None:
        """Parameters while it is trained with an auxiliary head; None where there can be none."""
        return None if self.auxiliary_head is None else self.total.params + self.auxiliary_head.params


@dataclasses.dataclass(frozen=True)
class Profile:
    """A genotype's network and what it costs.

    Attributes:
        name: Of the genotype, as it was given.
        size: Of the network.
        counts: What it costs.
        limit: Multiply-adds that it is compared with; None: with none.
    """

    name: str
    size: NetworkSize
    counts: Counts
    limit: float | None = None

    @property
    def is_within_limit(self) -> bool:
        """Whether it has no more multiply-adds than the limit."""
        return self.limit is None or self.counts.total.macs <= self.limit


def count(genotype: AnyGenotype, size: NetworkSize) -> Counts:
    """Counts what a network costs.

    Raises:
        ConfigurationError: When a size is outside its range, the images are too small, or the stem is unknown.
    """
    check_size(size)
    parts = network_parts(genotype, size)
    inside = [part for part in parts if part.place != AUXILIARY_HEAD and part.is_counted]
    head = next((part.cost for part in parts if part.place == AUXILIARY_HEAD), None)
    kinds = {
        f"cell_{index}": "reduce" if index in reduction_cells(size.layers) else "normal" for index in range(size.layers)
    }
    operations = _grouped(inside, _operation, {})
    return Counts(
        total=sum((part.cost for part in inside), Cost()),
        auxiliary_head=head,
        cells=_grouped(inside, lambda part: part.place, kinds),
        operations=tuple(sorted(operations, key=lambda group: (-group.cost.macs, -group.cost.params, group.name))),
        no_auxiliary_head=search_space(genotype.space).no_auxiliary_head,
    )


def check_size(size: NetworkSize) -> None:
    """Checks that there is a network of this size.

    Raises:
        ConfigurationError: When there is none.
    """
    check_settings(size, {}, _RANGES)
    least = LEAST_SIDES.get(size.stem, 1)
    if size.image_size < least:
        raise ConfigurationError(
            f"--image_size is {size.image_size}, but a network for {size.stem} images halves them until {least} pixels "
            f"are one: at least {least} are needed."
        )


def as_fields(counts: Counts) -> dict[str, object]:
    """Returns the counts as what JSON can hold."""
    return {
        "params": counts.total.params,
        "params_with_auxiliary_head": counts.params_with_auxiliary_head,
        "macs": counts.total.macs,
        "cells": [
            {
                "name": cell.name,
                **({"kind": cell.kind} if cell.kind else {}),
                **dataclasses.asdict(cell.cost),
                "layers": [{"name": part.name, **dataclasses.asdict(part.cost)} for part in cell.parts],
            }
            for cell in counts.cells
        ],
        "operations": [
            {"name": group.name, "count": len(group.parts), **dataclasses.asdict(group.cost)}
            for group in counts.operations
        ],
    }


def _operation(part: Part) -> str:
    """Returns the operation of a layer: in a numbered place its name without the edge, else the place."""
    return part.name.split()[-1] if part.place[-1].isdigit() else part.place


def _grouped(parts: Iterable[Part], key: Callable[[Part], str], kinds: dict[str, str]) -> tuple[Group, ...]:
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(key(part), []).append(part)
    return tuple(Group(name, kinds.get(name, ""), tuple(members)) for name, members in groups.items())
