"""How many multiply-adds a step costs, counted from the cells, and so what share of the machine's best it reaches."""

from __future__ import annotations

from fairdarts_tf.alphas import edge_endpoints
from fairdarts_tf.benchmarking.settings import NUM_CLASSES, BenchmarkSettings
from fairdarts_tf.costs import NetworkSize, network_cost
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS, Genotype, GenotypeItem

PASSES = {"search": 6, "train": 3, "inference": 1}
"""Passes that a step counts for each image of a batch; a backward pass counts as two forward ones."""

COUNTED = (
    "multiply-adds of convolutions and linear layers; pooling, BatchNorm, ReLU and additions count none. A forward and "
    "a backward pass count as three forward passes, so a training's step counts 3, inference 1, a search's step 6: 3 "
    "for each half, though the half of the alphas can do with 2, as it needs no gradients of the weights. Peak: the "
    "best float32 product of two matrices on all cores, in the same run; a multiply-add is two operations."
)

_NODES = 4


def forward_multiply_adds(settings: BenchmarkSettings) -> int:
    """Returns the multiply-adds of a forward pass of one image, as the settings' step computes it."""
    size = NetworkSize(settings.init_channels, settings.layers, settings.image_size, num_classes=NUM_CLASSES)
    if settings.what == "search":
        return network_cost(every_operation(), size).macs
    genotype = Genotype.load(settings.genotype)
    return network_cost(genotype, size, auxiliary_head=settings.what == "train").macs


def step_multiply_adds(settings: BenchmarkSettings) -> int:
    """Returns the multiply-adds of a whole step; `COUNTED` says of what."""
    return PASSES[settings.what] * settings.batch_size * forward_multiply_adds(settings)


def every_operation() -> Genotype:
    """Returns the genotype that keeps all candidates on all edges: it costs what the supernet does."""
    items = tuple(
        GenotypeItem(operation, node, source)
        for node, source in edge_endpoints(_NODES)
        for operation in FAIRDARTS_OPERATIONS
    )
    nodes = tuple(range(2, 2 + _NODES))
    return Genotype(normal=items, normal_concat=nodes, reduce=items, reduce_concat=nodes)
