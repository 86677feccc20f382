"""A network as a SavedModel: named signatures, class names as an asset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from fairdarts_tf.runtimes import SIGNATURE
from fairdarts_tf.serving import ServingNetwork
from fairdarts_tf.silence import silent_stderr

FLOAT_SIGNATURE = "float_images"
INPUT, OUTPUT = "images", "probabilities"

Network = Callable[[tf.Tensor], tf.Tensor]


def write_saved_model(serving: ServingNetwork, directory: Path, labels: Path, batch_size: int | None = None) -> None:
    """Writes a SavedModel with the signatures ``serving_default`` (uint8 images) and ``float_images`` (float32).

    Both take ``images`` (batch, height, width, channels) from 0 to 255 and return ``probabilities`` (batch, classes).

    Args:
        serving: The network, built.
        directory: Where to; it must not exist.
        labels: The labels file, which becomes an asset.
        batch_size: Images of a batch. Defaults to None: any number.

    Raises:
        OSError: When it cannot be written.
    """
    # A function of its own, so that the network is traced and stored once for both signatures.
    network = tf.function(serving, autograph=False)
    shape = (batch_size, *serving.image_shape)
    module = tf.Module()
    module.kept = list(network.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph.variables)
    module.labels = tf.saved_model.Asset(str(labels))
    save(module, directory, network, shape, {SIGNATURE: tf.uint8, FLOAT_SIGNATURE: tf.float32})


def write_frozen_models(
    serving: ServingNetwork, directory: Path, batch_size: int, dtypes: Iterable[tf.DType]
) -> dict[tf.DType, Path]:
    """Writes SavedModels with constants for variables, which a converter reads several times faster.

    Each has one signature, ``serving_default``, since a TFLite file names its own after the signature that it is
    converted from. The network is traced once for all.

    Args:
        serving: The network, built.
        directory: Where to; it must exist.
        batch_size: Images of a batch.
        dtypes: Of the images that ``serving_default`` takes; one SavedModel for each.

    Returns:
        The directory of each.

    Raises:
        OSError: When one cannot be written.
    """
    shape = (batch_size, *serving.image_shape)
    traced = tf.function(serving, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    with silent_stderr():
        frozen = convert_variables_to_constants_v2(traced)
    models = {dtype: directory / dtype.name for dtype in dtypes}
    for dtype, model in models.items():
        save(tf.Module(), model, lambda images: frozen(images)[0], shape, {SIGNATURE: dtype})
    return models


def save(
    module: tf.Module,
    directory: Path,
    network: Network,
    shape: tuple[int | None, ...],
    dtypes: Mapping[str, tf.DType],
) -> None:
    """Saves a module with signatures of a network.

    Args:
        module: Holds all variables and assets that the network needs.
        directory: Where to; it must not exist.
        network: From float32 images from 0 to 255 to probabilities.
        shape: Of the images.
        dtypes: Of the images that each signature takes, by its name.

    Raises:
        OSError: When it cannot be written.
    """
    signatures = {name: _signature(network, tf.TensorSpec(shape, dtype, name=INPUT)) for name, dtype in dtypes.items()}
    try:
        tf.saved_model.save(module, str(directory), signatures=signatures)
    except tf.errors.OpError as error:
        # TensorFlow's message is "file; reason [Op:SaveV2]", without that operation where it is not one that writes.
        reason = re.sub(r" \[Op:\w+\]$", "", error.message.strip()).rsplit("; ")[-1]
        raise OSError(None, reason, str(directory)) from error


def _signature(network: Network, images: tf.TensorSpec) -> tf.types.experimental.ConcreteFunction:
    served = tf.function(lambda images: {OUTPUT: network(tf.cast(images, tf.float32))}, autograph=False)
    return served.get_concrete_function(images)
