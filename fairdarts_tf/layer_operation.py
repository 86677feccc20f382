"""One's own candidate operations: a Keras layer for each edge, with what a mixed operation needs around it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from fairdarts_tf.edges import normalize
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.kernels.terms import Term
from fairdarts_tf.operations import Operation
from fairdarts_tf.source_state import SourceState

MakeLayer = Callable[[int, int], keras.layers.Layer]
"""From channels and stride, 1 or 2, to a new layer: images (batch, height, width, channels) in, (batch, ceil(height /
stride), ceil(width / stride), channels) out."""

LAYERS: dict[str, MakeLayer] = {}
"""By the operation's name, what makes its layers; `fairdarts_tf.registration.register_operation` adds to it."""

_TRIED_SIDE = 9


@keras.saving.register_keras_serializable("fairdarts_tf")
class LayerOperation(Operation):
    """An operation that a layer of one's own computes, followed by BatchNorm, whose scale is the mixing weight.

    Args:
        kind: Its name in `LAYERS`.
        kwargs: See `Operation`.

    Raises:
        ConfigurationError: When there is no such operation, or its layer gives another shape.
    """

    def __init__(self, kind: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if kind not in LAYERS:
            raise ConfigurationError(unknown_name("operation of one's own", kind, LAYERS))
        self.kind = kind

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes and builds a layer for each edge, and BatchNorm."""
        channels = input_shape[-1]
        with _default_policy(self.dtype_policy):
            self.edge_layers = [LAYERS[self.kind](channels, self.stride) for _ in range(self.edges)]
        for edge, layer in enumerate(self.edge_layers):
            self._check_shape(layer, channels)
            if not layer.built:
                layer.build((None, None, None, channels))
            # Keras numbers layers without a name by how many there were before: no name for a checkpoint.
            for number, variable in enumerate(layer.variables):
                variable._path = f"{self.path}/edge_{edge}/{number}_{variable.name}"
        self.normalization = self._normalization("normalization", channels)

    def compute(self, state: SourceState, scales: tf.Tensor | None = None) -> list[tf.Tensor | Term]:
        """Returns one tensor for each edge."""
        outputs = [layer(state.tensor, training=state.training) for layer in self.edge_layers]
        return normalize(outputs, self.normalization, scales, state)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this layer."""
        return super().get_config() | {"kind": self.kind}

    def _check_shape(self, layer: keras.layers.Layer, channels: int) -> None:
        side = -(-_TRIED_SIDE // self.stride)
        found = tuple(layer.compute_output_shape((None, _TRIED_SIDE, _TRIED_SIDE, channels)))
        if found != (None, side, side, channels):
            given, expected = (_TRIED_SIDE, _TRIED_SIDE, channels), (side, side, channels)
            raise ConfigurationError(
                f"the layer of the operation {self.kind!r} makes {found[1:]} of images of shape {given} at stride "
                f"{self.stride}, but must make {expected}: as many channels, and the side divided by the stride, as "
                'padding="same" does.'
            )


@contextlib.contextmanager
def _default_policy(policy: keras.DTypePolicy) -> Iterator[None]:
    """Lets layers that name no policy have this one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
