"""What a training's directory says of its network, and whether that still holds when the training goes on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from fairdarts_tf.errors import GenotypeError, RunError
from fairdarts_tf.found_network import (
    FoundNetwork,
    description_of,
    is_found_network,
    read_description,
    save_description,
)
from fairdarts_tf.genotype_files import AnyGenotype, load_genotype
from fairdarts_tf.runs import Run


def check_description(run: Run, found: FoundNetwork) -> None:
    """Checks that a network is still the one that its directory describes; a directory without one passes.

    Args:
        run: The training's directory.
        found: The network as settings and data make it now.

    Raises:
        RunError: When class names, images or their normalisation have changed since, or the description is broken.
    """
    if not is_found_network(run.workdir):
        return
    difference = _difference(read_description(run.workdir), description_of(found))
    if difference:
        raise RunError(
            f"the data are not those that --workdir={run.workdir} was begun with: {difference}. Restore the data, or "
            "train on the new ones in another --workdir."
        )


def check_genotype(run: Run, genotype: AnyGenotype, named: str | os.PathLike[str]) -> None:
    """Checks that a name or a file still means the genotype that a training was begun with.

    Args:
        run: The training's directory.
        genotype: Its own.
        named: What it was begun with. One that is absent or cannot be read any more passes.

    Raises:
        RunError: When it means another one.
    """
    try:
        now = load_genotype(named)
    except (GenotypeError, OSError):
        return
    own = run.workdir / "genotype.json"
    if now != genotype:
        raise RunError(
            f"{named} is another genotype than {own}, which the run was begun with. Train it in another --workdir; or, "
            f"to go on with the run's own cells, write --genotype={own} into {run.workdir / 'flags.txt'}."
        )


def write_description(run: Run, found: FoundNetwork) -> None:
    """Writes what `check_description` compares with.

    Raises:
        RunError: When it cannot be written.
    """
    try:
        save_description(run.workdir, found)
    except OSError as error:
        raise run.cannot_write(error) from error


def _difference(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns in words what differs first, or nothing."""
    if recorded.get("class_names") != now["class_names"]:
        return _class_difference(recorded.get("class_names"), now["class_names"])
    if recorded.get("image_shape") != now["image_shape"]:
        return f"images of {_sides(now['image_shape'])} (the run has {_sides(recorded.get('image_shape'))})"
    for field in now:
        if recorded.get(field) != now[field]:
            return f"{field} is {now[field]} (the run has {recorded.get(field)})"
    return ""


def _class_difference(recorded: Any, now: Sequence[str]) -> str:
    if not isinstance(recorded, list) or len(recorded) != len(now):
        count = len(recorded) if isinstance(recorded, list) else "none"
        return f"they have {len(now)} classes (the run has {count})"
    label = next(label for label, name in enumerate(now) if name != recorded[label])
    return f"class {label} is {now[label]!r} (the run has {recorded[label]!r})"


def _sides(shape: Any) -> str:
    return " x ".join(map(str, shape)) if isinstance(shape, list) else str(shape)
