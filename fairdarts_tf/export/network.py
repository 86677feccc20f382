"""A whole export: write, verify, put in place."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fairdarts_tf.errors import ConfigurationError, DataError
from fairdarts_tf.export import tflite
from fairdarts_tf.export.manifest import check_target, network_digest, write_manifest
from fairdarts_tf.export.plan import FORMATS, ExportFile, plan_files
from fairdarts_tf.export.saved_model import write_frozen_models, write_saved_model
from fairdarts_tf.export.verification import Verification, check, reference_probabilities, verify
from fairdarts_tf.files import settle, staged
from fairdarts_tf.found_network import FoundNetwork
from fairdarts_tf.labels import LABELS_FILE, labels_text
from fairdarts_tf.serving import ServingNetwork

Progress = Callable[[str], object]
"""Called with a line of text for each step."""


def export_network(
    found: FoundNetwork,
    output_dir: str | os.PathLike[str],
    formats: Sequence[str] = FORMATS,
    quantizations: Sequence[str] = ("none",),
    batch_size: int | None = None,
    *,
    held_back_images: np.ndarray,
    held_back_labels: np.ndarray,
    calibration_images: np.ndarray | None = None,
    calibrated_on: str = "",
    progress: Progress = lambda line: None,
) -> list[Verification]:
    """Writes a network in several forms, and verifies each in its own runtime before any is put in place.

    Every form takes images from 0 to 255 and returns probabilities: a SavedModel uint8 or float32 images, each by a
    signature of its own; a ``.keras`` file, which loads after ``import fairdarts_tf.serving`` alone, either; a TFLite
    file uint8 images. A TFLite file of two signatures would hold two graphs, which takes twice the memory for weights,
    and MediaPipe's image tasks accept files of one graph only. Beside them lie ``labels.txt`` (class names) and
    ``export.json`` (what this is, and what the verification found). Files of an earlier export of the same network
    that are not written anew stay.

    Args:
        found: The network.
        output_dir: Where to; made if absent.
        formats: Of ``"saved_model"``, ``"tflite"``, ``"keras"``. Defaults to all.
        quantizations: One TFLite file for each of ``"none"``, ``"float16"``, ``"dynamic"``, ``"int8"``. Defaults to
            ``"none"`` alone.
        batch_size: Images of a batch, for SavedModel and TFLite. Defaults to None: any number, and for TFLite one
            image, unless its runtime resizes the input to more.
        held_back_images: (N, height, width, channels), uint8, for the verification: on which no weight was trained.
        held_back_labels: (N,), integers.
        calibration_images: (M, height, width, channels), uint8: a few hundred of the training set, for ``"int8"``.
        calibrated_on: What these are, for people. Defaults to nothing said.
        progress: Defaults to silence.

    Returns:
        One verification for each file written.

    Raises:
        ConfigurationError: When formats, quantizations or batch size are outside their range.
        DataError: When images are missing or do not fit the network.
        ExportError: When a form cannot hold the network or computes something else, or the directory holds files that
            are none of this network's.
        OSError: When the files cannot be written. As after any error, the directory is then what it was.

    Example:
        >>> test = fd.load_dataset("digits", "test")
        >>> rows = fd.export_network(
        ...     fd.load_found_network("runs/mine_trained"), "exported_run", formats=["tflite"],
        ...     held_back_images=test.images[:20], held_back_labels=test.labels[:20],
        ... )
        >>> [(row.file, row.agreement) for row in rows]
        [('network.tflite', 1.0)]
    """
    files, target = plan_files(formats, quantizations), Path(output_dir).absolute()
    if batch_size is not None and batch_size < 1:
        raise ConfigurationError(f"the batch size is {batch_size}, but must be at least 1.")
    _check_images("held-back", held_back_images, found)
    if len(held_back_labels) != len(held_back_images):
        raise DataError(f"{len(held_back_images)} held-back images have {len(held_back_labels)} labels. Give one each.")
    if any(file.quantization == "int8" for file in files):
        _check_images("calibration", calibration_images, found)
        progress(f"int8 is calibrated on {len(calibration_images)} {calibrated_on or 'images'}")
    digest = network_digest(found)
    settle(target)
    staying = check_target(target, files, digest)
    progress(f"running the Keras network on {len(held_back_images)} images to compare with")
    expected = reference_probabilities(found, held_back_images)
    with staged(target) as directory:
        _write(found, files, directory, batch_size, calibration_images, progress)
        rows = _verify(files, directory, batch_size, held_back_images, held_back_labels, expected, progress)
        rows = [_with_calibration(row, calibrated_on) for row in rows]
        write_manifest(
            directory, found, rows, digest=digest, batch_size=batch_size, images=len(held_back_images), staying=staying
        )
    return rows


def _write(
    found: FoundNetwork,
    files: Sequence[ExportFile],
    directory: Path,
    batch_size: int | None,
    calibration_images: np.ndarray | None,
    progress: Progress,
) -> None:
    serving, labels = ServingNetwork.of(found), directory / LABELS_FILE
    labels.write_text(labels_text(found.class_names), encoding="utf-8")
    tflite_files = [file for file in files if file.format == "tflite"]
    for file in files:
        if file.format == "saved_model":
            progress(f"writing {file.name}")
            write_saved_model(serving, directory / file.name, labels, batch_size)
        elif file.format == "keras":
            progress(f"writing {file.name}")
            serving.save(directory / file.name)
    if not tflite_files:
        return
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        progress("tracing the network for TFLite")
        # One image: with a free batch a dilated convolution becomes three operations. A runtime can resize it.
        dtypes = {tflite.source_dtype(file.quantization) for file in tflite_files}
        sources = write_frozen_models(serving, Path(scratch), batch_size or 1, dtypes)
        for file in tflite_files:
            progress(f"writing {file.name}")
            source = sources[tflite.source_dtype(file.quantization)]
            content = tflite.convert(source, file.quantization, calibration_images, batch_size or 1)
            (directory / file.name).write_bytes(content)


def _verify(
    files: Sequence[ExportFile],
    directory: Path,
    batch_size: int | None,
    images: np.ndarray,
    labels: np.ndarray,
    expected: np.ndarray,
    progress: Progress,
) -> list[Verification]:
    rows = []
    for file in files:
        row = verify(directory, file, images, labels, expected, batch_size or 1)
        progress(f"ran {file.name}: {row.agreement:.1%} agreement, largest difference {row.max_difference:.1e}")
        check(row, len(images))
        if file.format == "tflite":
            content = (directory / file.name).read_bytes()
            row = dataclasses.replace(
                row, operators=tflite.operators(content), quantized_share=tflite.quantized_share(content)
            )
        rows.append(row)
    return rows


def _with_calibration(row: Verification, calibrated_on: str) -> Verification:
    return dataclasses.replace(row, calibrated_on=calibrated_on) if row.quantization == "int8" else row


def _check_images(kind: str, images: np.ndarray | None, found: FoundNetwork) -> None:
    shape = None if images is None or not len(images) else images.shape[1:]
    if shape is None or shape != tuple(found.image_shape) or images.dtype != np.uint8:
        given = "there are none" if shape is None else f"they are {images.dtype} of shape {images.shape}"
        raise DataError(
            f"the {kind} images do not fit: {given}, but the network takes uint8 images of shape "
            f"(N, {', '.join(map(str, found.image_shape))}). Choose the data set that it was trained on."
        )
