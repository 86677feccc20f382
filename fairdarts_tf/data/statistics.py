"""Mean and standard deviation of each channel, by which images are normalised."""

from __future__ import annotations

import numpy as np

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.names import base_name

CHUNK = 1024
SAMPLE = 2000
"""Images that are looked at where they are not all in memory."""

# Side of the images; mean and standard deviation of the training images, in units of 0 to 1. CIFAR-10's and ImageNet's
# are DARTS' own.
KNOWN = {
    "cifar10": (32, (0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)),
    "cifar100": (32, (0.50707516, 0.48654887, 0.44091784), (0.26733429, 0.25643846, 0.27615047)),
    "fashion_mnist": (28, (0.28604,), (0.35302,)),
    "imagenet2012": (224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mnist": (28, (0.13066,), (0.30811,)),
}
# Their images have no size of their own: what is known of them holds at any.
OF_ANY_SIZE = frozenset({"imagenet2012"})


def statistics_for(name: str, images: LabelledImages | EncodedImages) -> tuple[np.ndarray, np.ndarray]:
    """Returns the known statistics of a data set, or else those of the images, as a network sees them.

    Args:
        name: The data set's name.
        images: Its training images. Where they were resized, known values do not hold. Of images that are not all in
            memory, `SAMPLE` are looked at, the same every time.

    Returns:
        Mean and standard deviation, each ``(C,)``, float32, in units of 0 to 1.
    """
    side, mean, std = KNOWN.get(base_name(name), (None, (), ()))
    height, width, channels = images.image_shape
    if len(mean) == channels and ((height, width) == (side, side) or base_name(name) in OF_ANY_SIZE):
        return np.array(mean, np.float32), np.array(std, np.float32)
    return channel_statistics(images.central(_sample(images)))


def _sample(images: LabelledImages | EncodedImages) -> np.ndarray | None:
    in_memory = isinstance(images, LabelledImages) and not isinstance(images.images, np.memmap)
    if in_memory or len(images) <= SAMPLE:
        return None
    return np.linspace(0, len(images) - 1, SAMPLE).astype(np.int64)


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes mean and standard deviation of each channel, exactly, from integer sums.

    Args:
        images: ``(N, H, W, C)``, uint8.

    Returns:
        Mean and standard deviation, each ``(C,)``, float32, in units of 0 to 1. The deviation of a constant channel is
        given as 1, so that one can divide by it.
    """
    channels = images.shape[-1]
    total, total_of_squares = np.zeros(channels, np.uint64), np.zeros(channels, np.uint64)
    for start in range(0, len(images), CHUNK):
        # Chunks keep the wider copies small.
        pixels = images[start : start + CHUNK].reshape(-1, channels).astype(np.uint32)
        total += pixels.sum(axis=0, dtype=np.uint64)
        total_of_squares += np.square(pixels, out=pixels).sum(axis=0, dtype=np.uint64)
    count = images.size // channels
    mean = total / count
    std = np.sqrt(np.maximum(total_of_squares / count - np.square(mean), 0))
    return (mean / 255).astype(np.float32), np.where(std > 0, std / 255, 1).astype(np.float32)
