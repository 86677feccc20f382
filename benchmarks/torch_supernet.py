"""A plain PyTorch supernet of search space S1 and its bilevel search: what fairdarts_tf is measured against.

Written as one writes it first: a mixed operation on every edge, each candidate a chain of modules, the sum of their
outputs times the mixing weights. Nothing is shared between edges. `tests/test_torch_peer.py` holds it to the reference
values of the authors' code.

Sources: DARTS (Liu et al., ICLR 2019), FairDARTS (Chu et al., ECCV 2020).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from benchmarks.torch_operations import FactorizedReduce, operation, relu_conv_norm
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS
from fairdarts_tf.spaces.reductions import reduction_cells

NODES = 4
ZERO_ONE_WEIGHT = 10.0
GRADIENT_CLIP = 5.0


class MixedOp(nn.Module):
    """The sum of all candidate operations on one edge, each times its mixing weight."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self._ops = nn.ModuleList(
            operation(name, channels, stride, affine=False, normalized_pools=True) for name in FAIRDARTS_OPERATIONS
        )

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mixes the candidates on (batch, channels, height, width) with weights (operations,)."""
        return sum(weight * candidate(x) for weight, candidate in zip(weights, self._ops, strict=True))


class Cell(nn.Module):
    """A cell whose every edge is a mixed operation; edges in the order node 2 from 0, 1; node 3 from 0, 1, 2; ..."""

    def __init__(self, older: int, newer: int, channels: int, reduction: bool, reduces_older: bool) -> None:
        super().__init__()
        self.reduction = reduction
        align = FactorizedReduce if reduces_older else relu_conv_norm
        self.preprocess0 = align(older, channels, affine=False)
        self.preprocess1 = relu_conv_norm(newer, channels, affine=False)
        self._ops = nn.ModuleList(
            MixedOp(channels, stride=2 if reduction and source < 2 else 1)
            for node in range(2, 2 + NODES)
            for source in range(node)
        )

    def forward(self, older: torch.Tensor, newer: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Returns the nodes, concatenated, for the outputs of the two cells before and weights (edges, operations)."""
        states = [self.preprocess0(older), self.preprocess1(newer)]
        edges = zip(self._ops, weights, strict=True)
        for _ in range(NODES):
            # The states come first: zip must not take an edge that it then has no state for.
            terms = [mixed_op(state, row) for state, (mixed_op, row) in zip(list(states), edges, strict=False)]
            states.append(sum(terms))
        return torch.cat(states[2:], dim=1)


class Supernet(nn.Module):
    """Stem, cells, global average pooling and a linear classifier.

    Args:
        channels: Of a node in the first cells. Defaults to 16.
        layers: Number of cells. Defaults to 8.
        classes: Defaults to 10.

    Attributes:
        alphas: ``normal`` and ``reduce``, (edges, operations), 0 at first.
    """

    def __init__(self, channels: int = 16, layers: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))
        self.cells = nn.ModuleList()
        reductions = reduction_cells(layers)
        older = newer = 3 * channels
        for index in range(layers):
            channels *= 2 if index in reductions else 1
            self.cells.append(Cell(older, newer, channels, index in reductions, index - 1 in reductions))
            older, newer = newer, NODES * channels
        self.classifier = nn.Linear(newer, classes)
        shape = (sum(range(2, 2 + NODES)), len(FAIRDARTS_OPERATIONS))
        self.alphas = nn.ParameterDict({kind: torch.zeros(shape) for kind in ("normal", "reduce")})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns logits (batch, classes) for images (batch, 3, height, width)."""
        weights = {kind: torch.sigmoid(table) for kind, table in self.alphas.items()}
        older = newer = self.stem(images)
        for cell in self.cells:
            older, newer = newer, cell(older, newer, weights["reduce" if cell.reduction else "normal"])
        return self.classifier(newer.mean(dim=(2, 3)))

    def network_parameters(self) -> list[nn.Parameter]:
        """Returns all parameters but the alphas."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("alphas.")]

    def load_reference(self, state: Mapping[str, np.ndarray], alphas: Mapping[str, np.ndarray]) -> None:
        """Sets weights, running statistics and alphas to those of the reference.

        Raises:
            KeyError: When a name is missing or left over.
        """
        load_reference(self, {**state, **{f"alphas.{kind}": table for kind, table in alphas.items()}})


class BilevelSearch:
    """FairDARTS' search: in each step Adam on the alphas, then SGD on the weights.

    Args:
        supernet: Its parameters are updated.
        zero_one: ``"l2"`` or ``"l1"``. Defaults to ``"l2"``.
    """

    def __init__(self, supernet: Supernet, zero_one: str = "l2") -> None:
        self.supernet = supernet
        self.zero_one = zero_one
        self.alpha_optimizer = torch.optim.Adam(supernet.alphas.values(), lr=3e-3, weight_decay=1e-3)
        self.optimizer = torch.optim.SGD(supernet.network_parameters(), lr=0.005, momentum=0.9, weight_decay=3e-4)

    def zero_one_loss(self) -> torch.Tensor:
        """Returns the zero-one loss of all mixing weights, a scalar."""
        weights = torch.cat([torch.sigmoid(table).flatten() for table in self.supernet.alphas.values()])
        distance = weights - 0.5
        return -(distance.square() if self.zero_one == "l2" else distance.abs()).mean()

    def alpha_step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """Updates the alphas on a batch of the search half and returns its cross-entropy."""
        self.supernet.train()
        self.alpha_optimizer.zero_grad()
        cross_entropy = nn.functional.cross_entropy(self.supernet(images), labels)
        (cross_entropy + ZERO_ONE_WEIGHT * self.zero_one_loss()).backward()
        self.alpha_optimizer.step()
        return cross_entropy.item()

    def weight_step(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
        """Updates the weights on a batch of the training half; returns its cross-entropy and the gradient's norm."""
        self.supernet.train()
        self.optimizer.zero_grad()
        cross_entropy = nn.functional.cross_entropy(self.supernet(images), labels)
        cross_entropy.backward()
        norm = nn.utils.clip_grad_norm_(self.supernet.network_parameters(), GRADIENT_CLIP)
        self.optimizer.step()
        return cross_entropy.item(), norm.item()


def load_reference(module: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Sets a module's state to arrays by name; counters of batches, which nothing reads, stay.

    Raises:
        KeyError: When a name is missing or left over.
    """
    own = module.state_dict()
    expected = {name for name in own if not name.endswith("num_batches_tracked")}
    if expected != state.keys():
        raise KeyError(f"missing or left over: {sorted(expected ^ state.keys())[:3]}")
    with torch.no_grad():
        for name in expected:
            own[name].copy_(torch.from_numpy(np.array(state[name])))
