"""The supernet's own weights for a found network: what a search has trained is a start for what it found.

What is inherited, and what of a supernet has no place in a found network, is a matter of the search space: see
`fairdarts_tf.cell_inheritance` and `fairdarts_tf.layer_inheritance`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from fairdarts_tf import data
from fairdarts_tf.checkpoints import load_latest
from fairdarts_tf.errors import GenotypeError, RunError
from fairdarts_tf.found_network import FoundNetwork
from fairdarts_tf.genotype_files import GENOTYPE_FILE, load_genotype
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import space_of
from fairdarts_tf.spaces.network_options import NetworkOptions

_ANY_SIDE = 4096
"""No weight's shape depends on the images' sides; these survive all strides."""


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
    _check_derived(Path(search_workdir))
    genotype = load_genotype(Path(search_workdir))
    images, _ = data.load_halves(dataclasses.replace(settings, data_dir=data_dir or settings.data_dir))
    mean, std = data.statistics_for(settings.dataset, images)
    options = NetworkOptions(init_channels=settings.init_channels, layers=settings.layers)
    network = supernet.space.network(genotype, images.num_classes, options, name="network")
    network.build((None, *images.image_shape))
    inherit_weights(network, supernet)
    return FoundNetwork(network, images.class_names, images.image_shape, mean, std, settings.dataset)


def _check_derived(search_workdir: Path) -> None:
    # Without alphas no epoch has ended: that says who reads the genotype.
    if (search_workdir / GENOTYPE_FILE).exists() or not (search_workdir / "alphas.npz").exists():
        return
    raise GenotypeError(
        f"{search_workdir} is a search whose --method derives no genotype of its alphas, so it has no network yet. "
        f"Derive one otherwise (bin/derive --alphas={search_workdir} --method=darts --output=genotype.json), and train "
        "it (bin/train --genotype=genotype.json)."
    )


def load_supernet(search_workdir: str | os.PathLike[str]) -> tuple[keras.Model, SearchSettings]:
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
    settings = SearchSettings.from_flags(recorded)
    space = space_of(settings)
    channels = _supernet_array(run, arrays, space.stem_kernel).shape[2]
    classes = _supernet_array(run, arrays, "classifier/bias").shape[0]
    supernet = space.supernet(
        (_ANY_SIDE, _ANY_SIDE, channels),
        classes,
        relaxation=settings.relaxation,
        name="supernet",
        **space.supernet_options(settings),
    )
    _assign(supernet, arrays, run)
    return supernet, settings


def inherit_weights(network: keras.Model, supernet: keras.Model) -> None:
    """Sets a found network's weights to those of the supernet's operations that its genotype keeps.

    An auxiliary head, which no supernet has, keeps the weights that it has.

    Args:
        network: Built, for images with as many channels and as many classes as the supernet's.
        supernet: Built, of the same search space and size.

    Raises:
        RunError: When they are of different spaces or sizes, or the genotype holds what the supernet does not have.
            Nothing is set then.
    """
    space = supernet.space
    if network.genotype.space != space.name:
        raise RunError(
            f"the genotype is of the search space {network.genotype.space!r}, but the search of {space.name!r}. Name "
            "the genotype that this search found, or the search that found this genotype."
        )
    if network.num_classes != supernet.num_classes:
        raise RunError(
            f"the network tells {network.num_classes} classes apart, but the supernet that it is to inherit from "
            f"{supernet.num_classes}. Use the data set of the search, as in its flags.txt."
        )
    space.inherit_weights(network, supernet)


def _supernet_array(run: Run, arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return arrays[f"state/supernet/{name}"]
    except KeyError:
        raise RunError(f"{run.workdir} holds no supernet, so no search. Name the --workdir of a search.") from None


def _assign(supernet: keras.Model, arrays: Mapping[str, np.ndarray], run: Run) -> None:
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
