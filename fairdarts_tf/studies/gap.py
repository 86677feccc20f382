"""The discretisation gap: what a supernet loses when it is reduced to the operations that its genotype keeps."""

from __future__ import annotations

import os

import keras
import numpy as np

from fairdarts_tf import data
from fairdarts_tf.data.sources import Images
from fairdarts_tf.evaluation.run import evaluate
from fairdarts_tf.found_network import FoundNetwork
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.inherited_weights import inherit_weights, load_supernet
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces.network_options import NetworkOptions

_DRAW_SEED = 0


def discretisation_gap(
    search_workdir: str | os.PathLike[str], genotype: AnyGenotype, settings: SearchSettings, most_images: int
) -> dict[str, float | int]:
    """Compares a supernet with the network of a genotype that has the supernet's weights and is not trained further.

    Both compute in inference, with the running statistics, on the same test images, which decide nothing. What
    inheriting loses besides is said in `fairdarts_tf.inherited_weights`: an identity is taken at weight 1, and a
    pooling without its BatchNorm.

    Args:
        search_workdir: The search's directory.
        genotype: Of the search's space.
        settings: The search's.
        most_images: How many images are drawn, at most.

    Returns:
        ``supernet_accuracy``, ``derived_accuracy``, ``gap`` (the first minus the second), as shares, and
        ``gap_images``.

    Raises:
        FairDartsError: When search or data cannot be loaded, or do not fit.
    """
    train, _ = data.load_halves(settings)
    mean, std = data.statistics_for(settings.dataset, train)
    images = _drawn(data.load_images(settings, "test"), most_images)
    supernet, _ = load_supernet(search_workdir)
    options = NetworkOptions(init_channels=settings.init_channels, layers=settings.layers)
    network = supernet.space.network(genotype, images.num_classes, options, name="network")
    network.build((None, *images.image_shape))
    inherit_weights(network, supernet)
    of_supernet, of_network = (_accuracy(model, images, mean, std) for model in (supernet, network))
    return {
        "supernet_accuracy": of_supernet,
        "derived_accuracy": of_network,
        "gap": of_supernet - of_network,
        "gap_images": len(images),
    }


def _accuracy(model: keras.Model, images: Images, mean: np.ndarray, std: np.ndarray) -> float:
    whole = FoundNetwork(model, images.class_names, images.image_shape, mean, std)
    return evaluate(whole, images).measures.top_1


def _drawn(images: Images, most: int) -> Images:
    if len(images) <= most:
        return images
    # NumPy promises that this generator's draws never change.
    chosen = np.sort(np.random.RandomState(_DRAW_SEED).permutation(len(images))[:most])
    return images.subset(chosen)
