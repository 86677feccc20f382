"""From an encoded image to an array of bytes, whatever the file holds."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import BinaryIO

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
_END_OF_JPEG = b"\xff\xd9"
_ORIENTATION = 0x0112
_UPRIGHT = 1


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Readies Pillow to decode from several threads that end with the context."""
    # Formats are known by name only once Pillow has loaded its plugins.
    Image.init()
    with warnings.catch_warnings():
        # Of many pixels, of damage that Pillow passes over: an image is decoded or refused, and the limit is our own.
        warnings.simplefilter("ignore")
        yield


def quiet_pillow_for_good() -> None:
    """Readies Pillow to decode from threads that come and go, as a pipeline's, whose warnings no context could hold."""
    Image.init()
    warnings.filterwarnings("ignore", module=r"PIL\.")


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
    mode = mode_of(channels)
    with _errors_named(os.fspath(file)), open_file(file) as content:
        return _decoded(content, image_size, mode)


def decode_content(content: bytes, name: str, image_size: int | None = None, channels: int = 3) -> np.ndarray:
    """Decodes the bytes of an image file as `decode_image` does; ``name`` says in errors where they are from."""
    mode = mode_of(channels)
    with _errors_named(name):
        return _decoded(io.BytesIO(content), image_size, mode)


def as_plain_image(content: bytes, name: str, side: int, channels: int = 3) -> tuple[bytes, int, int]:
    """Returns an encoded image that any decoder reads alike, with its height and width in pixels.

    That is the content itself where it is a whole upright JPEG of grey levels or RGB, as nearly all photographs are.
    Anything else is decoded as `decode_image` does and encoded again without loss and in no time, as BMP of RGB.

    Args:
        content: Of an image file.
        name: Says in errors where it is from.
        side: An image that has to be encoded again is scaled down to this many pixels on its shorter side.
        channels: 3 for RGB, 1 for grey levels. Defaults to 3.

    Raises:
        DataError: As `decode_image`.
    """
    mode = mode_of(channels)
    with _errors_named(name), _opened(io.BytesIO(content)) as image:
        if _is_plain(image, content):
            return content, image.height, image.width
        image.draft(mode, (side, side))
        upright = _upright(image).convert(mode)
        factor = side / min(upright.size)
        if factor < 1:
            size = tuple(max(1, round(length * factor)) for length in upright.size)
            upright = upright.resize(size, Image.Resampling.BILINEAR)
        encoded = io.BytesIO()
        upright.convert("RGB").save(encoded, "BMP")
        return encoded.getvalue(), upright.height, upright.width


def check_image(file: str | os.PathLike[str]) -> None:
    """Checks, by its first bytes alone, that a file is an image.

    Raises:
        DataError: As `decode_image`, but for what is broken further on.
    """
    if not os.path.exists(file):
        raise DataError(f"there is no image {os.fspath(file)}. Check its path.")
    with quiet_pillow(), _errors_named(os.fspath(file)), open_file(file) as content, _opened(content):
        pass


def mode_of(channels: int) -> str:
    """Returns Pillow's name for images of so many channels.

    Raises:
        DataError: When files have no such images.
    """
    if channels not in _MODES:
        raise DataError(f"images of {channels} channels cannot be read from a file, only RGB (3) and grey levels (1).")
    return _MODES[channels]


@contextlib.contextmanager
def _errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow raises errors of many kinds on broken files.
        message = getattr(error, "strerror", None) or str(error)
        if isinstance(error, UnidentifiedImageError):
            message = f"cannot identify it as {', '.join(FORMATS)}"
        reason = " ".join(message.split()).rstrip(".") or type(error).__name__
        raise DataError(f"cannot decode image {name}: {reason}. Replace or remove the file.") from error


@contextlib.contextmanager
def _opened(content: BinaryIO) -> Iterator[Image.Image]:
    with Image.open(content, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(
                f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS // 1_000_000} million"
            )
        yield image


def _decoded(content: BinaryIO, image_size: int | None, mode: str) -> np.ndarray:
    with _opened(content) as image:
        pixels = np.asarray(_convert(image, image_size, mode))
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _convert(image: Image.Image, image_size: int | None, mode: str) -> Image.Image:
    if image_size:
        # Lets a large JPEG be decoded at a fraction of its size, never below the one needed.
        image.draft(mode, (image_size, image_size))
    converted = _upright(image).convert(mode)
    return fit_to_square(converted, image_size) if image_size else converted


def _upright(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in SIXTEEN_BIT_MODES:
        # Pillow would clip 16 bits at 255, not scale them.
        return Image.fromarray((np.asarray(upright).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    return upright


def _is_plain(image: Image.Image, content: bytes) -> bool:
    whole_jpeg = image.format == "JPEG" and content.endswith(_END_OF_JPEG)
    return whole_jpeg and image.mode in _MODES.values() and image.getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT
