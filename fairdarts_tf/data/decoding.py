"""From an image file to an array of bytes, whatever the file holds."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fairdarts_tf.data.resizing import fit_to_square
from fairdarts_tf.errors import DataError
from fairdarts_tf.files import open_file

# Files are often something else than their suffix says. Formats that may start other programs are left out.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
# A photograph has up to about 50 million pixels; a small file may claim far more, to exhaust the memory.
MAX_PIXELS = 64_000_000
SIXTEEN_BIT_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")

_MODES = {1: "L", 3: "RGB"}


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Readies Pillow to decode from several threads."""
    # Formats are known by name only once Pillow has loaded its plugins.
    Image.init()
    with warnings.catch_warnings():
        # Of many pixels, of damage that Pillow passes over: an image is decoded or refused, and the limit is our own.
        warnings.simplefilter("ignore")
        yield


def decode_image(file: str | os.PathLike[str], image_size: int | None = None, channels: int = 3) -> np.ndarray:
    """Decodes an image upright; of a moving image the first frame, and of 16 bits the upper 8.

    Args:
        file: A PNG, JPEG, GIF, WebP or BMP file, whatever its name ends in.
        image_size: Side that the image's central square is resized to, in pixels. Defaults to None: its own size.
        channels: 3 for RGB, 1 for grey levels. Defaults to 3.

    Returns:
        (height, width, channels), uint8.

    Raises:
        DataError: When the file is absent, no image or too large.
    """
    mode = _mode(channels)
    with _opened(file) as image:
        pixels = np.asarray(_convert(image, image_size, mode))
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def check_image(file: str | os.PathLike[str]) -> None:
    """Checks, by its first bytes alone, that a file is an image.

    Raises:
        DataError: As `decode_image`, but for what is broken further on.
    """
    if not os.path.exists(file):
        raise DataError(f"there is no image {os.fspath(file)}. Check its path.")
    with quiet_pillow(), _opened(file):
        pass


@contextlib.contextmanager
def _opened(file: str | os.PathLike[str]) -> Iterator[Image.Image]:
    try:
        with open_file(file) as content, Image.open(content, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(
                    f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS // 1_000_000} million"
                )
            yield image
    except Exception as error:  # Pillow raises errors of many kinds on broken files.
        message = getattr(error, "strerror", None) or str(error)
        if isinstance(error, UnidentifiedImageError):
            message = f"cannot identify it as {', '.join(FORMATS)}"
        reason = " ".join(message.split()).rstrip(".") or type(error).__name__
        raise DataError(f"cannot decode image {os.fspath(file)}: {reason}. Replace or remove the file.") from error


def _mode(channels: int) -> str:
    if channels not in _MODES:
        raise DataError(f"images of {channels} channels cannot be read from a file, only RGB (3) and grey levels (1).")
    return _MODES[channels]


def _convert(image: Image.Image, image_size: int | None, mode: str) -> Image.Image:
    if image_size:
        # Lets a large JPEG be decoded at a fraction of its size, never below the one needed.
        image.draft(mode, (image_size, image_size))
    upright = ImageOps.exif_transpose(image)
    if upright.mode in SIXTEEN_BIT_MODES:
        # Pillow would clip 16 bits at 255, not scale them.
        upright = Image.fromarray((np.asarray(upright).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    converted = upright.convert(mode)
    return fit_to_square(converted, image_size) if image_size else converted
