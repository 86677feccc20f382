"""Which images are measured, in which forms and varied how."""

from __future__ import annotations

import dataclasses

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.settings_checks import STORAGES, check_data_settings, check_settings

FORMS = tuple(name for name in STORAGES if name != "auto")
RECIPES = {
    "squares": "central squares, as in evaluation",
    "padded": "padded crop and flip",
    "resized": "random-resized crop and flip",
    "imagenet": "random-resized crop, flip and jitter of colours: DARTS' recipe",
    "randaugment": "random-resized crop, flip and RandAugment",
}


@dataclasses.dataclass(frozen=True)
class DataMeasurement:
    """The settings of a measurement of the data; each field is a flag of the same name.

    Args:
        dataset: ``digits``, a name of tensorflow-datasets or ``folder:PATH``.
        data_dir: Where tensorflow-datasets keeps prepared data; empty: its own default.
        image_size: Side of the square that a network sees of each image, in pixels.
        resize_size: What the shorter side of images is scaled to before that square is taken, in pixels; 0: to
            `image_size`.
        classes: Names of the classes that take part, or their number; none: all.
        storages: Forms that are measured, any of ``memory``, ``disk`` and ``encoded``.
        recipes: How images are varied, any of ``squares`` (as in evaluation), ``padded``, ``resized``, ``imagenet``
            (resized crop and jitter of colours) and ``randaugment``.
        cache_dir: Directory of images that are decoded once and kept on disk.
        batch_size: Images of a batch.
        seconds: How long each pair of a form and a recipe is measured.

    Raises:
        ConfigurationError: When a value is outside its range.
    """

    dataset: str = "digits"
    data_dir: str = ""
    image_size: int = 224
    resize_size: int = 256
    classes: tuple[str, ...] = ()
    storages: tuple[str, ...] = ("memory", "encoded")
    recipes: tuple[str, ...] = ("squares", "padded", "resized", "imagenet")
    cache_dir: str = ""
    batch_size: int = 64
    seconds: float = 10.0

    def __post_init__(self) -> None:
        check_settings(self, CHOICES, _RANGES)
        if not self.storages or not self.recipes:
            raise ConfigurationError("nothing is measured: name at least one of --storages and one of --recipes.")
        for storage in self.storages:
            check_data_settings(_Of(self.image_size, self.resize_size, self.classes, storage, self.cache_dir))


@dataclasses.dataclass(frozen=True)
class _Of:
    image_size: int
    resize_size: int
    classes: tuple[str, ...]
    storage: str
    cache_dir: str


CHOICES: dict[str, tuple[str, ...]] = {"storages": FORMS, "recipes": tuple(RECIPES)}
"""Names that each item of a setting may have."""

_RANGES: dict[str, tuple[float, float]] = {
    "image_size": (1, 4096),
    "resize_size": (0, 4096),
    "batch_size": (1, 1_000_000),
    "seconds": (0.01, 86_400),
}
