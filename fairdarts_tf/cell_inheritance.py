"""A supernet's weights for the network of cells that was found in it (S1).

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

from collections.abc import Iterator, Mapping

import numpy as np

from fairdarts_tf.alphas import edge_endpoints
from fairdarts_tf.errors import RunError
from fairdarts_tf.genotypes import INPUTS
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.network_cells import NetworkCell
from fairdarts_tf.reference_weights import load_reference_state, read_reference_state
from fairdarts_tf.spaces.darts_supernet import DartsSupernet
from fairdarts_tf.stems import CifarStem

State = dict[str, np.ndarray]


def inherit_cells(network: DartsNetwork, supernet: DartsSupernet) -> None:
    """Sets a network's weights to those of the supernet's operations that its genotype keeps.

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
