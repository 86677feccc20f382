"""Weights under the names and in the layout of the authors' PyTorch code, in both directions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from fairdarts_tf import operations
from fairdarts_tf.cells import ConvolutionBlock, SupernetCell
from fairdarts_tf.errors import RunError
from fairdarts_tf.layer_operation import LayerOperation
from fairdarts_tf.network_cells import NetworkCell
from fairdarts_tf.normalization import BatchNormalization
from fairdarts_tf.stems import CifarStem, ImageNetStem

if TYPE_CHECKING:
    from fairdarts_tf.network import DartsNetwork
    from fairdarts_tf.spaces.darts_supernet import DartsSupernet

_BY_EDGE = re.compile(r"cells\.\d+\._ops\.\d+\.\d+\.\d+\.")
"""How FairDARTS names the operations of a network: by to-node, from-node and place on that edge."""

Place = tuple[keras.Variable, int | None, str]
"""A variable, the row of it that one edge uses (None: all of it), and the name that belongs there."""


def load_reference_state(model: DartsSupernet | DartsNetwork, state: Mapping[str, np.ndarray]) -> None:
    """Sets a model's weights and running statistics to those of the authors' model.

    Args:
        model: A built supernet or found network of the same sizes and operations.
        state: Arrays by their names in the state dict, as in ``cells.0._ops.3._ops.4.op.1.weight`` (cell 0, edge 3,
            operation 4, its second layer), in PyTorch's layout (channels out, channels in, height, width).

    Raises:
        RunError: When a name is missing or left over, or a shape does not fit. Nothing is assigned then.
    """
    places = list(_places(model, numbered=not any(_BY_EDGE.match(name) for name in state)))
    expected = {name for _, _, name in places}
    present = {name for name in state if not name.endswith("num_batches_tracked")}
    if expected != present:
        name = min(expected ^ present)
        raise RunError(
            f"the reference's state does not fit this model: {name!r} is "
            f"{'missing' if name in expected else 'left over'}. Check channels, layers and operations or genotype."
        )
    variables = {variable.path: variable for variable, _, _ in places}
    values = {path: np.array(variable.numpy()) for path, variable in variables.items()}
    for variable, row, name in places:
        value = _keras_layout(state[name], variable.path)
        table = values[variable.path]
        target = table[...] if row is None else table[row]
        if target.shape != value.shape:
            raise RunError(
                f"the reference's {name!r} has shape {value.shape}, but the model needs {target.shape} (height, "
                "width, channels in, channels out). Check channels, layers and operations or genotype."
            )
        target[...] = value
    for path, variable in variables.items():
        variable.assign(values[path])


def read_reference_state(model: DartsSupernet | DartsNetwork, numbered: bool = False) -> dict[str, np.ndarray]:
    """Returns a model's weights and running statistics as `load_reference_state` takes them.

    Args:
        model: A built supernet or found network.
        numbered: Whether a network's operations are named by their place in the list, as DARTS names them, and not by
            their edge, as FairDARTS does. Defaults to False.
    """
    state = {}
    for variable, row, name in _places(model, numbered):
        value = np.array(variable.numpy())
        state[name] = _reference_layout(value if row is None else value[row], variable.path)
    return state


def _keras_layout(value: np.ndarray, path: str) -> np.ndarray:
    """Returns kernels as (height, width, channels in, channels out), depthwise ones as (height, width, channels, 1)."""
    if value.ndim == 2:
        return value.T
    return np.transpose(value, _axes(path)) if value.ndim == 4 else value


def _reference_layout(value: np.ndarray, path: str) -> np.ndarray:
    """Undoes `_keras_layout`."""
    if value.ndim == 2:
        return value.T
    return np.transpose(value, np.argsort(_axes(path))) if value.ndim == 4 else value


def _axes(path: str) -> tuple[int, ...]:
    return (2, 3, 0, 1) if "depthwise" in path.rsplit("/", 1)[-1] else (2, 3, 1, 0)


def _places(model: DartsSupernet | DartsNetwork, numbered: bool) -> Iterator[Place]:
    yield from _stem(model.stem)
    for index, cell in enumerate(model.cells):
        prefix = f"cells.{index}"
        yield from _alignment(cell, prefix)
        if isinstance(cell, SupernetCell):
            yield from _mixed_operations(cell, prefix)
        else:
            yield from _kept_operations(cell, prefix, numbered)
    head = getattr(model, "auxiliary_head", None)
    if head is not None:
        yield from _block(head.narrow, "auxiliary_head.features", kernel=2, normalization=3)
        yield head.kernel, None, "auxiliary_head.features.5.weight"
        yield from _statistics(head.normalization, 0, "auxiliary_head.features.6")
        yield from _linear(head.classifier, "auxiliary_head.classifier")
    yield from _linear(model.classifier, "classifier")


def _stem(stem: keras.layers.Layer) -> Iterator[Place]:
    match stem:
        case CifarStem():
            yield from _block(stem.block, "stem", kernel=0, normalization=1)
        case ImageNetStem():
            half, quarter, eighth = stem.blocks
            yield from _block(half, "stem0", kernel=0, normalization=1)
            yield from _block(quarter, "stem0", kernel=3, normalization=4)
            yield from _block(eighth, "stem1", kernel=1, normalization=2)


def _alignment(cell: SupernetCell | NetworkCell, prefix: str) -> Iterator[Place]:
    if cell.reduces_older:
        yield from _operation(cell.align_older, 0, f"{prefix}.preprocess0")
    else:
        yield from _block(cell.align_older, f"{prefix}.preprocess0.op", kernel=1, normalization=2)
    yield from _block(cell.align_newer, f"{prefix}.preprocess1.op", kernel=1, normalization=2)


def _mixed_operations(cell: SupernetCell, prefix: str) -> Iterator[Place]:
    for edges, mixed_op in zip(cell.edges_from, cell.mixed_ops, strict=True):
        for row, edge in enumerate(edges):
            for number, candidate in enumerate(mixed_op.candidates):
                yield from _operation(candidate, row, f"{prefix}._ops.{edge}._ops.{number}")


def _kept_operations(cell: NetworkCell, prefix: str, numbered: bool) -> Iterator[Place]:
    on_edge: Counter[tuple[int, int]] = Counter()
    for number, (item, layer) in enumerate(zip(cell.kept_items, cell.operations, strict=True)):
        edge = (item.to, item.source)
        place = f"{number}" if numbered else f"{item.to}.{item.source}.{on_edge[edge]}"
        on_edge[edge] += 1
        yield from _operation(layer, 0, f"{prefix}._ops.{place}")


def _linear(layer: keras.layers.Dense, prefix: str) -> Iterator[Place]:
    yield layer.kernel, None, f"{prefix}.weight"
    yield layer.bias, None, f"{prefix}.bias"


def _block(block: ConvolutionBlock, prefix: str, kernel: int, normalization: int) -> Iterator[Place]:
    yield block.kernel, None, f"{prefix}.{kernel}.weight"
    yield from _statistics(block.normalization, 0, f"{prefix}.{normalization}")


def _operation(layer: operations.Operation, row: int, prefix: str) -> Iterator[Place]:
    if isinstance(layer, LayerOperation):
        # The reference has none: the names are our own, for what a network inherits from a supernet.
        for number, variable in enumerate(layer.edge_layers[row].variables):
            yield variable, None, f"{prefix}.layer.{number}"
        yield from _statistics(layer.normalization, row, f"{prefix}.bn")
        return
    kernels, normalizations = _positions(layer)
    for variable, place in kernels:
        yield variable, row, f"{prefix}.{place}.weight"
    for normalization, place in normalizations:
        yield from _statistics(normalization, row, f"{prefix}.{place}")


def _positions(
    layer: operations.Operation,
) -> tuple[list[tuple[keras.Variable, str]], list[tuple[BatchNormalization, str]]]:
    """Returns an operation's kernels and BatchNorms with their places in the reference's module."""
    match layer:
        case operations.Pooling():
            return [], [(layer.normalization, "1")] if layer.normalize else []
        case operations.FactorizedReduce():
            return [(layer.kernel_1, "conv_1"), (layer.kernel_2, "conv_2")], [(layer.normalization, "bn")]
        case operations.SeparableConvolution():
            kernels = [
                (layer.depthwise_1, "op.1"),
                (layer.pointwise_1, "op.2"),
                (layer.depthwise_2, "op.5"),
                (layer.pointwise_2, "op.6"),
            ]
            return kernels, [(layer.normalization_1, "op.3"), (layer.normalization_2, "op.7")]
        case operations.DilatedConvolution():
            return [(layer.depthwise, "op.1"), (layer.pointwise, "op.2")], [(layer.normalization, "op.3")]
        case operations.FactorizedConvolution():
            return [(layer.kernel_1x7, "op.1"), (layer.kernel_7x1, "op.2")], [(layer.normalization, "op.3")]
    return [], []


def _statistics(layer: BatchNormalization, row: int, prefix: str) -> Iterator[Place]:
    yield layer.moving_mean, row, f"{prefix}.running_mean"
    yield layer.moving_variance, row, f"{prefix}.running_var"
    if layer.affine:
        yield layer.gamma, row, f"{prefix}.weight"
        yield layer.beta, row, f"{prefix}.bias"
