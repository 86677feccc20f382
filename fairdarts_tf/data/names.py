"""What a data set's name is made of."""

from __future__ import annotations

FOLDER_PREFIX = "folder:"
TFDS_PREFIX = "tfds:"
MEMORY_PREFIX = "memory:"
"""Of images that a program had in memory: its name for them and a fingerprint follow."""
UNNAMED = "images"
DATASETS = ("digits", "cifar10", "cifar100", "imagenet2012", FOLDER_PREFIX)
"""Names that are often used, or begin one; tensorflow-datasets knows hundreds of others."""


def base_name(name: str) -> str:
    """Returns a data set's name without prefix, configuration and version.

    Examples: ``tfds:emnist/letters:3.1.0`` is ``emnist``; ``folder:photos`` is ``folder``; ``memory:digits:1f0c`` is
    ``digits``.
    """
    return name.removeprefix(MEMORY_PREFIX).removeprefix(TFDS_PREFIX).split(":")[0].split("/")[0]
