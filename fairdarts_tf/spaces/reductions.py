"""Which cells of a stack reduce, in a supernet as in a found network."""

from __future__ import annotations


def reduction_cells(layers: int) -> tuple[int, int]:
    """Returns the indices of the cells that halve the image and double the channels: at a third and at two thirds."""
    return (layers // 3, 2 * layers // 3)
