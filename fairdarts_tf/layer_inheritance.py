"""A supernet's weights for the chain of layers that was found in it (S2).

The BatchNorms of a supernet's choices have no scale and no offset, but the last one of each is scaled by the mixing
weight: that weight becomes its scale (gamma) in the found network, and every other scale is 1 and every offset 0.

What is exact: convolutions, stem, fixed block, head, classifier and all running statistics. If the mixing weights of
the choices kept are 1 and those of all others 0, the network computes in inference what the supernet computes. What has
no place in a found network is lost: the mixing weight of a skip and of a residual connection, which there is 1, and the
sum of all choices that were dropped.
"""

from __future__ import annotations

import keras
import numpy as np

from fairdarts_tf.bottlenecks import InvertedBottleneck
from fairdarts_tf.errors import RunError
from fairdarts_tf.mobile_genotypes import KINDS
from fairdarts_tf.mobile_network import MobileNetwork
from fairdarts_tf.spaces.mobile_supernet import MobileSupernet


def inherit_layers(network: MobileNetwork, supernet: MobileSupernet) -> None:
    """Sets a network's weights to those of the supernet's choices that its genotype keeps.

    Args:
        network: Built, for images with as many channels and as many classes as the supernet's.
        supernet: Built, of the same widths, depths and strides.

    Raises:
        RunError: When the layouts differ, or the genotype holds an operation that the supernet does not have. Nothing
            is set then.
    """
    space, genotype = supernet.space, network.genotype
    if space.genotype(list(genotype.items())) != genotype:
        raise RunError(
            "the genotype has other widths, depths or strides than the supernet that it is to inherit from. Name the "
            "genotype that this search found, or the search that found this genotype."
        )
    unknown = sorted({item.op for item in genotype.items()} - set(space.operations))
    if unknown:
        raise RunError(
            f"the genotype has {', '.join(unknown)}, and the supernet that it is to inherit from "
            f"{', '.join(space.operations)}. Name the genotype that this search found."
        )
    _check_images(network, supernet)
    scales = supernet.kept_scales()
    for name in ("stem", "first_block", "head", "classifier"):
        _copy(getattr(supernet, name), getattr(network, name))
    found = {layer.name: layer.block for layer in network.found_layers}
    for row, column in space.chosen(genotype, KINDS[0]):
        block = found.get(f"layer_{row + 1}")
        if block is not None:
            _inherit(supernet.choice_layers[row].candidates[column], block, scales[row, column])


def _check_images(network: MobileNetwork, supernet: MobileSupernet) -> None:
    channels, searched = (model.stem.kernel.shape[2] for model in (network, supernet))
    if channels != searched:
        raise RunError(
            f"an image has {channels} channels for the network, but {searched} for the supernet that it is to inherit "
            "from. Use the data set of the search, as in its flags.txt."
        )


def _inherit(choice: InvertedBottleneck, block: InvertedBottleneck, last_scale: float) -> None:
    for name in ("expand", "depthwise", "project"):
        unit, found = getattr(choice, name), getattr(block, name)
        if unit is None:
            continue
        found.kernel.assign(unit.kernel)
        for statistic in ("moving_mean", "moving_variance"):
            getattr(found.normalization, statistic).assign(getattr(unit.normalization, statistic))
        scale = last_scale if name == "project" else 1.0
        found.normalization.gamma.assign(np.full(found.normalization.gamma.shape, scale))
        found.normalization.beta.assign(np.zeros(found.normalization.beta.shape))


def _copy(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    for variable, value in zip(target.variables, source.variables, strict=True):
        variable.assign(value)
