"""A folder of JPEGs of several sizes, as photographs come, with the odd files that ImageNet has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.mixed_jpegs import of_photographs, write_images

TRAIN = 24
TEST = 5
ODD = ("grey.jpg", "cmyk.jpg", "turned.jpg", "png.jpg")
"""In the class ``china``, after all others of that class."""


def write_folder(root: Path) -> Path:
    """Writes the folder, with the images of ``ODD`` beside so many others."""
    chance = np.random.default_rng(0)
    write_images(root / "train", of_photographs(TRAIN), chance)
    write_images(root / "test", of_photographs(TEST), chance)
    picture = Image.open(root / "train" / "china" / "000000.jpg").convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    folder = root / "train" / "china"
    picture.convert("L").save(folder / "grey.jpg")
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.save(folder / "turned.jpg", exif=turned)
    picture.save(folder / "png.jpg", "PNG")
    return root
