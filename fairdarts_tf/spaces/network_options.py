"""What decides a found network besides its genotype and the number of classes."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Options of a found network. A search space takes those that its networks have.

    Args:
        init_channels: Channels of a node in S1's first cells. Defaults to 36. S2's genotypes say their own widths.
        layers: Number of S1's cells. Defaults to 20.
        stem: S1's stem, ``"cifar"`` or ``"imagenet"``. Defaults to ``"cifar"``.
        auxiliary: Whether an auxiliary head is trained. Defaults to False.
        drop_path: Where paths are dropped: ``"node"`` or ``"operation"``. Defaults to ``"node"``.
    """

    init_channels: int = 36
    layers: int = 20
    stem: str = "cifar"
    auxiliary: bool = False
    drop_path: str = "node"
