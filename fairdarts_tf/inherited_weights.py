"""The supernet's own weights for a found network: what a search has trained is a start for what it found.

Both models can name their weights as the authors' code does, so inheriting is a translation of names. A supernet's
BatchNorms have no scale and no offset, but the last one of each operation is scaled by the operation's mixing weight:
that weight becomes its scale (gamma) in the found network, and every other scale is 1 and every offset 0.

What is exact: convolutions, factorized reductions, stem, alignments, classifier, and all running statistics. If the
mixing weights of everything that the genotype dropped are 0, the network computes in inference what the supernet
computes. What has no counterpart in a found network and is lost:

- the mixing weight of an identity (its output is the input itself: exact at a mixing weight of 1 only),
- mixing weight and BatchNorm of a pooling (a found network has neither),
- the sum of all that was dropped, where the mixing weights did not reach 0.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from fairdarts_tf import data
from fairdarts_tf.alphas import edge_endpoints
from fairdarts_tf.checkpoints import load_latest
from fairdarts_tf.errors import RunError
from fairdarts_tf.found_network import FoundNetwork
from fairdarts_tf.genotypes import INPUTS, Genotype
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.network_cells import NetworkCell
from fairdarts_tf.reference_weights import load_reference_state, read_reference_state
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import space_of
from fairdarts_tf.spaces.darts_supernet import DartsSupernet
from fairdarts_tf.stems import CifarStem

State = dict[str, np.ndarray]

_ANY_SIDE = 32
"""No weight's shape depends on the images' sides."""


def load_inherited_network(search_workdir: str | os.PathLike[str], data_dir: str | None = None) -> FoundNetwork:
    """Returns the network that a search found, with the weights of its supernet.

    Args:
        search_workdir: The search's directory.
        data_dir: Where tensorflow-datasets keeps the prepared data. Defaults to None: where the search had it.

    Raises:
        RunError: When the directory holds no search with a checkpoint, or its files contradict each other.
        GenotypeError: When it holds no genotype yet.
        DataError: When its data set, which gives class names and normalisation, cannot be loaded.
    """
    supernet, settings = load_supernet(search_workdir)
    genotype = Genotype.load(Path(search_workdir))
    images = data.load_dataset(
        settings.dataset,
        "train",
        data_dir=data_dir or settings.data_dir or None,
        download=settings.download,
        image_size=settings.image_size or None,
    )
    mean, std = data.statistics_for(settings.dataset, images.images)
    network = DartsNetwork(
        genotype, images.num_classes, init_channels=settings.init_channels, layers=settings.layers, name="network"
    )
    network.build((None, *images.image_shape))
    inherit_weights(network, supernet)
    return FoundNetwork(network, images.class_names, images.image_shape, mean, std, settings.dataset)


def load_supernet(search_workdir: str | os.PathLike[str]) -> tuple[DartsSupernet, SearchSettings]:
    """Returns the supernet of a search, with the weights and alphas of its newest checkpoint, and the settings.

    Needs no data. A damaged checkpoint is passed over with a warning on stderr, as a search that goes on does.

    Raises:
        RunError: When the directory holds no search, or none that has saved a checkpoint, or it is broken.
    """
    run = Run(search_workdir)
    recorded = run.settings()
    if recorded is None:
        raise RunError(f"{run.workdir} holds no flags.txt, so no search. Name the --workdir of a search.")
    arrays, passed_over = load_latest(run.checkpoints)
    for error in passed_over:
        print(f"warning: {error} Taking the one before it.", file=sys.stderr)
    if arrays is None:
        raise RunError(f"{run.workdir} holds no checkpoint yet. Let the search finish an epoch first.")
    channels = _supernet_array(run, arrays, "stem/block/kernel").shape[2]
    classes = _supernet_array(run, arrays, "classifier/bias").shape[0]
    settings = SearchSettings.from_flags(recorded)
    supernet = space_of(settings).supernet(
        (_ANY_SIDE, _ANY_SIDE, channels), classes, relaxation=settings.relaxation, name="supernet"
    )
    _assign(supernet, arrays, run)
    return supernet, settings


def inherit_weights(network: DartsNetwork, supernet: DartsSupernet) -> None:
    """Sets a found network's weights to those of the supernet's operations that its genotype keeps.

    An auxiliary head, which no supernet has, keeps the weights that it has. See the module's description for what is
    exact.

    Args:
        network: Built, for images with as many channels and as many classes as the supernet's.
        supernet: Built, of the same channels and layers.

    Raises:
        RunError: When the sizes differ, or the genotype holds an operation or an edge that the supernet does not have.
            Nothing is set then.
    """
    _check_sizes(network, supernet)
    inherited = dict(_inherited(network, supernet))
    fresh = read_reference_state(network, numbered=True)
    load_reference_state(network, {name: inherited.get(name, value) for name, value in fresh.items()})


def _check_sizes(network: DartsNetwork, supernet: DartsSupernet) -> None:
    space = supernet.space
    if network.stem_name != "cifar":
        raise RunError(
            f"the network has the stem {network.stem_name!r}, but the supernet that it is to inherit from has that of "
            "small images: pass --network=cifar."
        )
    if (network.init_channels, network.layer_count) != (space.init_channels, space.layers):
        raise RunError(
            f"the network has {network.init_channels} channels and {network.layer_count} layers, but the supernet that "
            f"it is to inherit from has {space.init_channels} and {space.layers}: pass "
            f"--init_channels={space.init_channels} --layers={space.layers}."
        )
    multiplier = CifarStem(network.init_channels).multiplier
    if space.stem_multiplier != multiplier:
        raise RunError(
            f"the search had --stem_multiplier={space.stem_multiplier}, but a found network's stem has {multiplier}: "
            f"only a search with --stem_multiplier={multiplier} leaves weights for it."
        )
    if network.num_classes != supernet.num_classes:
        raise RunError(
            f"the network tells {network.num_classes} classes apart, but the supernet that it is to inherit from "
            f"{supernet.num_classes}. Use the data set of the search, as in its flags.txt."
        )
    channels, searched = (model.stem.block.kernel.shape[2] for model in (network, supernet))
    if channels != searched:
        raise RunError(
            f"an image has {channels} channels for the network, but {searched} for the supernet that it is to inherit "
            f"from. Use the data set of the search, as in its flags.txt."
        )


def _inherited(network: DartsNetwork, supernet: DartsSupernet) -> Iterator[tuple[str, np.ndarray]]:
    """Yields names of the found network's state, and values of the supernet's."""
    state = read_reference_state(supernet)
    mixing_weights = {kind: np.array(table) for kind, table in supernet.mixing_weights().items()}
    # What the two inputs of the cell in hand have of the supernet's channels.
    stem = np.arange(supernet.stem.block.filters)
    older, newer = stem, stem
    yield from _under("stem.", state).items()
    for index, cell in enumerate(network.cells):
        prefix = f"cells.{index}"
        for name, kept in ((f"{prefix}.preprocess0.", older), (f"{prefix}.preprocess1.", newer)):
            yield from _with_affine({key: _columns(value, kept) for key, value in _under(name, state).items()}).items()
        weights = mixing_weights["reduce" if cell.reduction else "normal"]
        for number, (edge, column) in enumerate(_origins(cell, supernet)):
            origin = f"{prefix}._ops.{edge}._ops.{column}."
            operation = _with_affine(_under(origin, state), scale=weights[edge, column])
            yield from ((f"{prefix}._ops.{number}.{key.removeprefix(origin)}", operation[key]) for key in operation)
        older, newer = newer, _channels(cell)
    yield "classifier.weight", _columns(state["classifier.weight"], newer)
    yield "classifier.bias", state["classifier.bias"]


def _origins(cell: NetworkCell, supernet: DartsSupernet) -> Iterator[tuple[int, int]]:
    """Yields the row and the column, in the table of alphas, of each operation of a found cell."""
    endpoints, operations = edge_endpoints(supernet.space.nodes), supernet.space.operations
    for item in cell.kept_items:
        if (item.to, item.source) not in endpoints or item.op not in operations:
            raise RunError(
                f"the genotype has {item.op} from {item.source} to {item.to}, which the supernet that it is to inherit "
                f"from does not have: it has {supernet.space.nodes} nodes and {', '.join(operations)}. Name the "
                "genotype that this search found, or the search that found this genotype."
            )
        yield endpoints.index((item.to, item.source)), operations.index(item.op)


def _channels(cell: NetworkCell) -> np.ndarray:
    """Returns which channels of a supernet's cell a found cell has: those of the nodes that exist."""
    return np.concatenate([(node - INPUTS) * cell.filters + np.arange(cell.filters) for node in cell.nodes])


def _columns(value: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Returns a kernel, (channels out, channels in, ...), that reads only some channels; a vector as it is."""
    return value if value.ndim == 1 else value[:, kept]


def _with_affine(state: Mapping[str, np.ndarray], scale: float = 1.0) -> State:
    """Adds scales and offsets to the BatchNorms of an operation: 1 and 0, but ``scale`` in the last one."""
    means = [name for name in state if name.endswith("running_mean")]
    affine = {}
    for name in means:
        prefix = name.removesuffix("running_mean")
        affine[f"{prefix}weight"] = np.full_like(state[name], scale if name == means[-1] else 1.0)
        affine[f"{prefix}bias"] = np.zeros_like(state[name])
    return dict(state) | affine


def _under(prefix: str, state: Mapping[str, np.ndarray]) -> State:
    return {name: value for name, value in state.items() if name.startswith(prefix)}


def _supernet_array(run: Run, arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return arrays[f"state/supernet/{name}"]
    except KeyError:
        raise RunError(f"{run.workdir} holds no supernet, so no search. Name the --workdir of a search.") from None


def _assign(supernet: DartsSupernet, arrays: Mapping[str, np.ndarray], run: Run) -> None:
    saved = {variable.path: arrays.get(f"state/{variable.path}") for variable in supernet.variables}
    for variable in supernet.variables:
        value = saved[variable.path]
        if value is None or tuple(value.shape) != tuple(variable.shape):
            found = "is missing" if value is None else f"has shape {value.shape}"
            raise RunError(
                f"the checkpoint in {run.workdir} does not fit its flags.txt: {variable.path!r} {found}, but must have "
                f"shape {tuple(variable.shape)}. Restore the directory's files, or search anew."
            )
    for variable in supernet.variables:
        variable.assign(saved[variable.path])
