"""The smallest search space S2: two stages, four choice layers, of which two may be skipped."""

from __future__ import annotations

import numpy as np

from fairdarts_tf.spaces.mobile import MobileSpace

FIELDS = {
    "mobile_widths": (4, 6),
    "mobile_depths": (2, 2),
    "mobile_strides": (1, 2),
    "mobile_kernels": (3, 5),
    "mobile_expansions": (1, 2),
    "mobile_stem_width": 4,
    "mobile_stem_stride": 1,
    "mobile_first_width": 3,
    "mobile_head_width": 8,
}
SPACE = MobileSpace(**FIELDS)
"""Five operations; layers 2 and 4 keep the shape."""

OPERATIONS = ("mbconv1_3x3", "mbconv1_5x5", "mbconv2_3x3", "mbconv2_5x5", "skip_connect")
IMAGE = (8, 8, 2)


def one_hot_alphas(columns: list[int], size: float = 200.0) -> dict[str, np.ndarray]:
    """Returns alphas whose sigmoid, and softmax, is 1 for a column of each layer and 0 for all others."""
    table = np.full((4, 5), -size, np.float32)
    table[np.arange(4), columns] = size
    return {"layers": table}


SMALLEST = MobileSpace(
    **FIELDS
    | {"mobile_widths": (3,), "mobile_depths": (2,), "mobile_strides": (2,)}
    | {"mobile_kernels": (3,), "mobile_expansions": (1, 2)}
)
"""For what is traced as a graph: two layers and three operations, of which the second layer may be skipped."""
