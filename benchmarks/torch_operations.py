"""The candidate operations of a cell in plain PyTorch: one module an operation, one module a layer.

Modules are called as the reference calls them, so that its state dicts load without translation: ``op.1`` is the second
layer of an operation, ``conv_1``, ``conv_2`` and ``bn`` those of a factorized reduction.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

EPSILON = 1e-5


def relu_conv_norm(inputs: int, outputs: int, affine: bool) -> nn.Module:
    """Returns ReLU, 1x1 convolution and BatchNorm: it brings a cell's input to the cell's channels."""
    return Layers(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), _norm(outputs, affine))


class Layers(nn.Module):
    """Layers in a row."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (batch, channels, height, width) to the same, or to half the height and width."""
        return self.op(x)


class FactorizedReduce(nn.Module):
    """Halves an image: ReLU, two 1x1 convolutions of stride 2, the second one pixel further, BatchNorm."""

    def __init__(self, inputs: int, outputs: int, affine: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)
        self.bn = _norm(outputs, affine)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (batch, channels, height, width) to half the height and width, rounded up."""
        x = self.relu(x)
        height, width = x.shape[2:]
        # An odd side has no last pixel one further: a zero stands for it.
        shifted = nn.functional.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(shifted)], dim=1))


def operation(name: str, channels: int, stride: int, affine: bool, normalized_pools: bool) -> nn.Module:
    """Returns the candidate operation called ``name``.

    Args:
        name: As in a genotype.
        channels: Of its input and of its output.
        stride: 1 or 2.
        affine: Whether BatchNorm has a learned scale and offset: no in a supernet, yes in a found network.
        normalized_pools: Whether BatchNorm follows a pooling: yes in a supernet, no in a found network.

    Raises:
        KeyError: When there is no such operation.
    """
    if name in _POOLS:
        pool = _POOLS[name](stride)
        return nn.Sequential(pool, _norm(channels, affine)) if normalized_pools else pool
    return _OPERATIONS[name](channels, stride, affine)


def _norm(channels: int, affine: bool) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, affine=affine)


def _depthwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)


def _separable(kernel: int) -> Callable[[int, int, bool], nn.Module]:
    def make(channels: int, stride: int, affine: bool) -> nn.Module:
        halves = [
            (nn.ReLU(), _depthwise(channels, kernel, step), nn.Conv2d(channels, channels, 1, bias=False))
            for step in (stride, 1)
        ]
        return Layers(*halves[0], _norm(channels, affine), *halves[1], _norm(channels, affine))

    return make


def _dilated(kernel: int) -> Callable[[int, int, bool], nn.Module]:
    def make(channels: int, stride: int, affine: bool) -> nn.Module:
        depthwise = _depthwise(channels, kernel, stride, dilation=2)
        return Layers(nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), _norm(channels, affine))

    return make


def _factorized_7x7(channels: int, stride: int, affine: bool) -> nn.Module:
    row = nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False)
    column = nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False)
    return Layers(nn.ReLU(), row, column, _norm(channels, affine))


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


_POOLS: dict[str, Callable[[int], nn.Module]] = {
    "max_pool_3x3": lambda stride: nn.MaxPool2d(3, stride, padding=1),
    "avg_pool_3x3": lambda stride: nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
}
_OPERATIONS: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "conv_7x1_1x7": _factorized_7x7,
}
