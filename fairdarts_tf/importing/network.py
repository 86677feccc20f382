"""Networks that the authors trained with PyTorch, as if they had been trained here."""

from __future__ import annotations

import os

from fairdarts_tf.errors import RunError
from fairdarts_tf.files import check_new_directory, write_directory_atomically
from fairdarts_tf.found_network import FoundNetwork, read_weights, save_description, save_weights
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.importing.description import CheckpointDescription, State, describe_checkpoint
from fairdarts_tf.importing.torch_checkpoints import read_torch_state
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.reference_weights import load_reference_state

_AUXILIARY_HEAD = "auxiliary_head."


def import_checkpoint(
    path: str | os.PathLike[str], genotype: Genotype, output_dir: str | os.PathLike[str], **described: object
) -> FoundNetwork:
    """Reads a PyTorch checkpoint of the authors and writes it as a training leaves its network.

    Args:
        path: What `torch.save` wrote.
        genotype: The cells of its network.
        output_dir: A directory that is absent or empty.
        described: See `describe_checkpoint`.

    Raises:
        FairDartsError: When the file cannot be read or does not fit, or the directory is not empty.
        OSError: When the directory cannot be written; nothing is left of it then.
    """
    check_new_directory(output_dir)
    state = read_torch_state(path)
    found = network_of(state, genotype, describe_checkpoint(state, **described))
    save_network(output_dir, found)
    return found


def network_of(state: State, genotype: Genotype, description: CheckpointDescription) -> FoundNetwork:
    """Builds the network whose state this is.

    Args:
        state: As `read_torch_state` returns it. An auxiliary head, which only training uses, is passed over.
        genotype: Its cells.
        description: As `describe_checkpoint` returns it.

    Raises:
        RunError: When a weight is missing, left over or of another shape.
    """
    sizes = description.sizes
    image_shape = (description.image_side, description.image_side, sizes.image_channels)
    network = DartsNetwork(
        genotype,
        sizes.num_classes,
        init_channels=sizes.init_channels,
        layers=sizes.layers,
        stem=sizes.network,
        name="network",
    )
    network.build((None, *image_shape))
    try:
        load_reference_state(network, {n: value for n, value in state.items() if not n.startswith(_AUXILIARY_HEAD)})
    except RunError as error:
        raise RunError(f"the checkpoint is no network of the genotype that --genotype names: {error}") from None
    return FoundNetwork(
        network, description.class_names, image_shape, description.mean, description.std, description.dataset
    )


def save_network(output_dir: str | os.PathLike[str], found: FoundNetwork) -> None:
    """Writes a network, description and last weights, to a directory that appears only once it is complete.

    Raises:
        RunError: When the directory exists and is not empty.
        OSError: When it cannot be written.
    """

    def write(directory: os.PathLike[str]) -> None:
        save_description(directory, found)
        save_weights(directory, "last", read_weights(found.network))

    write_directory_atomically(output_dir, write)
