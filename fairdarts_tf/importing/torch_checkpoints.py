"""Reading the authors' PyTorch checkpoints into arrays, and nothing else that such a file may hold."""

from __future__ import annotations

import os
import re
import reprlib
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.files import open_file

OLDEST_TORCH = (2, 6)
"""Before it, a file could run code even where only weights were asked for (CVE-2025-32434)."""

_INSTALL = "pip install --upgrade 'fairdarts_tf[torch]'"
_WRAPPINGS = ("state_dict", "model", "model_state_dict")
_NO_WEIGHTS = ("num_batches_tracked", "total_ops", "total_params")
"""Counters of BatchNorm, and what the profiler thop leaves in a model."""

_NUMPY_SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
"""What a NumPy scalar is pickled as, by NumPy 1 and 2: checkpoints hold the best accuracy as one."""


class _Ignored:
    """Takes the place of what a file asks for, whose arguments and state it drops: nothing of NumPy is called."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def _in_place_of(global_name: str) -> type[_Ignored]:
    module, _, name = global_name.rpartition(".")
    # PyTorch 2.6 knows what is allowed by module and name alone; later versions also by a name that is given.
    return type(name, (_Ignored,), {"__module__": module})


def read_torch_state(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the state dict of a checkpoint: bare, or within ``{"state_dict": ...}`` or ``{"model": ...}``.

    The prefix ``module.`` of a model that was trained on several GPUs is taken off.

    Args:
        path: What `torch.save` wrote, as ``weights.pt`` or ``model_best.pth.tar``.

    Returns:
        Weights and running statistics by name, float32, in PyTorch's layout.

    Raises:
        ConfigurationError: When the package torch is absent or too old.
        RunError: When the file is absent or broken, or holds no state dict, or anything that could run code: nothing of
            it is run. Also when it would take more memory than in proportion to its size.
    """
    torch = _import_torch()
    size = _check_file(Path(path))
    tensors = _tensors(_load(torch, Path(path)), torch, path)
    _check_sizes(tensors, size, path)
    return {name: _array(tensor, torch, name, path) for name, tensor in tensors.items()}


def _import_torch() -> ModuleType:
    try:
        import torch
    except ImportError:
        raise ConfigurationError(
            "PyTorch's files can be read only with the package torch, which is not installed: pip install "
            "'fairdarts_tf[torch]'."
        ) from None
    version = tuple(int(part) for part in re.findall(r"\d+", str(torch.__version__))[:2])
    if version < OLDEST_TORCH:
        raise ConfigurationError(
            f"torch {torch.__version__} is installed, but in versions before {'.'.join(map(str, OLDEST_TORCH))} a file "
            f"of weights may run code: {_INSTALL}."
        )
    return torch


def _check_file(path: Path) -> int:
    """Returns the size of a file, in bytes, which must not be packed: PyTorch packs none, and it could grow at will."""
    if not path.is_file():
        raise RunError(f"there is no file {path}. Name a checkpoint that PyTorch wrote.")
    with open_file(path) as file:  # What the system refuses is told as that; torch's own OSErrors are of the content.
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
        except Exception:  # An older format, which is no archive, or a broken one, which torch refuses.
            return size
    if unpacked > size:
        raise RunError(
            f"{path} is an archive of {size:,} bytes that unpacks to {unpacked:,}: PyTorch writes none such. Save the "
            "state dict anew, or name another."
        )
    return size


def _check_sizes(tensors: Mapping[str, Any], size: int, path: str | os.PathLike[str]) -> None:
    """Refuses tensors that repeat what memory they have, as with a stride of 0, and would be vast as arrays."""
    try:
        claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    except (TypeError, RuntimeError):  # As of a nested tensor, which is refused by its name.
        return
    if claimed > size:
        raise RunError(
            f"{path} has {size:,} bytes, but its tensors claim {claimed:,}. Save the state dict of a network whose "
            "weights are plain tensors, each with memory of its own."
        )


def _load(torch: ModuleType, path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.serialization.safe_globals([_in_place_of(name) for name in _NUMPY_SCALARS]):
                return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Foreign bytes make torch fail in more ways than could be listed.
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if foreign:
            raise RunError(
                f"{path} holds more than weights ({foreign[1]}), which could run code, so it was refused. If you trust "
                "it, load it in PyTorch and save its state dict alone."
            ) from None
        # Torch's own text advises to read it without the protection.
        raise RunError(
            f"{path} is broken or truncated, or no file of weights alone that PyTorch wrote. Copy it again, or name "
            "another."
        ) from None


def _tensors(content: Any, torch: ModuleType, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the tensors that belong to the network."""
    for key in _WRAPPINGS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise RunError(f"{path} holds no state dict but {reprlib.repr(content)}. Name a checkpoint of a whole network.")
    for name, value in content.items():
        if not isinstance(name, str) or not torch.is_tensor(value):
            raise RunError(
                f"{path} holds no state dict: {reprlib.repr(name)} is {type(value).__name__}, not a tensor. Expected "
                "the state dict itself, or under 'state_dict' or 'model'."
            )
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {
        name.removeprefix(prefix): value for name, value in content.items() if name.split(".")[-1] not in _NO_WEIGHTS
    }


def _array(tensor: Any, torch: ModuleType, name: str, path: str | os.PathLike[str]) -> np.ndarray:
    try:
        if tensor.is_complex():
            raise TypeError
        array = tensor.detach().to(torch.float32).numpy()
    except (TypeError, ValueError, RuntimeError):
        raise RunError(f"{path}: {name!r} is no plain tensor of numbers. Save it as one.") from None
    if not np.isfinite(array).all():
        raise RunError(f"{path}: {name!r} holds values that are not finite, so no trained network. Name another file.")
    return array
