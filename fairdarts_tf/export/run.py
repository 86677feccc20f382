"""The export of a run's directory: its network, and the images that belong to it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fairdarts_tf.devices import configure_runtime
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.export.images import ImageSource
from fairdarts_tf.export.network import Progress, export_network
from fairdarts_tf.export.plan import FORMATS, plan_files
from fairdarts_tf.export.verification import Verification
from fairdarts_tf.found_network import FoundNetwork, is_found_network, load_found_network
from fairdarts_tf.runs import Run


def export_run(
    workdir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str],
    formats: Sequence[str] = FORMATS,
    quantizations: Sequence[str] = ("none",),
    batch_size: int | None = None,
    *,
    weights: str = "best",
    dataset: str = "",
    data_dir: str = "",
    split: str = "test",
    images: int = 256,
    progress: Progress = lambda line: None,
) -> list[Verification]:
    """Exports what a training left, or what a search found with the weights of its supernet; always in float32.

    Args:
        workdir: The run's directory.
        output_dir: Where to.
        formats: See `export_network`.
        quantizations: See `export_network`.
        batch_size: See `export_network`.
        weights: ``"best"`` or ``"last"``, of a training. Defaults to ``"best"``.
        dataset: Images to verify with and to calibrate by: of the network's classes. Defaults to the run's.
        data_dir: Where tensorflow-datasets keeps them. Defaults to where the run had them.
        split: The split to verify with. Defaults to ``"test"``.
        images: How many images to verify with. Defaults to 256.
        progress: Called with a line of text for each step.

    Returns:
        One verification for each file written.

    Raises:
        FairDartsError: When the directory holds no network, an argument or the data do not fit, or `export_network`
            refuses.
        OSError: When the files cannot be written.

    Example:
        >>> rows = fd.export_run("runs/mine_trained", "exported_run", formats=["keras"], images=20)
        >>> [(row.file, row.agreement) for row in rows]
        [('network.keras', 1.0)]
    """
    if images < 1:
        raise ConfigurationError(f"--images is {images}, but at least 1 is needed to verify what is written.")
    configure_runtime()
    calibrated = any(file.quantization == "int8" for file in plan_files(formats, quantizations))
    found = load_run(workdir, weights, data_dir)
    source = ImageSource.of_run(workdir, found, dataset, data_dir)
    held_back_images, held_back_labels = source.held_back(found, images, split)
    return export_network(
        found,
        output_dir,
        formats,
        quantizations,
        batch_size,
        held_back_images=held_back_images,
        held_back_labels=held_back_labels,
        calibration_images=source.trained_on(found) if calibrated else None,
        calibrated_on=source.describe_calibration(),
        progress=progress,
    )


def load_run(workdir: str | os.PathLike[str], weights: str = "best", data_dir: str = "") -> FoundNetwork:
    """Returns the network of a training, or that of a search with the weights of its supernet.

    Raises:
        FairDartsError: When the directory holds neither.
    """
    if is_found_network(workdir):
        return load_found_network(workdir, weights)
    if Run(workdir).settings() is None:
        raise RunError(f"{workdir} holds neither a training nor a search. Name the --workdir of one.")
    from fairdarts_tf.inherited_weights import load_inherited_network

    return load_inherited_network(workdir, data_dir or None)
