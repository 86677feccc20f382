"""An animation of a search: its cells and mixing weights, epoch by epoch, as a GIF."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairdarts_tf import files
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.report import cells, drawing, heat_map
from fairdarts_tf.report.evolution import Epoch, evolution_of
from fairdarts_tf.report.run_data import RunData, refuse_overwriting

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from fairdarts_tf.spaces import SearchSpace

DEFAULT_FPS = 4.0
DEFAULT_WIDTH = 900
WIDTHS = (200, 4000)
MOST_FPS = 50.0
"""A GIF counts time in hundredths of a second, and programs slow down what is shorter than two."""

_LAST_FRAME_SECONDS = 3.0
# White pages stay white, and boxes keep their colours; the other colours are blends at edges and in heat maps.
_EXACT_COLOURS = ("#FFFFFF", *drawing.FILLS)
_NEAR_WHITE = 246
_BLENDS = 114
_PALETTE_SAMPLES = 4
_NO_DITHER = 0

# Lengths are inches at the pictures' natural size, sizes of text points.
_HEAD_HEIGHT = 0.45
_MESSAGE_SIZE = (5.0, 2.0)
_MESSAGE_CHARACTERS = 56
_HEAD_TEXT_SIZE, _MESSAGE_TEXT_SIZE = 14, 11
_INK = "#1F2937"


class Frame(NamedTuple):
    """What is shown of an epoch.

    Args:
        epoch: Its number, from 1; 0 for the last one where its number is not known.
        values: Mixing weights by kind, of shape (rows, operations).
        genotype: What is derived from them, or None.
        notes: Each operation's value and margin.
        reason: Why there is no genotype.
    """

    epoch: int
    values: dict[str, np.ndarray]
    genotype: AnyGenotype | None
    notes: drawing.Notes
    reason: str


def save_gif(run: RunData, path: str | os.PathLike[str], fps: float = DEFAULT_FPS, width: int = DEFAULT_WIDTH) -> int:
    """Writes the animation of a run, which may still be going, as a GIF, atomically.

    Args:
        run: What `fairdarts_tf.report.run_data.read_run` read.
        path: The file to write.
        fps: Epochs shown in a second, above 0 and at most 50. The last one stays for 3 seconds.
        width: Of the pictures, in pixels, from 200 to 4000. Their height follows.

    Returns:
        The number of epochs shown.

    Raises:
        ConfigurationError: When ``fps`` or ``width`` is out of range, the file's directory is absent, or the file is
            one of the run's own.
        RunError: When the alphas of no epoch are known.
        OSError: When the file cannot be written.
    """
    if not 0 < fps <= MOST_FPS:
        raise ConfigurationError(f"fps is {fps:g}. Expected a number above 0, at most {MOST_FPS:g}.")
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise ConfigurationError(f"the width is {width}. Expected a number of pixels from {WIDTHS[0]} to {WIDTHS[1]}.")
    refuse_overwriting(path, [run.workdir])
    frames = frames_of(run)
    if not Path(path).parent.is_dir():
        raise ConfigurationError(f"{path} cannot be written: there is no directory {Path(path).parent}. Make it first.")
    epochs = max(run.state().planned or 0, frames[-1].epoch)
    canvas = _Canvas.of(frames, run.derivation.space, epochs, width)
    palette = _palette([canvas.image(frame) for frame in _samples(frames)])
    # With one palette for all, what stays the same is the same from frame to frame.
    first, *others = (canvas.image(frame).quantize(palette=palette, dither=_NO_DITHER) for frame in frames)
    durations = [round(1000 / fps)] * len(others) + [round(1000 * max(_LAST_FRAME_SECONDS, 1 / fps))]
    options = {"format": "GIF", "append_images": others, "save_all": True, "loop": 0, "optimize": False}
    files.write_atomically(path, lambda file: first.save(file, duration=durations, disposal=1, **options))
    return len(frames)


def frames_of(run: RunData) -> list[Frame]:
    """Returns a frame for each epoch whose alphas are known.

    Raises:
        RunError: When there is none.
    """
    evolution = evolution_of(run)
    if not evolution.epochs:
        raise RunError(f"{run.workdir} has nothing to animate. {' '.join(run.problems)}")
    weights = run.mixing_weights()
    return [
        _frame(epoch, {kind: table[index] for kind, table in weights.items()})
        for index, epoch in enumerate(evolution.epochs)
    ]


def _frame(epoch: Epoch, values: dict[str, np.ndarray]) -> Frame:
    return Frame(epoch.number, values, epoch.genotype, drawing.notes_of(epoch.confidence), epoch.reason)


def pixels(figure: Figure, dpi: float) -> np.ndarray:
    """Returns a Matplotlib figure drawn at so many pixels per inch: uint8 of shape (height, width, 3).

    It takes half the time of writing and reading a file, for which Matplotlib would draw the figure twice.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


class _Canvas(NamedTuple):
    """A canvas of one size for all frames: the genotype on the left, heat maps on the right, at one scale."""

    space: SearchSpace
    epochs: int
    left_width: float
    dpi: float
    width: int
    height: int

    @classmethod
    def of(cls, frames: Sequence[Frame], space: SearchSpace, epochs: int, width: int) -> _Canvas:
        sizes = [drawing.natural_size(frame.genotype, frame.notes, space) for frame in frames if frame.genotype]
        left_width, left_height = np.max([*sizes, _MESSAGE_SIZE], axis=0)
        maps = heat_map.draw_heat_maps(frames[0].values, space, stacked=True)
        maps_width, maps_height = maps.get_size_inches()
        dpi = width / (left_width + maps_width)
        height = round(dpi * max(maps_height, _HEAD_HEIGHT + left_height))
        return cls(space, epochs, left_width, dpi, width, height)

    def image(self, frame: Frame) -> Image:
        from PIL import Image

        canvas = Image.new("RGB", (self.width, self.height), "white")
        title = f"Epoch {frame.epoch} of {self.epochs}" if frame.epoch else "The last epoch"
        head = _text(title, (self.left_width, _HEAD_HEIGHT), _HEAD_TEXT_SIZE)
        canvas.paste(_image(head, self.dpi), (0, 0))
        canvas.paste(_image(_left(frame, self.space), self.dpi), (0, round(self.dpi * _HEAD_HEIGHT)))
        maps = _image(heat_map.draw_heat_maps(frame.values, self.space, stacked=True), self.dpi)
        canvas.paste(maps, (self.width - maps.width, 0))
        return canvas


def _image(figure: Figure, dpi: float) -> Image:
    """Returns the figure drawn twice as large and then halved: small text is more even so than drawn at its size."""
    from PIL import Image

    large = Image.fromarray(pixels(figure, 2 * dpi))
    return large.resize((large.width // 2, large.height // 2), Image.Resampling.LANCZOS)


def _left(frame: Frame, space: SearchSpace) -> Figure:
    if frame.genotype is not None:
        return cells.draw_genotype(frame.genotype, frame.notes, space)
    message = textwrap.fill(f"No genotype at this epoch: {frame.reason}", _MESSAGE_CHARACTERS)
    return _text(message, _MESSAGE_SIZE, _MESSAGE_TEXT_SIZE)


def _text(text: str, size: tuple[float, float], points: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, facecolor="white")
    figure.text(0.2 / size[0], 0.5, text, size=points, color=_INK, va="center", ha="left")
    return figure


def _samples(frames: Sequence[Frame]) -> list[Frame]:
    """Returns some frames in even distances, the last among them."""
    return list(frames[:: -max(1, len(frames) // _PALETTE_SAMPLES)])


def _palette(images: Sequence[Image]) -> Image:
    """Returns an image that carries a palette for all images like these."""
    from PIL import Image

    sheet = Image.new("RGB", (images[0].width, sum(image.height for image in images)))
    for index, image in enumerate(images):
        sheet.paste(image, (0, index * image.height))
    blends = sheet.quantize(_BLENDS, method=Image.Quantize.MEDIANCUT, dither=_NO_DITHER).getpalette()
    exact = [level for colour in _EXACT_COLOURS for level in bytes.fromhex(colour.removeprefix("#"))]
    palette = Image.new("P", (1, 1))
    palette.putpalette(exact + _without_near_white(blends[: 3 * _BLENDS]))
    return palette


def _without_near_white(levels: Sequence[int]) -> list[int]:
    """Returns the colours' levels with white for all that Pillow, which looks for a near colour, may take for white."""
    colours = np.reshape(levels, (-1, 3))
    return np.where(colours.min(axis=1, keepdims=True) >= _NEAR_WHITE, 255, colours).ravel().tolist()
