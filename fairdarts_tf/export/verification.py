"""Whether what was written computes what the network does: each file, loaded again in its own runtime."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from fairdarts_tf.errors import ExportError
from fairdarts_tf.export.plan import ExportFile
from fairdarts_tf.found_network import FoundNetwork
from fairdarts_tf.runtimes import CHUNK, Runtime, open_model, runs_without_delegates

CLEAR_MARGIN = 0.1
"""Classes whose probabilities differ by less are a close call, which rounding may decide otherwise."""

MAX_DIFFERENCE = {"none": 1e-4, "float16": 1e-2}
"""The largest difference of a probability that is accepted, where numbers stay floats."""

MAX_CLEAR_DISAGREEMENT = {"dynamic": 0.02, "int8": 0.05}
"""The largest share of images, with weights in 8 bits, whose top class the network rates clearly below its own."""

MAX_RELATIVE_ERROR = {"float16": 0.02, "dynamic": 0.15, "int8": 0.15}
"""The largest `Verification.relative_error`. Files of 16 short trainings (3 to 8 cells, digits and CIFAR-10) had at
most 0.002, 0.04 and 0.04; with one tensor of weights or the calibration spoilt, 8-bit files had 0.16 to 5, if their
probabilities differed from image to image by clearly more than the 1/256 that 8 bits can tell. Unlike the largest
difference, which one image on the border of two classes decides, it tells good from bad however sure a network is."""

ROUNDING = {"int8": 0.5 / 256}
"""By how much probabilities may differ, root mean square, since they are stored in 8 bits."""

_FLOAT_ROUNDING, _FEW_IMAGES = 1e-4, 16
_UNTIMED_CALLS, _TIMED_CALLS, _LONGEST_SECONDS = 3, 30, 2.0


@dataclasses.dataclass(frozen=True)
class Verification:
    """What a file does with images that no weight was trained on.

    Attributes:
        file: The file's name.
        format: One of `FORMATS`.
        quantization: One of `QUANTIZATIONS`.
        bytes: Size, of a directory with all in it.
        max_difference: The largest difference of a probability from the Keras network's.
        agreement: Share of the images with the same top class as the Keras network's.
        clear_disagreement: Share of the images whose top class the Keras network rates more than `CLEAR_MARGIN` below
            its own.
        relative_error: Root mean square of the differences beyond `ROUNDING`, as a share of that by which the Keras
            network's probabilities differ from image to image: 1 where a file knows nothing of what tells images apart.
        accuracy: Share of the images whose top class is the label.
        latency_ms: Median time per image, in ms, of one batch: one image, unless the batch size is fixed.
        operators: How often each operation occurs, for TFLite.
        quantized_share: Share of the weights that are stored in fewer bits than float32, for TFLite.
        calibrated_on: Which images the ranges of activations were taken from, for people, for ``"int8"``.
    """

    file: str
    format: str
    quantization: str
    bytes: int
    max_difference: float
    agreement: float
    clear_disagreement: float
    relative_error: float
    accuracy: float
    latency_ms: float
    operators: Mapping[str, int] | None = None
    quantized_share: float | None = None
    calibrated_on: str | None = None


def reference_probabilities(found: FoundNetwork, images: np.ndarray) -> np.ndarray:
    """Returns the probabilities of the Keras network itself, (N, classes), with nothing that an export adds.

    Raises:
        ExportError: When they are no numbers.
    """
    results = []
    for start in range(0, len(images), CHUNK):
        normalized = (images[start : start + CHUNK] / np.float32(255) - found.mean) / found.std
        results.append(tf.nn.softmax(found.network(tf.constant(normalized, tf.float32), training=False)).numpy())
    probabilities = np.concatenate(results)
    if not np.isfinite(probabilities).all():
        raise ExportError("the network's probabilities are no numbers: its training has diverged. Train it anew.")
    return probabilities


def verify(
    directory: Path, file: ExportFile, images: np.ndarray, labels: np.ndarray, expected: np.ndarray, batch_size: int
) -> Verification:
    """Loads a file in its own runtime and measures it.

    Args:
        directory: Where the file is.
        file: Which one.
        images: (N, height, width, channels), uint8, on which no weight was trained.
        labels: (N,), integers.
        expected: What `reference_probabilities` gives for the images.
        batch_size: Images of a timed call.

    Raises:
        ExportError: When the file's runtime refuses it.
    """
    try:
        runtime = open_model(directory / file.name)
        found = runtime.probabilities(images)
    except (ValueError, RuntimeError) as error:
        # Not RunError alone: LiteRT prepares anew for another batch size, and may refuse only then.
        raise _refused(directory, file, error) from error
    choice, right = found.argmax(axis=1), expected.argmax(axis=1)
    margins = expected.max(axis=1) - expected[np.arange(len(choice)), choice]
    return Verification(
        file=file.name,
        format=file.format,
        quantization=file.quantization,
        bytes=size_in_bytes(directory / file.name),
        max_difference=float(np.abs(found - expected).max()),
        agreement=float(np.mean(choice == right)),
        clear_disagreement=float(np.mean(margins > CLEAR_MARGIN)),
        relative_error=relative_error(found, expected, ROUNDING.get(file.quantization, _FLOAT_ROUNDING)),
        accuracy=float(np.mean(choice == labels)),
        latency_ms=latency(runtime, images.take(range(batch_size), axis=0, mode="wrap")),
    )


def relative_error(found: np.ndarray, expected: np.ndarray, rounding: float = 0.0) -> float:
    """Returns how much of what tells the images apart is lost, see `Verification.relative_error`.

    Args:
        found: Probabilities, (N, classes).
        expected: What they should be. Of fewer than 16 images, it counts how far they are from 1 / classes.
        rounding: What is forgiven, root mean square. Defaults to nothing.
    """
    baseline = expected.mean(axis=0) if len(expected) >= _FEW_IMAGES else 1 / expected.shape[1]
    error, spread = (
        np.sqrt(np.mean(np.square(values, dtype=np.float64))) for values in (found - expected, expected - baseline)
    )
    return float(max(error - rounding, 0) / max(spread, np.finfo(np.float32).tiny))


def check(verification: Verification, count: int) -> None:
    """Refuses a file that computes something else than the network.

    Args:
        verification: What `verify` found.
        count: On how many images.

    Raises:
        ExportError: When it is beyond the tolerance of its quantization.
    """
    result, kind = verification, verification.quantization
    if kind in MAX_DIFFERENCE and not result.max_difference <= MAX_DIFFERENCE[kind]:
        raise ExportError(
            f"{result.file} fails its verification: its probabilities differ from the Keras network's by up to "
            f"{result.max_difference:.2g} on {count} images, and {MAX_DIFFERENCE[kind]:g} is accepted. {_KEPT}"
        )
    if kind in MAX_CLEAR_DISAGREEMENT and not result.clear_disagreement <= MAX_CLEAR_DISAGREEMENT[kind]:
        raise ExportError(
            f"{result.file} fails its verification: on {result.clear_disagreement:.1%} of {count} images it prefers a "
            f"class that the Keras network rates more than {CLEAR_MARGIN:g} below its own, and "
            f"{MAX_CLEAR_DISAGREEMENT[kind]:.0%} is accepted. {_KEPT}"
        )
    if kind in MAX_RELATIVE_ERROR and not result.relative_error <= MAX_RELATIVE_ERROR[kind]:
        raise ExportError(
            f"{result.file} fails its verification: on {count} images its probabilities are off by "
            f"{result.relative_error:.1%} of what tells these images apart in the Keras network, and "
            f"{MAX_RELATIVE_ERROR[kind]:.0%} is accepted. {_KEPT}"
        )


_KEPT = "Nothing was written, and what was there is kept. Leave that format or quantization out."


def _refused(directory: Path, file: ExportFile, error: Exception) -> ExportError:
    """Returns what to raise when a runtime cannot run what was just written, in the runtime's words."""
    reason = str(error.__cause__ or error).replace(f"{directory}/", "")
    # LiteRT repeats a phrase for each delegate that it tried.
    reason = re.sub(r"(.{8,}?)\1+", r"\1; ", " ".join(reason.split())).rstrip(".")
    if "XNNPACK" in reason.upper():
        refused = f"{_DELEGATE} refuses {file.name} ({reason}); {_without_delegates(directory / file.name)}"
    elif file.quantization == "int8":
        refused = f"LiteRT cannot run {file.name} ({reason})"
    else:
        return ExportError(f"{file.name} cannot be run in its own runtime ({reason}). {_KEPT}")
    if file.quantization != "int8":
        return ExportError(f"{refused}. {_KEPT}")
    return ExportError(
        f"{refused}. That happens where weights and activations are of too different sizes for 8 bits. Nothing was "
        "written, and what was there is kept. Leave int8 out of --quantize, or take float16 or dynamic."
    )


_DELEGATE = "XNNPACK, the delegate that LiteRT uses by default here and on phones,"


def _without_delegates(path: Path) -> str:
    if runs_without_delegates(path):
        return "with default delegates switched off, which is slower, LiteRT does run it"
    return "with default delegates switched off, LiteRT does not run it either"


def latency(runtime: Runtime, images: np.ndarray) -> float:
    """Returns the median time of a call with these images, in ms per image."""
    for _ in range(_UNTIMED_CALLS):
        runtime.probabilities(images)
    times: list[float] = []
    while len(times) < _TIMED_CALLS and sum(times) < _LONGEST_SECONDS:
        start = time.perf_counter()
        runtime.probabilities(images)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) / len(images) * 1000


def size_in_bytes(path: Path) -> int:
    """Returns the size of a file, or of all files in a directory."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


def format_table(rows: Sequence[Verification]) -> str:
    """Returns the verifications as a table for people."""
    cells = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    )


_HEADER = (
    "file",
    "quantization",
    "of weights",
    "max difference",
    "relative error",
    "agreement",
    "accuracy",
    "size (MB)",
    "latency (ms)",
)


def _cells(row: Verification) -> tuple[str, ...]:
    return (
        row.file,
        row.quantization,
        "-" if row.quantized_share is None else f"{row.quantized_share:.0%}",
        f"{row.max_difference:.1e}",
        f"{row.relative_error:.2%}",
        f"{row.agreement:.1%}",
        f"{row.accuracy:.2%}",
        f"{row.bytes / 1e6:.2f}",
        f"{row.latency_ms:.2f}",
    )
