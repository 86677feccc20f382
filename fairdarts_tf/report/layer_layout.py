"""The layout of a genotype of S2: its layers as a chain, a row of boxes for each stage."""

from __future__ import annotations

from fairdarts_tf.genotypes import SKIP
from fairdarts_tf.mobile_genotypes import KINDS, MobileGenotype, MobileLayer
from fairdarts_tf.report.drawing import (
    INPUT_COLOUR,
    NODE_SIZE,
    OUTPUT_COLOUR,
    Line,
    Panel,
    Shape,
    colour_of,
)
from fairdarts_tf.spaces.mobile import MobileSpace

_GAP = 0.35
_HEAD = 0.06


def panels(genotype: MobileGenotype, space: MobileSpace | None, box_size: tuple[float, float]) -> list[Panel]:
    """Returns a panel for each stage. A skipped layer is dashed: it is no part of the network."""
    layers = list(genotype.layers())
    found = []
    for number, stage in enumerate(genotype.stages, start=1):
        of_stage, layers = layers[: len(stage.layers)], layers[len(stage.layers) :]
        title = f"Stage {number}: {stage.width} channels" + (", stride 2" if stage.stride == 2 else "")
        found.append(_panel(title, of_stage, box_size))
    return found


def _panel(title: str, layers: list[MobileLayer], box_size: tuple[float, float]) -> Panel:
    """Returns a stage as a row, from the channels that it reads to those that it gives."""
    boxes = [_box(layer, box_size) for layer in layers]
    first = Shape(*NODE_SIZE, str(layers[0].inputs), INPUT_COLOUR)
    last = Shape(*NODE_SIZE, str(layers[-1].width), OUTPUT_COLOUR)
    row = [first, *boxes, last]
    height = max(shape.height for shape in row)
    x = 0.0
    for shape in row:
        shape.x, shape.y = x + shape.width / 2, height / 2
        x += shape.width + _GAP
    lines = [_line(start, end) for start, end in zip(row, row[1:], strict=False)]
    return Panel(title, KINDS[0], boxes, [first, last], lines, x - _GAP, height)


def _box(layer: MobileLayer, size: tuple[float, float]) -> Shape:
    told = f"layer {layer.number}: {layer.operation}, {layer.inputs} to {layer.width} channels"
    told += ", stride 2" if layer.stride == 2 else ""
    skipped = layer.operation == SKIP
    return Shape(*size, layer.operation, colour_of(layer.operation), not skipped, item=layer.item, told=told)


def _line(start: Shape, end: Shape) -> Line:
    line = Line(start, end, has_arrow=True, box=end if end.item else None)
    x, tip, y = start.right, end.left, start.y
    line.route = [(x, y), (x, y), (tip - _HEAD, y), (tip - _HEAD, y)]
    line.tip = (tip, y)
    return line
