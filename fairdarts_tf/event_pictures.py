"""Writing figures to TensorBoard's event files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100


def write_picture(name: str, figure: Figure) -> None:
    """Writes a figure as an image; each epoch's may have a size of its own, which TensorBoard keeps with every step."""
    from fairdarts_tf.report.animation import pixels

    tf.summary.image(name, pixels(figure, _DPI)[np.newaxis])
