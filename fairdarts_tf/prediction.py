"""What a network takes image files for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairdarts_tf.data.decoding import decode_image, quiet_pillow
from fairdarts_tf.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from fairdarts_tf.runtimes import Runtime

TOP = 5
BATCH = 64
"""Images that are held in memory at once."""


class Guess(NamedTuple):
    """A class that an image may be of, with its probability."""

    name: str
    label: int
    probability: float


def predict_files(runtime: Runtime, files: Sequence[str | os.PathLike[str]], top: int = TOP) -> list[list[Guess]]:
    """Returns the most probable classes of each image, the most probable first.

    Images are resized to the network's size: the short side is scaled, the long side cropped at its centre. A network
    for grey images sees grey levels.

    Args:
        runtime: A network that `fairdarts_tf.runtimes.open_model` has opened.
        files: The images.
        top: How many classes, at most; all where the network has fewer. Defaults to 5.

    Raises:
        DataError: When a file is absent or no image, or cannot be brought to the network's size.
        ConfigurationError: When `top` is less than 1.
    """
    if top < 1:
        raise ConfigurationError(f"--top is {top}, but must be at least 1.")
    guesses: list[list[Guess]] = []
    for start in range(0, len(files), BATCH):
        with quiet_pillow():
            images = np.stack([_read(file, runtime.image_shape) for file in files[start : start + BATCH]])
        guesses += [_best(row, runtime.class_names, top) for row in runtime.probabilities(images)]
    return guesses


def _read(file: str | os.PathLike[str], image_shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = image_shape
    image = decode_image(file, height if height == width else None, channels)
    if image.shape != tuple(image_shape):
        raise DataError(
            f"{os.fspath(file)} has {image.shape[1]} x {image.shape[0]} pixels, but the network takes images of "
            f"{width} x {height}, which are not square. Resize it to that."
        )
    return image


def _best(probabilities: np.ndarray, class_names: Sequence[str], top: int) -> list[Guess]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [Guess(class_names[label], int(label), float(probabilities[label])) for label in order]
