"""A found network with all that its use needs: class names, the images' size, and how they are normalised."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fairdarts_tf.archives import ArchiveError, read_numbers
from fairdarts_tf.errors import FairDartsError, RunError
from fairdarts_tf.files import open_file, write_atomically, write_text_atomically
from fairdarts_tf.genotype_files import AnyGenotype, load_genotype
from fairdarts_tf.spaces import search_space
from fairdarts_tf.spaces.network_options import NetworkOptions

FORMAT_VERSION = 1
WEIGHTS = ("best", "last")
"""Which weights of a run: of the epoch with the highest validation accuracy, or of the last epoch."""

_MODEL_FILE = "model.json"
_MOST = {"num_classes": 1_000_000, "init_channels": 4096, "layers": 1000}
_MOST_PIXELS = 4096
_MOST_BYTES = 64 * 2**20
"""Of model.json: a million class names."""


@dataclasses.dataclass(frozen=True, eq=False)
class FoundNetwork:
    """A network to be used, without auxiliary head, in float32.

    Attributes:
        network: Built, with its weights; takes normalised images and returns logits. It has `genotype`,
            `training_variables` and `set_drop_path_rate`, whatever its search space is.
        class_names: By label.
        image_shape: (height, width, channels) of its images.
        mean: (channels,), in units of 0 to 1: an image is normalised as ``(image / 255 - mean) / std``.
        std: (channels,), in units of 0 to 1.
        dataset: Name of the data set that it was trained on, empty where it is not known.

    Example:
        >>> found = fd.load_found_network("runs/mine_trained")
        >>> normalised = (np.zeros((4, 8, 8, 1)) / 255 - found.mean) / found.std
        >>> found.network(normalised.astype("float32")).shape
        TensorShape([4, 10])
    """

    network: keras.Model
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: np.ndarray
    std: np.ndarray
    dataset: str = ""


def save_description(directory: str | os.PathLike[str], found: FoundNetwork) -> None:
    """Writes all of a found network but its weights, as ``genotype.json`` and ``model.json``.

    Raises:
        OSError: When they cannot be written.
    """
    found.network.genotype.save(Path(directory, "genotype.json"))
    write_text_atomically(Path(directory, _MODEL_FILE), json.dumps(description_of(found), indent=2) + "\n")


def description_of(found: FoundNetwork) -> dict[str, Any]:
    """Returns what ``model.json`` says of a found network."""
    return {
        "format_version": FORMAT_VERSION,
        "network": sizes_of(found.network),
        "class_names": list(found.class_names),
        "image_shape": list(found.image_shape),
        "mean": [float(value) for value in found.mean],
        "std": [float(value) for value in found.std],
        "dataset": found.dataset,
    }


def sizes_of(network: keras.Model) -> dict[str, Any]:
    """Returns what decides a network's size besides its genotype, by name."""
    config = network.get_config()
    return {name: config[name] for name in _size_names(network.genotype)}


def read_description(directory: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Returns what the ``model.json`` of a directory says; its fields are not checked.

    Raises:
        RunError: When there is none, or it is no JSON, or of another format.
    """
    return _read_document(Path(directory, _MODEL_FILE))


def save_weights(directory: str | os.PathLike[str], weights: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a network's weights to ``best.npz`` or ``last.npz``.

    Args:
        directory: Where `save_description` has written, or will.
        weights: ``"best"`` or ``"last"``.
        arrays: As `read_weights` returns them.

    Raises:
        OSError: When they cannot be written; older ones are untouched.
    """
    write_atomically(Path(directory, f"{weights}.npz"), lambda file: np.savez(file, **arrays))


def read_weights(network: keras.Model) -> dict[str, np.ndarray]:
    """Returns weights and running statistics by name, without what only training has (drop path)."""
    return {name: np.array(variable.numpy()) for name, variable in network_variables(network).items()}


def network_variables(network: keras.Model) -> dict[str, keras.Variable]:
    """Returns the variables that inference needs by a name that does not depend on the network's own."""
    unused = {id(variable) for variable in network.training_variables}
    return {
        variable.path.removeprefix(f"{network.name}/"): variable
        for variable in network.variables
        if id(variable) not in unused
    }


def is_found_network(directory: str | os.PathLike[str]) -> bool:
    """Returns whether a directory holds a trained or imported network."""
    return Path(directory, _MODEL_FILE).is_file()


def load_found_network(directory: str | os.PathLike[str], weights: str = "best") -> FoundNetwork:
    """Loads a trained or imported network.

    Args:
        directory: A training's directory.
        weights: ``"best"`` or ``"last"``. A run that selects no best epoch has only last ones: they are taken then.

    Raises:
        RunError: When the directory holds no network, or one of its files is broken or does not fit.

    Example:
        >>> found = fd.load_found_network("runs/mine_trained", weights="last")
        >>> found.image_shape, found.class_names[:3], found.dataset
        ((8, 8, 1), ('0', '1', '2'), 'digits')
    """
    document = read_description(directory)
    try:
        found = _build(load_genotype(Path(directory, "genotype.json")), document)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        reason = str(error) if isinstance(error, FairDartsError) else "its values are not those of a network."
        raise RunError(
            f"cannot build the network of {directory}: {reason} Restore its files, or train anew."
        ) from error
    _assign(found.network, _weights_file(Path(directory), weights))
    return found


def _size_names(genotype: AnyGenotype) -> tuple[str, ...]:
    return ("num_classes", *search_space(genotype.space).size_names)


def _build(genotype: AnyGenotype, document: Mapping[str, Any]) -> FoundNetwork:
    named = {name: document["network"][name] for name in _size_names(genotype)}
    sizes, shape = _checked_sizes(named, document["image_shape"])
    names = tuple(str(name) for name in document["class_names"])
    mean, std = (np.asarray(document[name], np.float32) for name in ("mean", "std"))
    if not np.isfinite([mean, std]).all() or not (std > 0).all():
        raise RunError("mean or std are not those of images.")
    if len(names) != sizes["num_classes"] or mean.shape != shape[2:] or std.shape != shape[2:]:
        raise RunError("names of classes, mean or std do not fit the network.")
    classes = sizes.pop("num_classes")
    network = search_space(genotype.space).network(genotype, classes, NetworkOptions(**sizes), name="network")
    network.build((None, *shape))
    return FoundNetwork(network, names, shape, mean, std, str(document["dataset"]))


def _checked_sizes(network: Mapping[str, Any], image_shape: Any) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Checks that what is to be built is a network, and none that would fill the memory."""
    sizes = dict(network)
    measures = {name: sizes[name] for name in _MOST if name in sizes} | {
        f"image_shape[{i}]": side for i, side in enumerate(image_shape)
    }
    for name, value in measures.items():
        most = _MOST.get(name, _MOST_PIXELS)
        if type(value) is not int or not 1 <= value <= most:
            raise RunError(f"{name} is {value!r:.60}, but must be a whole number from 1 to {most}.")
    if len(image_shape) != 3:
        raise RunError(f"image_shape has {len(image_shape)} numbers, not height, width and channels.")
    return sizes, tuple(image_shape)


def _read_document(path: Path) -> Mapping[str, Any]:
    try:
        with open_file(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError
        document = json.loads(content.decode("utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"{path.parent} holds no {path.name}, so no trained network. Name the --workdir of a training."
        ) from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is no readable JSON. Restore it, or train anew.") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise RunError(
            f"{path} has format {version!r:.60}, but this version of the program reads format {FORMAT_VERSION}. Use "
            "the version that wrote it, or train anew."
        )
    return document


def _weights_file(directory: Path, weights: str) -> Path:
    candidates = [directory / f"{name}.npz" for name in (weights, "last")]
    for path in candidates:
        if path.is_file():
            return path
    raise RunError(
        f"{directory} holds no weights yet, neither {candidates[0].name} nor last.npz: its first epoch has not ended."
    )


def _assign(network: keras.Model, path: Path) -> None:
    try:
        arrays = read_numbers(path)
    except (OSError, ArchiveError) as error:
        raise RunError(f"the weights {path} are corrupt or truncated. Restore them, or train anew.") from error
    assign_weights(network, arrays, str(path))


def assign_weights(network: keras.Model, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Sets what `read_weights` returned.

    Args:
        network: Built.
        arrays: By name; those of an auxiliary head are passed over.
        source: What they were read from, for the error.

    Raises:
        RunError: When a weight is missing or has another shape; nothing is set then.
    """
    variables = network_variables(network)
    for name, variable in variables.items():
        if name not in arrays or tuple(arrays[name].shape) != tuple(variable.shape):
            found = f"has shape {arrays[name].shape}" if name in arrays else "is missing"
            raise RunError(
                f"{source} does not fit the network: {name!r} {found}, but must have shape {tuple(variable.shape)}. "
                "It belongs to another genotype or another size."
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])
