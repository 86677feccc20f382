"""How many images a second the data side gives, by itself, and how much of the processor each takes."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable

import numpy as np

from fairdarts_tf import data
from fairdarts_tf.benchmarking.data_settings import DataMeasurement
from fairdarts_tf.data.fetching import broken_images_named
from fairdarts_tf.data.pipeline import evaluation_batches, steps_per_epoch, train_batches
from fairdarts_tf.devices import configure_runtime

WARM_UP_BATCHES = 3
_CONSTANT = 0.5
_OPTIONS = {
    "padded": {},
    "resized": {"resized_crop": True},
    "imagenet": {"resized_crop": True, "color_jitter": 0.4},
    "randaugment": {"resized_crop": True, "operations": 2},
}


@dataclasses.dataclass(frozen=True)
class Throughput:
    """What one pair of a form and a recipe gave.

    Attributes:
        storage: The form.
        recipe: How images were varied.
        images_per_second: With all cores of the process, and whatever else ran on them.
        core_milliseconds: Of processor time that an image took, over all threads. Its inverse is what a core gives
            where nothing else runs on it.
    """

    storage: str
    recipe: str
    images_per_second: float
    core_milliseconds: float


@dataclasses.dataclass(frozen=True)
class DataResult:
    """All that was measured.

    Attributes:
        images: How many images there are.
        cores: CPU cores that the process may use.
        loading_seconds: What loading took, by form: of ``memory`` and ``disk`` it decodes all images, unless they lay
            on the disk already.
        rows: In the order of the settings.
    """

    images: int
    cores: int
    loading_seconds: dict[str, float]
    rows: list[Throughput]


def measure_data(settings: DataMeasurement, say: Callable[[str], None] = lambda text: None) -> DataResult:
    """Measures the data side by itself: no network takes the batches.

    Args:
        settings: What to measure.
        say: Is told how far the measurement is, line by line. Defaults to nothing.

    Raises:
        DataError: When the images cannot be loaded, or are fewer than a batch.
    """
    configure_runtime()
    seconds, rows, count = {}, [], 0
    for storage in settings.storages:
        before = time.perf_counter()
        images = _loaded(settings, storage)
        seconds[storage], count = time.perf_counter() - before, len(images)
        say(f"{storage}: {count} images loaded in {seconds[storage]:.1f} s")
        for recipe in settings.recipes:
            rows.append(_measured(settings, images, storage, recipe))
            say(f"{storage}, {recipe}: {rows[-1].images_per_second:.0f} images/s")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return DataResult(count, cores, seconds, rows)


def _loaded(settings: DataMeasurement, storage: str) -> data.LabelledImages | data.EncodedImages:
    return data.load_dataset(
        settings.dataset,
        data_dir=settings.data_dir or None,
        image_size=settings.image_size,
        resize_size=settings.resize_size or None,
        classes=settings.classes,
        storage=storage,
        cache_dir=settings.cache_dir or None,
    )


def _measured(
    settings: DataMeasurement, images: data.LabelledImages | data.EncodedImages, storage: str, recipe: str
) -> Throughput:
    with broken_images_named(images):
        batches = iter(_batches(settings, images, recipe))
        for _ in range(WARM_UP_BATCHES):
            next(batches)
        began, used, taken = time.perf_counter(), time.process_time(), 0
        while (elapsed := time.perf_counter() - began) < settings.seconds:
            next(batches)
            taken += settings.batch_size
    used = time.process_time() - used
    return Throughput(storage, recipe, taken / elapsed, 1000 * used / taken)


def _batches(settings: DataMeasurement, images: data.LabelledImages | data.EncodedImages, recipe: str) -> object:
    """Returns batches without an end."""
    constant = np.full(images.image_shape[-1], _CONSTANT)
    options = {"batch_size": settings.batch_size, "mean": constant, "std": constant}
    everything = np.arange(len(images))
    if recipe == "squares":
        whole = steps_per_epoch(len(images), settings.batch_size) * settings.batch_size
        return evaluation_batches(images, everything[:whole], **options).repeat()
    recipe = data.Augmentation.suited_to("", min(images.image_shape[:2]), **_OPTIONS[recipe])
    return train_batches(images, everything, seed=0, augmentation=recipe, **options)
