"""A search space of one's own: S1 with three operations, whose nodes keep one input each.

A space is a frozen dataclass. One's own is a subclass of `DartsSpace` or `MobileSpace`; its fields are settings of the
search, so that a run's files keep them, and its name is the value of ``--space``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

import fairdarts_tf as fd


@fd.register_space
@dataclasses.dataclass(frozen=True)
class OneInput(fd.DartsSpace):
    """Cells that cost about half: of the two edges that DARTS keeps at each node, the stronger one stays."""

    name = "one_input"
    operations: tuple[str, ...] = ("skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    nodes: int = 2

    def derive(self, values: Mapping[str, np.ndarray], *rule: object) -> fd.Genotype:
        """Derives the genotype from mixing weights by kind, (edges, operations)."""
        kept = {kind: {} for kind in self.kinds}
        for row in self.confidence(values, *rule):
            kept[row.cell][row.item.to] = row.item
        normal, reduce = (tuple(kept[kind].values()) for kind in self.kinds)
        return fd.Genotype(normal=normal, normal_concat=_ends(normal), reduce=reduce, reduce_concat=_ends(reduce))

    def confidence(self, values: Mapping[str, np.ndarray], *rule: object) -> list[object]:
        """Returns how sure each of its items is."""
        first = {}
        for row in super().confidence(values, "darts"):
            first.setdefault((row.cell, row.item.to), row)
        return list(first.values())


def _ends(items: tuple) -> tuple[int, ...]:
    return tuple(item.to for item in items)


digits = fd.load_dataset("digits")
search = fd.search(digits, OneInput(init_channels=4, layers=3), epochs=2, steps_per_epoch=3, batch_size=50)

print(search.genotype.to_json())
network = search.genotype.build(digits, init_channels=4, layers=3)
print(f"{network.count_params():,} weights")
