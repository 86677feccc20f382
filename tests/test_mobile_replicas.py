"""A search in space S2 on two replicas against one device, in each mode that saves memory.

Batches are made of two equal halves, so that each replica's BatchNorm sees the statistics of the whole batch; those of
a part of an accumulated batch as well, since parts are of equal images.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import tensorflow as tf
from logical_devices import Arrays, replicas, run_program, save, set_logical_devices
from tiny_mobile import FIELDS

from fairdarts_tf.search_run import build_search
from fairdarts_tf.settings import SearchSettings

SHAPE, CLASSES, BATCH, STEPS = (8, 8, 1), 10, 8, 3
SETTINGS = SearchSettings(
    space="mobile",
    **FIELDS
    | {"mobile_widths": (3,), "mobile_depths": (2,), "mobile_strides": (2,)}
    | {"mobile_kernels": (3,), "mobile_expansions": (1, 2)},
    batch_size=BATCH,
    alpha_noise=0.5,
    learning_rate=0.05,
)
MODES: dict[str, dict[str, object]] = {
    "plain": {},
    "rematerialize": {"rematerialize": True},
    "accumulate": {"accumulate": 2},
    "sampled_paths": {"sampled_paths": 2},
    "skip_noise": {"skip_noise": "gaussian", "rematerialize": True, "accumulate": 2},
}


def batches() -> tf.data.Dataset:
    """Each replica's half, and each part of it, holds the same images in the same order."""
    random = np.random.default_rng(0)

    def half() -> tuple[np.ndarray, np.ndarray]:
        images = random.normal(size=(STEPS, BATCH // 4, *SHAPE)).astype(np.float32)
        labels = random.integers(0, CLASSES, (STEPS, BATCH // 4)).astype(np.int32)
        return np.concatenate([images] * 4, axis=1), np.concatenate([labels] * 4, axis=1)

    return tf.data.Dataset.from_tensor_slices((half(), half()))


def run_steps(mode: str, count: int) -> Arrays:
    search, _ = build_search(dataclasses.replace(SETTINGS, **MODES[mode]), SHAPE, CLASSES, replicas(count))
    if search.perturbations is not None:
        # Noise differs from image to image, so BatchNorm's statistics too: only where it is 0 are all halves equal.
        search.perturbations.set_strengths({"skip_noise": 0.0})
    search.fit(batches(), verbose=0, shuffle=False)
    variables = [*search.supernet.network_weights, *search.supernet.alphas.values()]
    means = [v for v in search.supernet.variables if v.name == "moving_mean"]
    return {f"{index}/{v.path}": np.array(v.numpy()) for index, v in enumerate([*variables, *means])}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    return run_program(__file__, tmp_path_factory.mktemp("replicas"))


@pytest.mark.parametrize("mode", MODES)
def test_two_replicas_are_one_device(found, mode):
    one, two = found[f"{mode} 1"], found[f"{mode} 2"]
    assert set(one) == set(two)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


if __name__ == "__main__":
    set_logical_devices(2)
    save(sys.argv[1], {f"{mode} {count}": run_steps(mode, count) for mode in MODES for count in (1, 2)})
