"""Augmented batches of pixels, for a model that is trained by an ordinary `fit`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from fairdarts_tf.data import pipeline
from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.recipe import Augmentation


def augmented_batches(
    images: LabelledImages | EncodedImages,
    batch_size: int = 64,
    seed: int = 0,
    augmentation: Augmentation | None = None,
) -> tf.data.Dataset:
    """Returns endless batches of training images, varied at random, in a new order each epoch.

    Args:
        images: To be trained on.
        batch_size: Images in a batch. Defaults to 64.
        seed: Chooses order and augmentation. Defaults to 0.
        augmentation: How images are varied. Defaults to None: padded, cropped, and mirrored unless they show digits or
            letters.

    Returns:
        Pixels (batch, height, width, channels), float32 from 0 to 255, and labels (batch,), int32.

    Raises:
        DataError: When there are fewer images than a batch takes.

    Example:
        >>> digits = fd.load_dataset("digits")
        >>> pixels, labels = next(iter(fd.augmented_batches(digits, batch_size=32)))
        >>> pixels.shape, labels.shape
        (TensorShape([32, 8, 8, 1]), TensorShape([32]))
    """
    channels = images.image_shape[-1]
    return pipeline.train_batches(
        images,
        np.arange(len(images)),
        batch_size=batch_size,
        seed=seed,
        # Normalised to what they were: the model itself normalises.
        mean=np.zeros(channels, np.float32),
        std=np.full(channels, 1 / 255, np.float32),
        augmentation=augmentation or Augmentation.suited_to(images.name, min(images.image_shape[:2])),
    )
