"""The layout of the cells of a genotype of S1.

Graphviz lays a cell out from its inputs on the left to its output on the right. Each operation is a labelled box on its
edge, so that no line runs through a label and no two labels meet.
"""

from __future__ import annotations

import dataclasses
import functools

from fairdarts_tf.genotypes import INPUTS, Genotype, GenotypeItem, existing_nodes, reachable_items
from fairdarts_tf.report.drawing import (
    GAP,
    INPUT_COLOUR,
    NODE_COLOUR,
    NODE_SIZE,
    OUTPUT_COLOUR,
    SPACING,
    Line,
    Panel,
    Shape,
    colour_of,
)
from fairdarts_tf.report.graphviz_layout import Connection, arrange
from fairdarts_tf.spaces.darts import DartsSpace

_INPUT_INDICES = ("k-2", "k-1")
_OUTPUT_INDEX = "k"


def panels(genotype: Genotype, space: DartsSpace | None, box_size: tuple[float, float]) -> list[Panel]:
    """Returns both cells, with all nodes of the search space where that is known.

    Raises:
        LayoutError: When Graphviz cannot be used.
    """
    whole = with_all_nodes(genotype, space.nodes) if space else genotype
    return [
        lay_out(kind, title, whole.items(kind), whole.concat(kind), box_size)
        for kind, title in DartsSpace.titles.items()
    ]


def with_all_nodes(genotype: Genotype, nodes: int) -> Genotype:
    """Returns the genotype with all nodes of its search space in both outputs, so that a drawing shows isolated ones.

    Args:
        genotype: What was derived; its last nodes may be missing without a trace.
        nodes: The number of intermediate nodes that the searched cells had.
    """
    concat = tuple(range(INPUTS, INPUTS + nodes))
    return dataclasses.replace(genotype, normal_concat=concat, reduce_concat=concat)


@functools.lru_cache(maxsize=64)
def lay_out(
    kind: str, title: str, items: tuple[GenotypeItem, ...], concat: tuple[int, ...], box_size: tuple[float, float]
) -> Panel:
    """Lays out a cell. Kept, since a search's genotype often stays the same from epoch to epoch; not to be changed."""
    existing, reachable = set(existing_nodes(items)), set(reachable_items(items))
    numbers = range(max(*concat, *(item.to for item in items)) + 1)
    nodes = [_node(number, existing) for number in numbers]
    output = Shape(*NODE_SIZE, "c", OUTPUT_COLOUR, index=_OUTPUT_INDEX)
    boxes, lines = [], []
    for item in items:
        told = f"{item.op} from {_spoken(item.source)} to {_spoken(item.to)}"
        box = Shape(*box_size, item.op, colour_of(item.op), item in reachable, item=item, told=told)
        boxes.append(box)
        lines.append(Line(nodes[item.source], box, box=box))
        lines.append(Line(box, nodes[item.to], pull=2, has_arrow=True, box=box))
    lines += [Line(nodes[number], output, has_arrow=True) for number in concat if number in existing]
    isolated = set(numbers) - {item.to for item in items} - set(range(INPUTS))
    hidden = [Connection(nodes[INPUTS - 1], nodes[number], is_seen=False) for number in sorted(isolated)]
    shapes = [*nodes, *boxes, output]
    width, height = arrange(shapes, [*lines, *hidden], nodes[:INPUTS], output, SPACING, GAP)
    return Panel(title, kind, boxes, [*nodes, output], lines, width, height)


def _node(number: int, existing: set[int]) -> Shape:
    if number < INPUTS:
        return Shape(*NODE_SIZE, "c", INPUT_COLOUR, index=_INPUT_INDICES[number])
    return Shape(*NODE_SIZE, str(number), NODE_COLOUR, number in existing)


def _spoken(node: int) -> str:
    return f"input {node}" if node < INPUTS else f"node {node}"
