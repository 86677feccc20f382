"""A found network in plain PyTorch and its training: what fairdarts_tf is measured against."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.torch_operations import FactorizedReduce, operation, relu_conv_norm
from benchmarks.torch_supernet import GRADIENT_CLIP
from fairdarts_tf.genotypes import Genotype, GenotypeItem, existing_nodes, reachable_items
from fairdarts_tf.spaces.reductions import reduction_cells

AUXILIARY_WEIGHT = 0.4


class Cell(nn.Module):
    """The operations of a genotype; a node is their sum, the output the existing nodes, concatenated."""

    def __init__(
        self,
        items: tuple[GenotypeItem, ...],
        older: int,
        newer: int,
        channels: int,
        reduction: bool,
        reduces_older: bool,
    ) -> None:
        super().__init__()
        self.nodes = existing_nodes(items)
        self.items = reachable_items(items)
        align = FactorizedReduce if reduces_older else relu_conv_norm
        self.preprocess0 = align(older, channels, affine=True)
        self.preprocess1 = relu_conv_norm(newer, channels, affine=True)
        self._ops = nn.ModuleList(
            operation(item.op, channels, 2 if reduction and item.source < 2 else 1, affine=True, normalized_pools=False)
            for item in self.items
        )

    def forward(self, older: torch.Tensor, newer: torch.Tensor, drop_path: float) -> torch.Tensor:
        """Returns the output for those of the two cells before; a node is dropped with probability ``drop_path``."""
        states = {0: self.preprocess0(older), 1: self.preprocess1(newer)}
        for node in self.nodes:
            terms = [
                layer(states[item.source]) for item, layer in zip(self.items, self._ops, strict=True) if item.to == node
            ]
            states[node] = _drop(sum(terms), drop_path) if self.training and drop_path else sum(terms)
        return torch.cat([states[node] for node in self.nodes], dim=1)


class Network(nn.Module):
    """Stem, cells of a genotype, global average pooling and a linear classifier, with an auxiliary head in training.

    Args:
        genotype: The cells.
        channels: Of a node in the first cells. Defaults to 36.
        layers: Number of cells. Defaults to 20.
        classes: Defaults to 10.
        auxiliary: Whether there is an auxiliary head. Defaults to True.

    Attributes:
        drop_path: Probability that a node is dropped in training.
    """

    def __init__(
        self, genotype: Genotype, channels: int = 36, layers: int = 20, classes: int = 10, auxiliary: bool = True
    ) -> None:
        super().__init__()
        self.drop_path = 0.0
        self.reductions = reduction_cells(layers)
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))
        self.cells = nn.ModuleList()
        older = newer = 3 * channels
        for index in range(layers):
            reduction = index in self.reductions
            channels *= 2 if reduction else 1
            items = genotype.items("reduce" if reduction else "normal")
            self.cells.append(Cell(items, older, newer, channels, reduction, index - 1 in self.reductions))
            older, newer = newer, channels * len(existing_nodes(items))
            if auxiliary and index == self.reductions[1]:
                self.auxiliary_head = AuxiliaryHead(newer, classes)
        self.classifier = nn.Linear(newer, classes)
        self.auxiliary = auxiliary

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Returns logits (batch, classes) for images (batch, 3, height, width); in training also the head's."""
        auxiliary_logits = None
        older = newer = self.stem(images)
        for index, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer, self.drop_path)
            if self.training and self.auxiliary and index == self.reductions[1]:
                auxiliary_logits = self.auxiliary_head(newer)
        logits = self.classifier(newer.mean(dim=(2, 3)))
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)


class AuxiliaryHead(nn.Module):
    """A second classifier after the second reduction, for states of 8 x 8 pixels or more."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns logits (batch, classes)."""
        return self.classifier(self.features(x).mean(dim=(2, 3)))


class NetworkTraining:
    """SGD with the recipe of DARTS and FairDARTS.

    Args:
        network: With an auxiliary head.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """Updates the weights on a batch and returns the loss."""
        self.network.train()
        self.optimizer.zero_grad()
        logits, auxiliary_logits = self.network(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss = loss + AUXILIARY_WEIGHT * nn.functional.cross_entropy(auxiliary_logits, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self.optimizer.step()
        return loss.item()


def _drop(x: torch.Tensor, rate: float) -> torch.Tensor:
    """Sets whole images to 0 with this probability and scales the others up."""
    kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= rate
    return x * kept.to(x.dtype) / (1 - rate)
