"""How training images are varied: the settings, and what suits a data set."""

from __future__ import annotations

from dataclasses import dataclass

from fairdarts_tf.data.names import base_name
from fairdarts_tf.errors import ConfigurationError

# A mirrored character is another character, or none.
CHARACTERS = frozenset(
    ("binary_alpha_digits", "cmaterdb", "digits", "emnist", "kmnist", "mnist", "mnist_corrupted", "omniglot")
    + ("svhn_cropped",)
)


@dataclass(frozen=True)
class Augmentation:
    """Random variation of training images (DARTS: crop, flip; cutout where a found network is trained).

    Attributes:
        padding: Pixels of zeros added on every side before a crop of the image's own size is taken at random.
        flip: Whether half of the images are mirrored left to right.
        cutout: Side of the square that is set to 0 after normalisation, in pixels; 0 for none.
        resized_crop: Whether a random part of each image, scaled to the network's size, takes the place of padding and
            crop.
        operations: How many operations RandAugment applies to an image, after a resized crop and before a padded one;
            0 for none.
        strength: The greatest strength of those operations, from 0 to 1.
        color_jitter: Strength of the jitter of colours, from 0 (none) to 1; DARTS has 0.4 for ImageNet.

    Raises:
        ConfigurationError: When ``padding``, ``cutout``, ``operations`` or ``color_jitter`` is negative.

    Example:
        >>> fd.Augmentation.suited_to("cifar10", 32, cutout=16).padding
        4
        >>> fd.Augmentation.suited_to("digits", 8).flip
        False
    """

    padding: int = 4
    flip: bool = True
    cutout: int = 0
    resized_crop: bool = False
    operations: int = 0
    strength: float = 0.5
    color_jitter: float = 0.0

    def __post_init__(self) -> None:
        for name in ("padding", "cutout", "operations", "color_jitter"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but must be 0 (off) or more.")

    @classmethod
    def suited_to(cls, name: str, image_size: int, **options: object) -> Augmentation:
        """Returns what suits a data set's name and the size of its images, in pixels; options are other attributes."""
        return cls(padding=default_padding(image_size), flip=flips_by_default(name), **options)


def default_padding(image_size: int) -> int:
    """Returns the padding before a random crop: 4 pixels at 32, as in DARTS, and in proportion at other sizes."""
    return max(1, image_size // 8)


def flips_by_default(name: str) -> bool:
    """Returns whether a data set's images may be mirrored: yes, but for digits and letters."""
    return base_name(name) not in CHARACTERS
