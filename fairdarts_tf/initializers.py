"""The initial values of the reference: uniform, with a bound that depends on the number of inputs."""

from __future__ import annotations

import math

import keras


@keras.saving.register_keras_serializable("fairdarts_tf")
class FanInUniform(keras.initializers.Initializer):
    """Uniform in ``[-1/sqrt(fan_in), 1/sqrt(fan_in)]``, as PyTorch initialises convolutions and linear layers.

    Args:
        fan_in: The number of inputs that one output sums over: k * k * channels of a convolution, k * k of a
            depthwise one, channels of a linear layer.
        seed: Defaults to None: drawn from the global seed that `keras.utils.set_random_seed` sets.
    """

    def __init__(self, fan_in: int, seed: int | None = None) -> None:
        self.fan_in = fan_in
        bound = 1.0 / math.sqrt(fan_in)
        self._uniform = keras.initializers.RandomUniform(-bound, bound, seed=seed)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> object:
        """Returns a tensor of the given shape."""
        return self._uniform(shape, dtype=dtype)

    def get_config(self) -> dict[str, object]:
        """Returns the arguments that rebuild this initializer."""
        return {"fan_in": self.fan_in, "seed": self._uniform.seed}
