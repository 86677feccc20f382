"""The export of a network that was trained as an ordinary Keras model."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from fairdarts_tf.data import EncodedImages, LabelledImages
from fairdarts_tf.export.images import CALIBRATION_IMAGES, some
from fairdarts_tf.export.network import Progress, export_network
from fairdarts_tf.export.verification import Verification
from fairdarts_tf.image_classifier import ImageClassifier

Images = LabelledImages | EncodedImages


def export_classifier(
    classifier: ImageClassifier,
    output_dir: str | os.PathLike[str],
    held_back: Images,
    trained_on: Images | None = None,
    formats: Sequence[str] = ("saved_model", "tflite"),
    quantizations: Sequence[str] = ("none",),
    batch_size: int | None = None,
    *,
    images: int = 256,
    progress: Progress = lambda line: None,
) -> list[Verification]:
    """Writes a network as a SavedModel, TFLite files and a Keras file, and verifies each in its own runtime.

    Args:
        classifier: Trained.
        output_dir: Where to; made if absent.
        held_back: Images on which no weight was trained, of the network's classes: what is verified with.
        trained_on: Training images, some of which calibrate ``"int8"``. Defaults to None: there is none of that.
        formats: Of ``"saved_model"``, ``"tflite"``, ``"keras"``. Defaults to the first two.
        quantizations: One TFLite file for each of ``"none"``, ``"float16"``, ``"dynamic"``, ``"int8"``. Defaults to
            ``"none"`` alone.
        batch_size: See `export_network`.
        images: How many images to verify with, at most. Defaults to 256.
        progress: Called with a line of text for each step. Defaults to silence.

    Returns:
        One verification for each file written, with its ``file``, its ``agreement`` and its ``accuracy``.

    Raises:
        FairDartsError: As `export_network` does.

    Example:
        >>> digits, test = fd.load_dataset("digits"), fd.load_dataset("digits", "test")
        >>> classifier = fd.load_genotype("runs/mine").build(digits, init_channels=2, layers=3)
        >>> [row.file for row in fd.export_classifier(classifier, "exported", test, formats=["tflite"], images=20)]
        ['network.tflite']
    """
    chosen = some(np.arange(len(held_back)), images)
    calibration = None
    if trained_on is not None:
        calibration = trained_on.central(some(np.arange(len(trained_on)), CALIBRATION_IMAGES))
    return export_network(
        classifier.found,
        output_dir,
        formats,
        quantizations,
        batch_size,
        held_back_images=held_back.central(chosen),
        held_back_labels=held_back.labels[chosen],
        calibration_images=calibration,
        calibrated_on=f"images of {classifier.dataset or 'its data set'} that the network was trained on",
        progress=progress,
    )
