"""Resizing to a square: the short side is scaled, the long side cropped at its centre."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps


def fit_to_square(image: Image.Image, size: int) -> Image.Image:
    """Returns the image's central square, scaled to ``size`` pixels by antialiased bilinear interpolation."""
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def resize_images(images: np.ndarray, size: int | None) -> np.ndarray:
    """Returns images ``(N, H, W, C)`` of uint8 as ``(N, size, size, C)``, or themselves where nothing is to be done.

    Args:
        images: 1, 3 or 4 channels.
        size: In pixels; None keeps the images as they are.
    """
    if size is None or images.shape[1:3] == (size, size):
        return images
    return np.stack([_resize(image, size) for image in images])


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape[-1] == 1:
        return np.asarray(fit_to_square(Image.fromarray(image[..., 0]), size))[..., np.newaxis]
    return np.asarray(fit_to_square(Image.fromarray(image), size))
