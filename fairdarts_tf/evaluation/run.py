"""Evaluating networks: one in memory on images in memory, or that of a run's directory on its data set."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from fairdarts_tf.data.sources import Images
from fairdarts_tf.errors import ConfigurationError, DataError
from fairdarts_tf.evaluation.images import check_fit, load_images
from fairdarts_tf.evaluation.measures import log_of, log_softmax, measure
from fairdarts_tf.evaluation.result import Evaluation
from fairdarts_tf.runs import Run

if TYPE_CHECKING:
    from fairdarts_tf.found_network import FoundNetwork
    from fairdarts_tf.runtimes import Runtime

BATCH_SIZE = 256
_AT_ONCE = 4096
"""Images that are decoded at once for a stored network."""
_INHERITED = "the supernet's, inherited from the search and not trained further"


def evaluate(model: FoundNetwork | Runtime, images: Images, batch_size: int = BATCH_SIZE) -> Evaluation:
    """Evaluates a network on images of its own size.

    Args:
        model: A found network, or a stored one that `fairdarts_tf.runtimes.open_model` has opened.
        images: With the network's classes.
        batch_size: Images that are computed at once by a found network; a stored one chooses for itself. Defaults to
            256.

    Raises:
        ConfigurationError: When the network is none.
        DataError: When the images are none, or their classes or shape are not the network's.
        RunError: When the network's output is no number.

    Example:
        >>> evaluation = fd.evaluate(fd.load_found_network("runs/mine_trained"), fd.load_dataset("digits", "test"))
        >>> evaluation.measures.confusion.shape, 0 <= evaluation.measures.top_1 <= 1
        ((10, 10), True)
    """
    if not hasattr(model, "class_names"):
        raise ConfigurationError(
            f"{model!r:.80} is no network. Load one with load_found_network, or name its directory to evaluate_run."
        )
    if not isinstance(images, Images):
        raise DataError(f"{images!r:.80} are no images. Load them with load_dataset.")
    class_names = check_fit(images, model.class_names, model.image_shape)
    if hasattr(model, "probabilities"):
        log_probabilities = log_of(_probabilities(model, images))
    else:
        log_probabilities = log_softmax(_logits(model, images, batch_size))
    return Evaluation(class_names, measure(log_probabilities, images.labels))


def evaluate_run(
    workdir: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    data_dir: str | None = None,
    download: bool = False,
    split: str = "test",
    weights: str = "best",
    batch_size: int = BATCH_SIZE,
) -> Evaluation:
    """Evaluates the network of a training, or that of a search with the weights of its supernet.

    Args:
        workdir: The run's directory.
        dataset: See `fairdarts_tf.load_dataset`. Defaults to None: the run's own.
        data_dir: Where tensorflow-datasets keeps prepared data. Defaults to None: where the run had it.
        download: Whether data that are not prepared may be downloaded. Defaults to False.
        split: One of the data set, or ``"held_back"``: what the run held back of its own data set's training images.
            Defaults to ``"test"``.
        weights: ``"best"`` or ``"last"`` of a training; a run that chose no best epoch has only last ones. Defaults to
            ``"best"``.
        batch_size: Images that are computed at once. Defaults to 256.

    Raises:
        RunError: When the directory holds no run, or one without a network, or it held nothing back.
        ConfigurationError: When the run does not say which data set it was trained on, and none is given.
        DataError: When the data cannot be loaded, or do not fit the network.

    Example:
        >>> evaluation = fd.evaluate_run("runs/mine_trained")
        >>> evaluation.dataset, evaluation.split, evaluation.measures.confusion.sum()
        ('digits', 'test', np.int64(297))
    """
    from fairdarts_tf.devices import configure_runtime

    configure_runtime()
    recorded = Run(workdir).settings() or {}
    data_dir = data_dir or recorded.get("data_dir") or None
    if not Path(workdir, "model.json").is_file() and Run(workdir).is_search():
        from fairdarts_tf.inherited_weights import load_inherited_network

        model, described = load_inherited_network(workdir, data_dir), _INHERITED
    else:
        from fairdarts_tf.found_network import load_found_network

        model = load_found_network(workdir, weights)
        described = f"{weights} epoch" if Path(workdir, f"{weights}.npz").is_file() else "last epoch"
    dataset = dataset or recorded.get("dataset") or model.dataset
    if not dataset:
        raise ConfigurationError(
            f"which data set? {workdir} does not say what it was trained on: name one with --dataset."
        )
    images = load_images(dataset, split, model.image_shape, recorded=recorded, data_dir=data_dir, download=download)
    found = evaluate(model, images, batch_size)
    return dataclasses.replace(found, dataset=dataset, split=split, weights=described)


def _probabilities(model: Runtime, images: Images) -> np.ndarray:
    starts = range(0, len(images), _AT_ONCE)
    chunks = [np.arange(start, min(start + _AT_ONCE, len(images))) for start in starts]
    return np.concatenate([model.probabilities(images.central(chunk)) for chunk in chunks])


def _logits(found: FoundNetwork, images: Images, batch_size: int) -> np.ndarray:
    import tensorflow as tf

    from fairdarts_tf.data.fetching import broken_images_named
    from fairdarts_tf.data.pipeline import evaluation_batches

    # One graph for all batches: the last may be smaller.
    signature = tf.TensorSpec((None, *found.image_shape), tf.float32)
    network = tf.function(lambda batch: found.network(batch, training=False), autograph=False)
    compute = network.get_concrete_function(signature)
    batches = evaluation_batches(images, None, batch_size=batch_size, mean=found.mean, std=found.std)
    # Shows itself on a terminal only.
    progress = tqdm(batches, total=-(-len(images) // batch_size), unit="batch", leave=False, disable=None)
    with broken_images_named(images):
        return np.concatenate([compute(batch).numpy() for batch, _ in progress])
