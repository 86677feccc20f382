"""Networks in whichever form they were stored, behind one interface: images in, probabilities out.

A training's directory and a ``.keras`` file run in Keras, a SavedModel in TensorFlow, a ``.tflite`` file in LiteRT, for
which TensorFlow is not loaded. What a form needs is imported when it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fairdarts_tf.errors import RunError
from fairdarts_tf.labels import LABELS_FILE, read_labels
from fairdarts_tf.runs import Run
from fairdarts_tf.silence import silent_stderr

SIGNATURE = "serving_default"
CHUNK = 64
"""Images that are computed at once, where the batch size is free."""


class Runtime(Protocol):
    """A stored network, ready to compute.

    Attributes:
        kind: ``"keras"``, ``"saved_model"`` or ``"tflite"``.
        class_names: By label.
        image_shape: (height, width, channels) of its images.
    """

    kind: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Computes the probability of each class.

        Args:
            images: (N, height, width, channels), uint8; any N, whatever batch size the network was exported with.

        Returns:
            (N, classes), float32; each row sums to 1.

        Raises:
            RunError: When the images do not have the network's shape.
        """
        ...


def open_model(path: str | os.PathLike[str], weights: str = "best") -> Runtime:
    """Opens a network in whichever form it is stored.

    Args:
        path: A training's directory, a SavedModel's directory, a ``.keras`` file or a ``.tflite`` file. Class names
            are a part of the first three; for ``NAME.tflite`` they are read from ``NAME.labels.txt`` or from
            ``labels.txt`` beside it, and are ``"0"``, ``"1"``, ... where there is neither.
        weights: ``"best"`` or ``"last"``: which weights of a training's directory. Defaults to ``"best"``.

    Raises:
        RunError: When there is no such path, it is none of these, a search's directory, or it is broken.

    Example:
        >>> model = fd.open_model("runs/mine_trained")
        >>> model.kind, model.probabilities(fd.load_dataset("digits", "test").images[:5]).shape
        ('keras', (5, 10))
    """
    path = Path(path)
    if not path.exists():
        raise RunError(f"there is no {path}. {_EXPECTED}")
    if path.is_dir():
        return _open_directory(path, weights)
    if path.suffix not in _FILES:
        raise RunError(f"{path} is no network that can be run: its name ends in {path.suffix!r}. {_EXPECTED}")
    return _FILES[path.suffix](path)


class KerasRuntime:
    """A network of this project, as Keras runs it.

    Args:
        model: A `fairdarts_tf.serving.ServingNetwork`.
    """

    kind = "keras"

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self.class_names = model.class_names
        self.image_shape = model.image_shape
        signature = tf.TensorSpec((None, *model.image_shape), tf.uint8)
        self._call = tf.function(model, input_signature=[signature], autograph=False)

    @classmethod
    def of_workdir(cls, workdir: Path, weights: str = "best") -> KerasRuntime:
        """Opens a training's directory."""
        from fairdarts_tf.found_network import load_found_network
        from fairdarts_tf.serving import ServingNetwork

        return cls(ServingNetwork.of(load_found_network(workdir, weights)))

    @classmethod
    def of_file(cls, path: Path) -> KerasRuntime:
        """Opens a ``.keras`` file."""
        import keras

        from fairdarts_tf.serving import ServingNetwork

        try:
            model = keras.saving.load_model(path, compile=False)
        except Exception as error:  # Keras lets through whatever its readers of zip, JSON and HDF5 raise.
            raise _broken(path, "a .keras file") from error
        if not isinstance(model, ServingNetwork):
            raise RunError(f"{path} holds a Keras model, but no network of this program. {_EXPECTED}")
        return cls(model)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """See `Runtime.probabilities`."""
        return _in_batches(self, images, None, lambda batch: self._call(batch).numpy())


class SavedModelRuntime:
    """A SavedModel with one input and one output, as TensorFlow runs it.

    Args:
        path: Its directory.
    """

    kind = "saved_model"

    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        try:
            self._model = tf.saved_model.load(str(path))  # Held: a signature does not keep its variables alive.
        except Exception as error:  # TensorFlow raises what its readers of protocol buffers and tables raise.
            raise _broken(path, "a SavedModel") from error
        if SIGNATURE not in self._model.signatures:
            raise RunError(f"{path} has no signature {SIGNATURE!r}, so it cannot be run. {_EXPECTED}")
        self._call = self._model.signatures[SIGNATURE]
        inputs, outputs = self._call.structured_input_signature[1], self._call.structured_outputs
        if len(inputs) != 1 or len(outputs) != 1:
            raise RunError(f"{path} is no classifier of images: it has {len(inputs)} inputs, {len(outputs)} outputs.")
        ((self._input, spec),), ((self._output, result),) = inputs.items(), outputs.items()
        self._batch_size, *shape = spec.shape.as_list()
        self._dtype = spec.dtype.as_numpy_dtype
        self._constant = tf.constant
        self.image_shape = _image_shape(path, shape)
        self.class_names = read_labels(path / "assets" / LABELS_FILE, _class_count(path, result.shape.as_list()))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """See `Runtime.probabilities`."""
        return _in_batches(self, images, self._batch_size, self._run)

    def _run(self, images: np.ndarray) -> np.ndarray:
        return self._call(**{self._input: self._constant(images.astype(self._dtype))})[self._output].numpy()


class TfliteRuntime:
    """A TFLite file with one input and one output, as LiteRT runs it.

    Args:
        path: The file.
    """

    kind = "tflite"

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            with silent_stderr():
                self._interpreter = Interpreter(str(path), num_threads=os.cpu_count())
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise _broken(path, "a .tflite file", f" ({' '.join(str(error).split())})") from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise RunError(f"{path} is no classifier of images: it has {len(inputs)} inputs, {len(outputs)} outputs.")
        (self._input,), (self._output,) = inputs, outputs
        batch_size, *shape = (int(size) for size in self._input["shape_signature"])
        self._batch_size = None if batch_size < 0 else batch_size
        self._allocated = int(self._input["shape"][0])
        self.image_shape = _image_shape(path, shape)
        self.class_names = _labels_beside(path, _class_count(path, self._output["shape"]))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """See `Runtime.probabilities`."""
        return _in_batches(self, images, self._batch_size, self._run)

    def _run(self, images: np.ndarray) -> np.ndarray:
        if len(images) != self._allocated:
            self._interpreter.resize_tensor_input(self._input["index"], images.shape)
            self._interpreter.allocate_tensors()
            self._allocated = len(images)
        self._interpreter.set_tensor(self._input["index"], _quantized(images, self._input))
        self._interpreter.invoke()
        return _dequantized(self._interpreter.get_tensor(self._output["index"]), self._output)


def runs_without_delegates(path: Path) -> bool:
    """Returns whether LiteRT's own kernels run a TFLite file, without the delegate that it uses by default."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        with silent_stderr():
            kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            interpreter = Interpreter(str(path), experimental_op_resolver_type=kernels)
            interpreter.allocate_tensors()
            interpreter.invoke()
    except (ValueError, RuntimeError, OSError):
        return False
    return True


_EXPECTED = (
    "Name a training's directory (it holds model.json), a SavedModel's directory (it holds saved_model.pb), a .keras "
    "file or a .tflite file."
)
_FILES: dict[str, Callable[[Path], Runtime]] = {".keras": KerasRuntime.of_file, ".tflite": TfliteRuntime}


def _open_directory(path: Path, weights: str) -> Runtime:
    if (path / "model.json").is_file():
        return KerasRuntime.of_workdir(path, weights)
    if (path / "saved_model.pb").is_file():
        return SavedModelRuntime(path)
    if Run(path).is_search():
        raise RunError(
            f"{path} is a search, which leaves cells but no network that can be run. Train them (bin/train "
            f"--genotype={path}) or export them with the supernet's weights (bin/export --workdir={path}), and "
            "name what that leaves."
        )
    inside = sorted(entry for entry in path.iterdir() if _is_network(entry))
    hint = f" It holds {inside[0].name}: name {inside[0]}." if inside else ""
    raise RunError(f"{path} is no network that can be run.{hint} {_EXPECTED}")


def _is_network(path: Path) -> bool:
    return path.suffix in _FILES or (path / "saved_model.pb").is_file() or (path / "model.json").is_file()


def _in_batches(
    runtime: Runtime, images: np.ndarray, batch_size: int | None, run: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Runs images in batches; a fixed batch size is kept by repeating the last image."""
    if images.ndim != 4 or images.shape[1:] != tuple(runtime.image_shape) or images.dtype != np.uint8:
        raise RunError(
            f"the network takes uint8 images (N, {', '.join(map(str, runtime.image_shape))}), but got {images.dtype} "
            f"of shape {images.shape}. Resize or convert them."
        )
    size = batch_size or CHUNK
    results = [np.zeros((0, len(runtime.class_names)), np.float32)]
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        missing = size - len(batch) if batch_size else 0
        results.append(run(np.pad(batch, [(0, missing), (0, 0), (0, 0), (0, 0)], mode="edge"))[: len(batch)])
    probabilities = np.concatenate(results, dtype=np.float32)
    return probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _quantized(images: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    """Returns images from 0 to 255 as the input tensor holds them."""
    scale, zero_point = detail["quantization"]
    if not scale:
        return images.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(images / scale + zero_point), limits.min, limits.max).astype(detail["dtype"])


def _dequantized(values: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale) if scale else values


def _labels_beside(path: Path, count: int) -> tuple[str, ...]:
    own = path.with_name(f"{path.stem}.{LABELS_FILE}")
    return read_labels(own if own.is_file() else path.with_name(LABELS_FILE), count)


def _image_shape(path: Path, shape: list[int | None]) -> tuple[int, int, int]:
    if len(shape) != 3 or any(side is None or side < 1 for side in shape):
        raise RunError(f"{path} does not take images of one size, but tensors (batch, *{tuple(shape)}). {_EXPECTED}")
    return tuple(shape)


def _class_count(path: Path, shape: list[int | None]) -> int:
    if len(shape) != 2 or not shape[1]:
        raise RunError(f"{path} gives tensors {tuple(shape)}, not (batch, classes). {_EXPECTED}")
    return int(shape[1])


def _broken(path: Path, kind: str, reason: str = "") -> RunError:
    return RunError(f"{path} is broken, or is not {kind}{reason}. Restore it, or export it again.")
