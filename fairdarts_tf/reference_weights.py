"""A supernet's weights under the names and in the layout of the authors' PyTorch code, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

from fairdarts_tf import operations
from fairdarts_tf.cells import ConvolutionBlock, SupernetCell
from fairdarts_tf.errors import RunError
from fairdarts_tf.normalization import BatchNormalization

if TYPE_CHECKING:
    from fairdarts_tf.spaces.darts_supernet import DartsSupernet

Place = tuple[keras.Variable, int | None, str]
"""A variable, the row of it that one edge uses (None: all of it), and the name that belongs there."""


def load_reference_state(supernet: DartsSupernet, state: Mapping[str, np.ndarray]) -> None:
    """Sets a supernet's weights and running statistics to those of the authors' model.

    Args:
        supernet: A built supernet of the same sizes and operations.
        state: Arrays by their names in the state dict, as in ``cells.0._ops.3._ops.4.op.1.weight`` (cell 0, edge 3,
            operation 4, its second layer), in PyTorch's layout (channels out, channels in, height, width).

    Raises:
        RunError: When a name is missing or left over, or a shape does not fit. Nothing is assigned then.
    """
    places = list(_places(supernet))
    expected = {name for _, _, name in places}
    present = {name for name in state if not name.endswith("num_batches_tracked")}
    if expected != present:
        name = min(expected ^ present)
        raise RunError(
            f"the reference's state does not fit this supernet: {name!r} is "
            f"{'missing' if name in expected else 'left over'}. Check channels, layers, nodes and operations."
        )
    variables = {variable.path: variable for variable, _, _ in places}
    values = {path: np.array(variable.numpy()) for path, variable in variables.items()}
    for variable, row, name in places:
        value = _keras_layout(state[name], variable.path)
        table = values[variable.path]
        target = table[...] if row is None else table[row]
        if target.shape != value.shape:
            raise RunError(
                f"the reference's {name!r} has shape {value.shape}, but the supernet needs {target.shape} (height, "
                "width, channels in, channels out). Check channels, layers, nodes and operations."
            )
        target[...] = value
    for path, variable in variables.items():
        variable.assign(values[path])


def read_reference_state(supernet: DartsSupernet) -> dict[str, np.ndarray]:
    """Returns a supernet's weights and running statistics as `load_reference_state` takes them."""
    state = {}
    for variable, row, name in _places(supernet):
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


def _places(supernet: DartsSupernet) -> Iterator[Place]:
    yield from _block(supernet.stem, "stem", kernel=0, normalization=1)
    for index, cell in enumerate(supernet.cells):
        yield from _cell(cell, f"cells.{index}")
    yield supernet.classifier.kernel, None, "classifier.weight"
    yield supernet.classifier.bias, None, "classifier.bias"


def _cell(cell: SupernetCell, prefix: str) -> Iterator[Place]:
    if cell.reduces_older:
        yield from _operation(cell.align_older, 0, f"{prefix}.preprocess0")
    else:
        yield from _block(cell.align_older, f"{prefix}.preprocess0.op", kernel=1, normalization=2)
    yield from _block(cell.align_newer, f"{prefix}.preprocess1.op", kernel=1, normalization=2)
    for edges, mixed_op in zip(cell.edges_from, cell.mixed_ops, strict=True):
        for row, edge in enumerate(edges):
            for number, candidate in enumerate(mixed_op.candidates):
                yield from _operation(candidate, row, f"{prefix}._ops.{edge}._ops.{number}")


def _block(block: ConvolutionBlock, prefix: str, kernel: int, normalization: int) -> Iterator[Place]:
    yield block.kernel, None, f"{prefix}.{kernel}.weight"
    yield from _statistics(block.normalization, 0, f"{prefix}.{normalization}")


def _operation(layer: operations.Operation, row: int, prefix: str) -> Iterator[Place]:
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
            return [], [(layer.normalization, "1")]
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
