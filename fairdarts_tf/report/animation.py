"""An animation of a search: its cells and mixing weights, epoch by epoch, as a GIF."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairdarts_tf import derivation, files
from fairdarts_tf.alphas import load_history, nodes_of
from fairdarts_tf.errors import ConfigurationError, GenotypeError, RunError
from fairdarts_tf.genotypes import CELL_KINDS, DARTS_OPERATIONS, FAIRDARTS_OPERATIONS, Genotype
from fairdarts_tf.relaxations import relaxation
from fairdarts_tf.report import cell_layout, cells, heat_map
from fairdarts_tf.runs import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

DEFAULT_FPS = 4.0
DEFAULT_WIDTH = 900
WIDTHS = (200, 4000)
MOST_FPS = 50.0
"""A GIF counts time in hundredths of a second, and programs slow down what is shorter than two."""

_LAST_FRAME_SECONDS = 3.0
# White pages stay white, and boxes keep their colours; the other colours are blends at edges and in heat maps.
_EXACT_COLOURS = ("#FFFFFF", *cell_layout.FILLS)
_NEAR_WHITE = 246
_BLENDS = 114
_PALETTE_SAMPLES = 4
_NO_DITHER = 0

# Lengths are inches at the pictures' natural size, sizes of text points.
_HEAD_HEIGHT = 0.45
_MESSAGE_SIZE = (5.0, 2.0)
_HEAD_TEXT_SIZE, _MESSAGE_TEXT_SIZE = 14, 11
_INK = "#1F2937"


class Frame(NamedTuple):
    """What is shown of an epoch.

    Args:
        epoch: Its number, from 1.
        values: Mixing weights: ``normal`` and ``reduce``, of shape (edges, operations).
        genotype: What is derived from them, with all nodes of the search space; None where a cell would be empty.
        notes: Each operation's value and margin.
    """

    epoch: int
    values: dict[str, np.ndarray]
    genotype: Genotype | None
    notes: cell_layout.Notes


def save_gif(
    workdir: str | os.PathLike[str],
    path: str | os.PathLike[str],
    fps: float = DEFAULT_FPS,
    width: int = DEFAULT_WIDTH,
) -> int:
    """Writes the animation of a run, which may still be going, as a GIF, atomically.

    Args:
        workdir: A directory with ``history.npz``; what decides the derivation is read from its ``flags.txt``.
        path: The file to write.
        fps: Epochs shown in a second, above 0 and at most 50. The last one stays for 3 seconds.
        width: Of the pictures, in pixels, from 200 to 4000. Their height follows.

    Returns:
        The number of epochs shown.

    Raises:
        ConfigurationError: When ``fps`` or ``width`` is out of range, a setting of the run is unusable, or the file's
            directory is absent.
        GenotypeError: When the directory holds no history of a search, or a broken one.
        RunError: When ``workdir`` is no directory or its ``flags.txt`` cannot be read.
        OSError: When the file cannot be written.
    """
    if not 0 < fps <= MOST_FPS:
        raise ConfigurationError(f"fps is {fps:g}. Expected a number above 0, at most {MOST_FPS:g}.")
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise ConfigurationError(f"the width is {width}. Expected a number of pixels from {WIDTHS[0]} to {WIDTHS[1]}.")
    operations, epochs, frames = read_frames(workdir)
    if not Path(path).parent.is_dir():
        raise ConfigurationError(f"{path} cannot be written: there is no directory {Path(path).parent}. Make it first.")
    drawing = _Drawing.of(frames, operations, epochs, width)
    palette = _palette([drawing.image(frame) for frame in _samples(frames)])
    # With one palette for all, what stays the same is the same from frame to frame.
    first, *others = (drawing.image(frame).quantize(palette=palette, dither=_NO_DITHER) for frame in frames)
    durations = [round(1000 / fps)] * len(others) + [round(1000 * max(_LAST_FRAME_SECONDS, 1 / fps))]
    options = {"format": "GIF", "append_images": others, "save_all": True, "loop": 0, "optimize": False}
    files.write_atomically(path, lambda file: first.save(file, duration=durations, disposal=1, **options))
    return len(frames)


def read_frames(workdir: str | os.PathLike[str]) -> tuple[tuple[str, ...], int, list[Frame]]:
    """Reads what the epochs of a run had, each genotype derived as the run's settings say.

    Returns:
        The names of the candidate operations, the number of epochs that the search is to have, and a frame for each
        epoch that it has had.

    Raises:
        FairDartsError: As `save_gif` does.
    """
    if not Path(workdir).is_dir():
        raise RunError(f"{os.fspath(workdir)!r} is no directory. Name the directory of a search.")
    alphas = load_history(workdir)
    settings = Run(workdir).settings() or {}
    operations = _operations(settings.get("operations", ""), alphas["normal"].shape[-1])
    relax = relaxation(settings.get("relaxation", "sigmoid")).of_array
    method, threshold = settings.get("method", derivation.DEFAULT_METHOD), _threshold(workdir, settings)
    nodes = nodes_of(alphas["normal"].shape[1])
    frames = []
    for index, epoch in enumerate(alphas["epoch"]):
        values = {kind: relax(alphas[kind][index]) for kind in CELL_KINDS}
        genotype, notes = _derive(values, operations, method, threshold, nodes)
        frames.append(Frame(int(epoch), values, genotype, notes))
    return operations, _epochs(settings, frames[-1].epoch), frames


def pixels(figure: Figure, dpi: float) -> np.ndarray:
    """Returns a Matplotlib figure drawn at so many pixels per inch: uint8 of shape (height, width, 3).

    It takes half the time of writing and reading a file, for which Matplotlib would draw the figure twice.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _operations(listed: str, columns: int) -> tuple[str, ...]:
    if listed:
        return tuple(name.strip() for name in listed.split(","))
    # Without flags the number of columns tells which of the two usual lists it was.
    return DARTS_OPERATIONS if columns == len(DARTS_OPERATIONS) else FAIRDARTS_OPERATIONS


def _epochs(settings: Mapping[str, str], recorded: int) -> int:
    text = settings.get("epochs", "")
    return max(recorded, int(text)) if text.isascii() and text.isdecimal() else recorded


def _threshold(workdir: str | os.PathLike[str], settings: Mapping[str, str]) -> float:
    text = settings.get("threshold", str(derivation.DEFAULT_THRESHOLD))
    try:
        threshold = float(text)
    except ValueError:
        threshold = float("nan")
    if not 0 <= threshold <= 1:
        raise ConfigurationError(
            f"{Path(workdir, 'flags.txt')} has --threshold={text}. Expected a number from 0 to 1: mend the line."
        )
    return threshold


def _derive(
    values: Mapping[str, np.ndarray], operations: Sequence[str], method: str, threshold: float, nodes: int
) -> tuple[Genotype | None, cell_layout.Notes]:
    try:
        genotype = derivation.derive(values, operations, method, threshold)
    except GenotypeError:
        if values[CELL_KINDS[0]].shape[1] != len(operations):
            raise
        return None, {}
    rows = derivation.confidence(values, operations, method, threshold)
    return cell_layout.with_all_nodes(genotype, nodes), cell_layout.notes_of(rows)


class _Drawing(NamedTuple):
    """A canvas of one size for all frames: cells on the left, heat maps on the right, at one scale."""

    operations: Sequence[str]
    epochs: int
    left_width: float
    dpi: float
    width: int
    height: int

    @classmethod
    def of(cls, frames: Sequence[Frame], operations: Sequence[str], epochs: int, width: int) -> _Drawing:
        sizes = [cell_layout.natural_size(frame.genotype, frame.notes) for frame in frames if frame.genotype]
        left_width, left_height = np.max([*sizes, _MESSAGE_SIZE], axis=0)
        maps = heat_map.draw_heat_maps(frames[0].values, operations, stacked=True)
        maps_width, maps_height = maps.get_size_inches()
        dpi = width / (left_width + maps_width)
        height = round(dpi * max(maps_height, _HEAD_HEIGHT + left_height))
        return cls(operations, epochs, left_width, dpi, width, height)

    def image(self, frame: Frame) -> Image:
        from PIL import Image

        canvas = Image.new("RGB", (self.width, self.height), "white")
        head = _text(f"Epoch {frame.epoch} of {self.epochs}", (self.left_width, _HEAD_HEIGHT), _HEAD_TEXT_SIZE)
        canvas.paste(_image(head, self.dpi), (0, 0))
        canvas.paste(_image(_left(frame), self.dpi), (0, round(self.dpi * _HEAD_HEIGHT)))
        maps = _image(heat_map.draw_heat_maps(frame.values, self.operations, stacked=True), self.dpi)
        canvas.paste(maps, (self.width - maps.width, 0))
        return canvas


def _image(figure: Figure, dpi: float) -> Image:
    """Returns the figure drawn twice as large and then halved: small text is more even so than drawn at its size."""
    from PIL import Image

    large = Image.fromarray(pixels(figure, 2 * dpi))
    return large.resize((large.width // 2, large.height // 2), Image.Resampling.LANCZOS)


def _left(frame: Frame) -> Figure:
    if frame.genotype is not None:
        return cells.draw_genotype(frame.genotype, frame.notes)
    message = "No genotype at this epoch: a cell would be empty,\nas too few operations reach the threshold."
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
