"""Random-resized crop against a plain one as torchvision states it, and its scaling against Pillow's."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from fairdarts_tf.data.resized_crop import draw_boxes, scale
from fairdarts_tf.data.rows import Rows

COUNT = 4000
# A distance between two samples of 4,000 that one in a thousand pairs of one distribution exceeds (Kolmogorov-Smirnov).
FAR = 1.95 * math.sqrt(2 / COUNT)


def _plain_box(chance: random.Random, height: int, width: int) -> tuple[int, int, int, int]:
    """Returns what torchvision's RandomResizedCrop.get_params would, by its documentation."""
    for _ in range(10):
        area = height * width * chance.uniform(0.08, 1)
        ratio = math.exp(chance.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return chance.randint(0, height - h), chance.randint(0, width - w), h, w
    w, h = width, height
    if width / height < 3 / 4:
        h = round(w / (3 / 4))
    elif width / height > 4 / 3:
        w = round(h * 4 / 3)
    return (height - h) // 2, (width - w) // 2, h, w


def _boxes(height: int, width: int, count: int = COUNT, seed: int = 0) -> np.ndarray:
    return draw_boxes(tf.constant([1, seed]), tf.constant([[height, width]] * count)).numpy()


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the greatest difference between two samples' shares below a value."""
    values = np.concatenate([first, second])
    below = [np.searchsorted(np.sort(sample), values, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


@pytest.mark.parametrize("size", [(375, 500), (500, 333), (100, 250), (64, 64)])
def test_boxes_are_spread_as_torchvisions_are(size: tuple[int, int]):
    height, width = size
    chance = random.Random(0)
    plain, drawn = np.array([_plain_box(chance, height, width) for _ in range(COUNT)]), _boxes(height, width)
    assert drawn.dtype == np.int32 and drawn.min() >= 0
    assert (drawn[:, 0] + drawn[:, 2]).max() <= height and (drawn[:, 1] + drawn[:, 3]).max() <= width
    measures = {
        "area": lambda box: box[:, 2] * box[:, 3] / (height * width),
        "ratio": lambda box: box[:, 3] / box[:, 2],
        "top": lambda box: box[:, 0],
        "left": lambda box: box[:, 1],
        "height": lambda box: box[:, 2],
        "right": lambda box: box[:, 1] + box[:, 3],
    }
    distances = {name: _distance(measure(plain), measure(drawn)) for name, measure in measures.items()}
    assert max(distances.values()) < FAR, distances


def test_a_part_of_8_percent_and_all_of_the_image_occur():
    boxes = _boxes(400, 400)
    shares = boxes[:, 2] * boxes[:, 3] / 400**2
    assert 0.079 < shares.min() < 0.085 and shares.max() > 0.97
    ratios = boxes[:, 3] / boxes[:, 2]
    assert 0.74 < ratios.min() < 0.76 and 1.32 < ratios.max() < 1.35


@pytest.mark.parametrize(
    ("size", "box"), [((10, 1000), (0, 493, 10, 13)), ((1000, 10), (493, 0, 13, 10)), ((1, 90), (0, 44, 1, 1))]
)
def test_an_image_in_which_nothing_fits_gives_its_centre(size: tuple[int, int], box: tuple[int, ...]):
    """Where 8 % of the area, within the ratios, is higher or wider than the image."""
    assert np.array_equal(_boxes(*size, count=20), [box] * 20)


def test_places_reach_every_edge():
    boxes = _boxes(8, 8, count=2000)
    small = boxes[(boxes[:, 2] == 4) & (boxes[:, 3] == 4)]
    assert set(small[:, 0]) == set(small[:, 1]) == set(range(5))


def test_parts_of_a_batch_have_the_boxes_of_the_whole():
    sizes = tf.constant(np.random.default_rng(0).integers(20, 400, (30, 2)), tf.int32)
    seed = tf.constant([3, 4])
    whole = draw_boxes(seed, sizes)
    parts = [draw_boxes(seed, sizes[a:b], Rows(a, b - a, 30)) for a, b in ((0, 7), (7, 30))]
    assert np.array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, draw_boxes(tf.constant([3, 5]), sizes))


@pytest.mark.parametrize("size", [(60, 90), (200, 120), (16, 16), (31, 300)])
def test_scaling_is_pillows(size: tuple[int, int]):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize((40, 32), Image.Resampling.BILINEAR), np.float32)
    found = scale(tf.constant(pixels), 32, 40).numpy()
    assert found.dtype == np.float32 and found.shape == (32, 40, 3)
    assert np.abs(found - expected).max() < 1.1, "Pillow rounds, after each direction"
