"""A network as a SavedModel: named signatures, class names as an asset."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from fairdarts_tf.runtimes import SIGNATURE
from fairdarts_tf.serving import ServingNetwork

FLOAT_SIGNATURE = "float_images"
INPUT, OUTPUT = "images", "probabilities"


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
    signatures = {name: _signature(network, shape, dtype) for name, dtype in _DTYPES.items()}
    module = tf.Module()
    module.kept = list(network.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph.variables)
    module.labels = tf.saved_model.Asset(str(labels))
    try:
        tf.saved_model.save(module, str(directory), signatures=signatures)
    except tf.errors.OpError as error:
        raise OSError(None, f"TensorFlow cannot write there ({error.message})", str(directory)) from error


_DTYPES = {SIGNATURE: tf.uint8, FLOAT_SIGNATURE: tf.float32}


def _signature(network: tf.types.experimental.PolymorphicFunction, shape: tuple[int | None, ...], dtype: tf.DType):
    images = tf.TensorSpec(shape, dtype, name=INPUT)
    served = tf.function(lambda images: {OUTPUT: network(tf.cast(images, tf.float32))}, autograph=False)
    return served.get_concrete_function(images)
