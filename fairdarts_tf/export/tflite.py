"""A SavedModel as a TFLite file of builtin operations."""

from __future__ import annotations

import collections
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from fairdarts_tf.errors import ExportError
from fairdarts_tf.export.saved_model import INPUT
from fairdarts_tf.runtimes import SIGNATURE
from fairdarts_tf.silence import silent_stderr


def convert(
    saved_model: Path,
    quantization: str = "none",
    calibration_images: np.ndarray | None = None,
    batch_size: int = 1,
) -> bytes:
    """Converts a SavedModel's ``serving_default``, whose batch size is the file's.

    Whatever the quantization, the file has that signature too, takes uint8 images from 0 to 255 and returns float32
    probabilities. With ``"int8"`` everything between is integer: the input's scale is 1 and its zero point 0, so that
    an image's bytes are its values, and probabilities are multiples of 1/256 before they become floats.

    Args:
        saved_model: Its directory. Its images are of `source_dtype`.
        quantization: ``"none"`` (float32), ``"float16"`` (weights), ``"dynamic"`` (int8 weights, activations quantized
            as they come) or ``"int8"`` (integers throughout). Defaults to ``"none"``.
        calibration_images: (N, height, width, channels), uint8: images of the training set, from which the ranges of
            activations are taken; for ``"int8"`` alone.
        batch_size: The batch size of the SavedModel. Defaults to 1.

    Raises:
        ExportError: When an operation of the network is none of TFLite's own, or the conversion fails otherwise.
        OSError: When temporary files cannot be written.
    """
    try:
        with silent_stderr(), warnings.catch_warnings(action="ignore"):
            converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[SIGNATURE])
            _QUANTIZE[quantization](converter)
            if quantization == "int8":
                converter.representative_dataset = lambda: _batches(calibration_images, batch_size)
            content = converter.convert()
    except OSError:
        raise
    except Exception as error:  # The converter's own error is no public class, and not the only one.
        raise _failure(str(error), quantization) from error
    _refuse_foreign_operations(operators(content))
    return content


def source_dtype(quantization: str) -> tf.DType:
    """Returns of which type the images of the SavedModel must be that `convert` is given."""
    # A converter cannot quantize an input that is uint8 already.
    return tf.float32 if quantization == "int8" else tf.uint8


def operators(content: bytes) -> dict[str, int]:
    """Returns how often each operation occurs in a TFLite file, the most frequent first.

    A custom operation has its own name (``Flex...`` for TensorFlow's), others have TFLite's, as in ``"CONV_2D"``.
    """
    model = schema.Model.GetRootAs(content, 0)
    codes = [_name(model.OperatorCodes(index)) for index in range(model.OperatorCodesLength())]
    graphs = [model.Subgraphs(index) for index in range(model.SubgraphsLength())]
    counts = collections.Counter(
        codes[graph.Operators(index).OpcodeIndex()] for graph in graphs for index in range(graph.OperatorsLength())
    )
    return dict(counts.most_common())


def quantized_share(content: bytes) -> float:
    """Returns which share of the weights in a TFLite file, by number, is stored in fewer bits than float32.

    A converter leaves a tensor of fewer than 1,024 weights in float32 with ``"dynamic"``, and all biases.
    """
    model = schema.Model.GetRootAs(content, 0)
    sizes = {kind: 0 for kind in (_TYPE.FLOAT32, _TYPE.FLOAT16, _TYPE.INT8)}
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        for tensor in (graph.Tensors(index) for index in range(graph.TensorsLength())):
            if tensor.Type() in sizes and model.Buffers(tensor.Buffer()).DataLength():
                sizes[tensor.Type()] += math.prod(tensor.ShapeAsNumpy()) if tensor.ShapeLength() else 1
    return 1 - sizes[_TYPE.FLOAT32] / max(sum(sizes.values()), 1)


_TYPE = schema.TensorType


def _float32(converter: tf.lite.TFLiteConverter) -> None:
    pass


def _float16(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8


_QUANTIZE = {"none": _float32, "float16": _float16, "dynamic": _dynamic, "int8": _int8}


def _batches(images: np.ndarray, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields full batches, in turn, the first with a black and a white pixel: the input's range is then 0 to 255."""
    for start in range(0, len(images), batch_size):
        batch = images.take(range(start, start + batch_size), axis=0, mode="wrap").astype(np.float32)
        if start == 0:
            batch[0, 0, 0], batch[0, -1, -1] = 0, 255
        yield {INPUT: batch}


_BUILTINS = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


def _name(code: schema.OperatorCode) -> str:
    if code.CustomCode():
        return code.CustomCode().decode()
    # Files write codes below 127 in the older, narrower field too; the larger of both is the operation.
    return _BUILTINS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]


def _refuse_foreign_operations(counts: dict[str, int]) -> None:
    foreign = [name for name in counts if name not in _BUILTINS.values()]
    if foreign:
        raise _not_builtin(foreign)


def _failure(message: str, quantization: str) -> ExportError:
    """Returns what to raise for a converter's message, which may have thousands of lines."""
    foreign = re.findall(r"^TF (?:Select|Custom) ops: (.+)$", message, re.MULTILINE)
    if foreign:
        return _not_builtin([name.strip() for listed in foreign for name in listed.split(",")])
    lines = message.strip().splitlines() or ["no reason given"]
    return ExportError(
        f"the network cannot be converted to TFLite with quantization {quantization!r}: {lines[0][:300]}. Leave that "
        "quantization out, or export as saved_model."
    )


def _not_builtin(names: list[str]) -> ExportError:
    return ExportError(
        f"TFLite has no operation of its own for {', '.join(names)}: the file would need TensorFlow's (Flex). Choose "
        "a genotype without it, or leave tflite out of --formats."
    )
