"""What an export writes: formats, quantizations, and the names of the files. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.value_types import as_type

FORMATS = ("saved_model", "tflite", "keras")
QUANTIZATIONS = ("none", "float16", "dynamic", "int8")
"""What TFLite files hold: float32; float16 weights; int8 weights; or integers in every operation."""


@dataclasses.dataclass(frozen=True)
class ExportFile:
    """One form of a network.

    Attributes:
        name: Of the file, or of the SavedModel's directory.
        format: One of `FORMATS`.
        quantization: One of `QUANTIZATIONS`; always ``"none"`` but for TFLite.
    """

    name: str
    format: str
    quantization: str = "none"


def plan_files(formats: Sequence[str] = FORMATS, quantizations: Sequence[str] = ("none",)) -> list[ExportFile]:
    """Returns what to write, one TFLite file for each quantization.

    Raises:
        ConfigurationError: When a name is unknown, there is none, or quantizations are asked for without TFLite.
    """
    _check("format", "formats", formats, FORMATS)
    _check("quantization", "quantize", quantizations, QUANTIZATIONS)
    if "tflite" not in formats and set(quantizations) != {"none"}:
        raise ConfigurationError(
            f"--quantize={','.join(quantizations)} is for TFLite files, but --formats={','.join(formats)}. Add tflite "
            "to the formats, or leave --quantize out."
        )
    files = {
        "saved_model": [ExportFile("saved_model", "saved_model")],
        "tflite": [ExportFile(_tflite_name(kind), "tflite", kind) for kind in QUANTIZATIONS if kind in quantizations],
        "keras": [ExportFile("network.keras", "keras")],
    }
    return [file for name in FORMATS if name in formats for file in files[name]]


def _tflite_name(quantization: str) -> str:
    return "network.tflite" if quantization == "none" else f"network_{quantization}.tflite"


def _check(kind: str, flag: str, names: Sequence[str], known: Sequence[str]) -> None:
    as_type(f"--{flag}", names, ())
    if not names:
        raise ConfigurationError(f"--{flag} is empty. Name at least one of {', '.join(known)}.")
    for name in names:
        if name not in known:
            raise ConfigurationError(unknown_name(kind, name, known))
