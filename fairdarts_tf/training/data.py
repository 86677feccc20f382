"""The images of a training: those that are trained on, and those that are held back to choose the best epoch."""

from __future__ import annotations

import tensorflow as tf

from fairdarts_tf import data
from fairdarts_tf.data import pipeline
from fairdarts_tf.data.rows import WHOLE, Parts
from fairdarts_tf.errors import DataError
from fairdarts_tf.training.settings import TrainSettings

VALIDATION_BATCH = 256


class TrainingData:
    """The batches of a training, each a function of seed and step.

    Args:
        settings: The training's.
        images: The training split of its data set; `fairdarts_tf.data.load_images` loads it.

    Attributes:
        mean: (channels,), in units of 0 to 1.
        std: (channels,), in units of 0 to 1.
        steps_per_epoch: Steps of an epoch.

    Raises:
        DataError: When there are too few images for a batch or for what is held back.
    """

    def __init__(self, settings: TrainSettings, images: data.LabelledImages | data.EncodedImages) -> None:
        self._settings = settings
        self._images = images
        self.mean, self.std = data.statistics_for(settings.dataset, images)
        self._trained_on, self._held_back = data.held_back(images.labels, settings.validation_portion, settings.seed)
        full = pipeline.steps_per_epoch(len(self._trained_on), settings.batch_size)
        self.steps_per_epoch = settings.steps_per_epoch or full
        self._augmentation = _augmentation(settings, min(images.image_shape[:2]))

    def batches_from(self, step: int, parts: Parts = WHOLE) -> tf.data.Dataset:
        """Returns the endless augmented batches of the run from a step on, or parts of each."""
        return pipeline.train_batches(
            self._images,
            self._trained_on,
            batch_size=self._settings.batch_size,
            seed=self._settings.seed,
            mean=self.mean,
            std=self.std,
            augmentation=self._augmentation,
            first_step=step,
            parts=parts,
        )

    def validation_batches(self, replicas: int = 1, parts: Parts = WHOLE) -> tf.data.Dataset | None:
        """Returns the images that are held back, once and unaltered, or None where none are.

        Args:
            replicas: Among which each batch is divided. Defaults to 1.
            parts: Which parts of each batch are made. Defaults to the whole.

        Raises:
            DataError: When there are too few images to divide.
        """
        if not len(self._held_back):
            return None
        return pipeline.evaluation_batches(
            self._images,
            self._held_back,
            batch_size=max(VALIDATION_BATCH, 2 * replicas),
            mean=self.mean,
            std=self.std,
            least=replicas,
            parts=parts,
        )

    def describe(self) -> str:
        """Returns, for people, what is trained on and what chooses."""
        trained, held = len(self._trained_on), len(self._held_back)
        if not held:
            return f"trains on {trained} images; none is held back, so the last epoch's weights count"
        return f"trains on {trained} images; {held} others of the training split choose the best epoch, no test images"


def _augmentation(settings: TrainSettings, image_size: int) -> data.Augmentation:
    if settings.cutout > image_size:
        raise DataError(
            f"--cutout={settings.cutout} is wider than the images, which have {image_size} pixels a side. Pass a "
            "smaller one, or 0 for none."
        )
    return data.Augmentation.suited_to(
        settings.dataset,
        image_size,
        cutout=settings.cutout,
        resized_crop=settings.crop == "resized",
        color_jitter=settings.color_jitter,
        operations=settings.augmentation_operations if settings.augmentation == "randaugment" else 0,
        strength=settings.augmentation_strength,
    )
