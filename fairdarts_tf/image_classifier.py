"""A found network as an ordinary Keras model: pixels in, probabilities out, trained by `compile` and `fit`."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf import data
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.found_network import FoundNetwork, assign_weights, read_weights
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.kernels.library import portable_graph
from fairdarts_tf.serving import ServingNetwork
from fairdarts_tf.settings_checks import check_settings
from fairdarts_tf.spaces import search_space
from fairdarts_tf.spaces.network_options import NetworkOptions

_OPTIONS = ("init_channels", "layers", "stem", "drop_path")
_RANGES = {"init_channels": (2, 4096), "layers": (3, 1000)}


@keras.saving.register_keras_serializable("fairdarts_tf")
class ImageClassifier(ServingNetwork):
    """A network that normalises pixels by itself and can be trained.

    `build_classifier` makes one of a genotype.

    Args:
        args: Those of `ServingNetwork`.
        dataset: Name of the data set that it is for. Defaults to none.
        kwargs: Those of `ServingNetwork`.

    Call arguments:
        images: (batch, height, width, channels), uint8 or float, from 0 to 255.
        training: Whether BatchNorm uses the batch's statistics, and paths are dropped.

    Returns:
        Probabilities, (batch, classes), at least float32.

    Attributes:
        network: The network itself; takes normalised images and returns logits.
        found: The same network, with its class names and its normalisation, in float32: what is exported.

    Example:
        >>> digits = fd.load_dataset("digits")
        >>> classifier = fd.load_genotype("runs/mine").build(digits, init_channels=2, layers=3)
        >>> isinstance(classifier, fd.ImageClassifier), classifier.class_names[:3], classifier.image_shape
        (True, ('0', '1', '2'), (8, 8, 1))
        >>> classifier.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = classifier.fit(digits.images[:100], digits.labels[:100], batch_size=50, verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']
    """

    def __init__(self, *args: object, dataset: str = "", **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.dataset = dataset
        # So that Keras leaves XLA out unless it is asked for: depthwise convolutions may be many times slower with it.
        self.supports_jit = False

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the probabilities of the classes."""
        with portable_graph(bool(getattr(self, "jit_compile", False))):
            return tf.nn.softmax(self.network(self.normalized(images), training=training))

    @property
    def found(self) -> FoundNetwork:
        """The network in float32 with all that its use needs; it shares its weights where it is in float32 itself."""
        network = self.network
        if network.dtype_policy.name != "float32":
            config = network.get_config() | {"dtype": "float32"}
            network = type(network).from_config(config)
            network.build((None, *self.image_shape))
            assign_weights(network, read_weights(self.network), "the network")
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return FoundNetwork(network, self.class_names, self.image_shape, mean, std, self.dataset)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this model."""
        return super().get_config() | {"dataset": self.dataset}


def build_classifier(
    genotype: AnyGenotype,
    images: object,
    dtype: str = "float32",
    **options: object,
) -> ImageClassifier:
    """Returns the network of a genotype for images like these, with new weights.

    Args:
        genotype: Of any search space.
        images: Training images, which say shape, classes and normalisation: what `load_dataset` returned or takes.
        dtype: ``"float32"``, ``"mixed_bfloat16"`` or ``"mixed_float16"``. Defaults to ``"float32"``.
        options: ``init_channels``, ``layers``, ``stem`` and ``drop_path`` of `NetworkOptions`.

    Raises:
        ConfigurationError: When there is no such option, its value is out of range, or the images are too small.
        DataError: When there are no such images.
    """
    for name in options:
        if name not in _OPTIONS:
            raise ConfigurationError(unknown_name("option of a network", name, _OPTIONS))
    size = NetworkOptions(**options)
    check_settings(size, {}, _RANGES)
    images = data.images_of(images)
    policy = keras.dtype_policies.DTypePolicy(dtype)
    network = search_space(genotype.space).network(genotype, images.num_classes, size, dtype=policy, name="network")
    network.build((None, *images.image_shape))
    mean, std = data.statistics_for(images.name, images)
    classifier = ImageClassifier(
        network,
        images.class_names,
        images.image_shape,
        mean,
        std,
        dataset=images.name,
        dtype=policy,
        autocast=False,
        name="classifier",
    )
    classifier.build((None, *images.image_shape))
    return classifier
