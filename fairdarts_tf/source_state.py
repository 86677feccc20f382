"""A state of a cell as the operations on the edges that leave it see it: what they share is computed once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import tensorflow as tf

from fairdarts_tf.kernels import library
from fairdarts_tf.second_derivatives import second_derivatives_wanted

if TYPE_CHECKING:
    from fairdarts_tf.perturbations import Perturbation

PHASES = 4


class SourceState:
    """A state and what several operations derive from it, each computed when it is first asked for.

    The *phases* of an image are its four quarters of every second row and column, stacked along the batch: even rows
    and even columns first, odd rows and odd columns last. Two neighbours in a phase lie two pixels apart in the image.
    A convolution of dilation 2 is therefore a plain one of the phases, and so is one of stride 2 that looks at even
    pixels only. All dilated convolutions of a state share one rearrangement, and their results one way back.

    Args:
        tensor: The state, (batch, height, width, channels).
        training: Whether a gradient will be asked for. An image is then taken apart as a whole, whose gradient is
            several times cheaper than that of a slice; without, TFLite knows the plain forms better.
        perturbation: What disturbs the operations on the state. Defaults to None: nothing.
    """

    def __init__(
        self, tensor: tf.Tensor, training: bool | None = None, perturbation: Perturbation | None = None
    ) -> None:
        self.tensor = tensor
        self.training = bool(training)
        self.perturbation = perturbation

    @functools.cached_property
    def activated(self) -> tf.Tensor:
        """ReLU of the state."""
        return tf.nn.relu(self.tensor)

    @functools.cached_property
    def compiled(self) -> bool:
        """Whether compiled kernels do the work: operations then give terms whose BatchNorm is left to a node's sum."""
        return self.training and library.usable(self.tensor.dtype)

    @property
    def recomputes(self) -> bool:
        """Whether a gradient computes cheap tensors again; not in float64, which has no fused BatchNorm."""
        return self.training and self.tensor.dtype != tf.float64 and not second_derivatives_wanted()

    @property
    def dilates_in_phases(self) -> bool:
        """Whether dilated convolutions work on the phases: while training, if no side is odd and no kernel compiled."""
        sides = self.tensor.shape[1:3]
        return self.training and not self.compiled and sides.is_fully_defined() and not any(side % 2 for side in sides)

    @functools.cached_property
    def phases(self) -> tf.Tensor:
        """The phases of ReLU of the state, (4 * batch, ceil(height / 2), ceil(width / 2), channels); zeros fill up."""
        return tf.space_to_batch(self.activated, [2, 2], [[0, side % 2] for side in self.tensor.shape[1:3]])

    @functools.cached_property
    def even_pixels(self) -> tf.Tensor:
        """ReLU of the pixels of even rows and columns, (batch, ceil(height / 2), ceil(width / 2), channels)."""
        return self._corners[0] if self.training else self.activated[:, ::2, ::2]

    @functools.cached_property
    def odd_pixels(self) -> tf.Tensor:
        """ReLU of the pixels of odd rows and columns; an odd side has one too few: a zero stands for it."""
        if self.training:
            return self._corners[1]
        margins = [[0, side % 2] for side in self.tensor.shape[1:3]]
        return tf.pad(self.activated, [[0, 0], *margins, [0, 0]])[:, 1::2, 1::2]

    @functools.cached_property
    def _corners(self) -> tuple[tf.Tensor, tf.Tensor]:
        even, *_, odd = tf.split(self.phases, PHASES)
        return even, odd


def join_phases(phases: tf.Tensor) -> tf.Tensor:
    """Puts phases (4 * batch, height, width, channels) together to images (batch, 2 * height, 2 * width, channels)."""
    return tf.batch_to_space(phases, [2, 2], [[0, 0], [0, 0]])
