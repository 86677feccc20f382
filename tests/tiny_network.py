"""A found network of seconds, with values in every weight and statistic that leave no operation without effect."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from fairdarts_tf.found_network import FoundNetwork, read_weights, save_description, save_weights
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.network import DartsNetwork

CLASS_NAMES = ("left", "middle", "right")
SHAPE = (8, 8, 3)
GENOTYPE = Genotype(
    normal=(("sep_conv_3x3", 2, 0), ("dil_conv_5x5", 2, 1), ("avg_pool_3x3", 3, 0), ("skip_connect", 3, 2)),
    normal_concat=(2, 3),
    reduce=(("max_pool_3x3", 2, 0), ("avg_pool_3x3", 2, 1), ("dil_conv_3x3", 3, 1), ("skip_connect", 3, 0)),
    reduce_concat=(2, 3),
)


def tiny_found_network(seed: int = 4) -> FoundNetwork:
    """Returns a network that loses little when it is quantized; with seed 1 it loses nearly all."""
    keras.utils.set_random_seed(seed)
    network = DartsNetwork(GENOTYPE, len(CLASS_NAMES), init_channels=2, layers=3, name="network")
    network.build((None, *SHAPE))
    random = np.random.default_rng(seed)
    for variable in network.variables:
        if variable.name in ("moving_variance", "gamma"):
            variable.assign(random.uniform(0.5, 2.0, variable.shape))
        elif variable.name in ("moving_mean", "beta"):
            variable.assign(random.normal(0.0, 0.3, variable.shape))
    mean, std = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.25, 0.3], np.float32)
    _make_decisive(network, (random_images(64) / np.float32(255) - mean) / std)
    return FoundNetwork(network, CLASS_NAMES, SHAPE, mean, std, "")


def write_workdir(directory: Path, found: FoundNetwork, settings: str = "") -> Path:
    """Writes a network as a training leaves it."""
    directory.mkdir()
    save_description(directory, found)
    save_weights(directory, "last", read_weights(found.network))
    (directory / "flags.txt").write_text(settings)
    return directory


def random_images(count: int, seed: int = 0) -> np.ndarray:
    """Returns images of few hues each, (count, *SHAPE), uint8: noise would look alike to any network."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (count, 2, 2, 3))
    blocks = colours.repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(blocks + random.integers(-20, 21, (count, *SHAPE)), 0, 255).astype(np.uint8)


def _make_decisive(network: DartsNetwork, images: np.ndarray) -> None:
    """Scales and shifts the logits: of probabilities that are all alike, no difference would show."""
    network.classifier.bias.assign(np.zeros(len(CLASS_NAMES)))
    logits = network(images, training=False).numpy()
    scale = 2 / logits.std(axis=0)
    network.classifier.kernel.assign(network.classifier.kernel * scale)
    network.classifier.bias.assign(-logits.mean(axis=0) * scale)
