"""A relaxation of one's own: a sigmoid made of straight lines, whose mixing weights reach 0 and 1 in finite time.

It is one formula in two forms: of tensors, for the search, and of arrays in float64, for what reads its files.
"""

from __future__ import annotations

import keras
import numpy as np

import fairdarts_tf as fd


class HardSigmoid:
    """``min(max(alpha / 6 + 1 / 2, 0), 1)`` of each alpha. ``in_play`` matters in S2 alone."""

    def of_tensor(self, alphas: object, in_play: np.ndarray | None = None) -> object:
        """Returns the mixing weights, differentiable in the alphas."""
        weights = keras.ops.hard_sigmoid(alphas)
        return weights if in_play is None else keras.ops.where(in_play, weights, keras.ops.zeros_like(weights))

    def of_array(self, alphas: np.ndarray, in_play: np.ndarray | None = None) -> np.ndarray:
        """Returns the mixing weights in float64."""
        weights = np.clip(np.asarray(alphas, np.float64) / 6 + 0.5, 0, 1)
        return weights if in_play is None else np.where(in_play, weights, 0.0)


fd.register_relaxation("hard_sigmoid", HardSigmoid())

search = fd.search(
    fd.load_dataset("digits"),
    fd.DartsSpace(operations=("skip_connect", "sep_conv_3x3"), nodes=1, init_channels=4, layers=3),
    relaxation="hard_sigmoid",
    epochs=2,
    steps_per_epoch=3,
    batch_size=50,
    alpha_learning_rate=0.1,
)
print(search.alphas.mixing_weights()["normal"])
