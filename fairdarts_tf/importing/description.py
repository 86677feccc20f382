"""What a checkpoint of the authors is: its sizes, which it shows itself, and its data set, which only a user knows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np

from fairdarts_tf.data.names import base_name
from fairdarts_tf.data.statistics import KNOWN
from fairdarts_tf.errors import ConfigurationError, RunError

CLASS_NAMES = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
"""Class names by label, in the order of the data set's own labels."""

CLASS_COUNTS = {
    "cifar10": 10,
    "cifar100": 100,
    "digits": 10,
    "fashion_mnist": 10,
    "imagenet2012": 1000,
    "mnist": 10,
}
"""Numbers of classes of the data sets that such checkpoints are likely to be of."""

IMAGENET_SIDE = 224
_CIFAR_STEM = 3
"""The small images' stem has so many times the channels of the first cells."""

State = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of a network, each as a checkpoint shows it.

    Attributes:
        network: ``"cifar"`` or ``"imagenet"``: its stem.
        init_channels: Channels of a node in the first cells.
        layers: Number of cells.
        num_classes: Number of classes.
        image_channels: Channels of its images.
    """

    network: str
    init_channels: int
    layers: int
    num_classes: int
    image_channels: int


@dataclasses.dataclass(frozen=True, eq=False)
class CheckpointDescription:
    """All of a checkpoint but genotype and weights.

    Attributes:
        sizes: Of its network.
        dataset: The data set that it was trained on.
        class_names: By label.
        image_side: Height and width of its images, in pixels.
        mean: (channels,), in units of 0 to 1.
        std: (channels,), in units of 0 to 1.
    """

    sizes: Sizes
    dataset: str
    class_names: tuple[str, ...]
    image_side: int
    mean: np.ndarray
    std: np.ndarray


def describe_checkpoint(
    state: State,
    dataset: str = "cifar10",
    class_names: Sequence[str] = (),
    image_size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    **sizes: int | str | None,
) -> CheckpointDescription:
    """Describes a checkpoint, and checks what is said of it.

    Args:
        state: As `read_torch_state` returns it.
        dataset: The data set that it was trained on. Defaults to ``"cifar10"``.
        class_names: By label. Defaults to none given: the data set's own where they are known, else "0", "1", ...
        image_size: Side of its images, in pixels. Defaults to None: the data set's, or 224 for the ImageNet stem.
        mean: What its images were normalised by, one value a channel, in units of 0 to 1. Defaults to none given: the
            data set's, where it is known.
        std: Likewise.
        sizes: Any of the fields of `Sizes` but the last, to be checked; None stands for what the checkpoint shows.

    Raises:
        RunError: When the state is none of a network of DARTS or FairDARTS.
        ConfigurationError: When something said contradicts it, or is not said and not known.
    """
    found = read_sizes(state)
    _check_sizes(found, sizes)
    names = _class_names(found.num_classes, dataset, class_names)
    side = _image_side(found.network, dataset, image_size)
    return CheckpointDescription(found, dataset, names, side, *_normalization(found.image_channels, dataset, mean, std))


def read_sizes(state: State) -> Sizes:
    """Returns the sizes of the network whose state this is.

    Raises:
        RunError: When it is none of a network of DARTS or FairDARTS.
    """
    _shape(state, "cells.0.preprocess1.op.1.weight", 4)
    cells = {match[1] for match in map(re.compile(r"cells\.(\d+)\.").match, state) if match}
    classes = _shape(state, "classifier.weight", 2)[0]
    if "stem0.0.weight" in state:
        channels, image_channels = _shape(state, "stem1.1.weight", 4)[0], _shape(state, "stem0.0.weight", 4)[1]
        return Sizes("imagenet", channels, len(cells), classes, image_channels)
    channels, image_channels = _shape(state, "stem.0.weight", 4)[:2]
    return Sizes("cifar", channels // _CIFAR_STEM, len(cells), classes, image_channels)


def _shape(state: State, name: str, dimensions: int) -> tuple[int, ...]:
    if name not in state or state[name].ndim != dimensions:
        found = f"has shape {state[name].shape}" if name in state else "is missing"
        raise RunError(
            f"the checkpoint is none of a network of DARTS or FairDARTS: {name!r} {found}. Name the checkpoint of a "
            "network that was trained after the search."
        )
    return state[name].shape


def _check_sizes(found: Sizes, given: Mapping[str, int | str | None]) -> None:
    actual = dataclasses.asdict(found)
    wrong = {name: value for name, value in given.items() if value is not None and actual[name] != value}
    if wrong:
        raise ConfigurationError(
            f"the checkpoint is no network of {_flags(wrong)}: it fits {_flags({n: actual[n] for n in wrong})}. Pass "
            "that, or leave it out."
        )


def _flags(values: Mapping[str, object]) -> str:
    return " ".join(f"--{name}={value}" for name, value in values.items())


def _class_names(count: int, dataset: str, given: Sequence[str]) -> tuple[str, ...]:
    if given and len(given) != count:
        raise ConfigurationError(
            f"--class_names has {len(given)} names, but the checkpoint's network tells {count} classes apart. Give one "
            "for each, in the order of the labels."
        )
    known = CLASS_COUNTS.get(base_name(dataset), count)
    if not given and known != count:
        raise ConfigurationError(
            f"the checkpoint's network tells {count} classes apart, but --dataset={dataset} has {known}. Name the "
            "data set that it was trained on with --dataset, or, of a part of one, its classes with --class_names."
        )
    return tuple(given) or CLASS_NAMES.get(base_name(dataset)) or tuple(str(label) for label in range(count))


def _image_side(network: str, dataset: str, given: int | None) -> int:
    side = given or KNOWN.get(base_name(dataset), (IMAGENET_SIDE if network == "imagenet" else None,))[0]
    if side is None:
        raise ConfigurationError(
            f"how large are the images of {dataset}? Name the side of the squares that the network was trained on, in "
            "pixels, with --image_size."
        )
    return side


def _normalization(
    channels: int, dataset: str, mean: Sequence[float], std: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    if not len(mean) and not len(std):
        _, mean, std = KNOWN.get(base_name(dataset), (None, (), ()))
    if not len(mean) or not len(std):
        raise ConfigurationError(
            f"how were the images of {dataset} normalised? Give mean and standard deviation of each channel, in units "
            "of 0 to 1, with --mean and --std; for ImageNet usually --mean=0.485,0.456,0.406 "
            "--std=0.229,0.224,0.225."
        )
    if len(mean) != channels or len(std) != channels:
        raise ConfigurationError(
            f"mean and std have {len(mean)} and {len(std)} values, but the images of the checkpoint's network have "
            f"{channels} channels. Give one value for each with --mean and --std, or name its data set with --dataset."
        )
    if not all(0 <= value <= 1 for value in mean) or not all(0 < value <= 1 for value in std):
        raise ConfigurationError(
            "--mean must be from 0 to 1 and --std above 0 and up to 1: they are for pixels in units of 0 to 1. Divide "
            "values for pixels from 0 to 255 by 255."
        )
    return np.array(mean, np.float32), np.array(std, np.float32)
