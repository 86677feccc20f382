"""Two replicas, each step called through the strategy, against one device; and batches that cannot be shared.

Batches are made of two equal halves, so that each replica's BatchNorm sees the statistics of the whole batch. Only the
running variance then differs, by the known factor between the unbiased variances of n and of 2 n values.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf import devices
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.normalization import MOMENTUM, BatchNormalization
from fairdarts_tf.search import Search
from fairdarts_tf.search_run import build_search
from fairdarts_tf.settings import SearchSettings

PROJECT = Path(__file__).resolve().parents[1]
SHAPE, CLASSES, BATCH, STEPS = (8, 8, 1), 10, 8, 4
CLIP = 0.05
SETTINGS = SearchSettings(
    init_channels=2,
    layers=3,
    nodes=1,
    operations=("skip_connect", "sep_conv_3x3"),
    batch_size=BATCH,
    alpha_noise=0.5,
    gradient_clip=CLIP,
    learning_rate=0.05,
)
Arrays = dict[str, np.ndarray]


def batches() -> tf.data.Dataset:
    random = np.random.default_rng(0)

    def half() -> tuple[np.ndarray, np.ndarray]:
        images = random.normal(size=(STEPS, BATCH // 2, *SHAPE)).astype(np.float32)
        labels = random.integers(0, CLASSES, (STEPS, BATCH // 2)).astype(np.int32)
        return np.concatenate([images, images], axis=1), np.concatenate([labels, labels], axis=1)

    return tf.data.Dataset.from_tensor_slices((half(), half()))


def run_steps(strategy: tf.distribute.Strategy, by_fit: bool) -> Arrays:
    """Returns the state after all steps, and the metrics."""
    search, _ = build_search(SETTINGS, SHAPE, CLASSES, strategy)
    if by_fit:
        logs = search.fit(batches(), verbose=0, shuffle=False).history
        return state(search) | {f"log/{name}": np.array(values[0]) for name, values in logs.items()}
    step = tf.function(lambda pair: strategy.run(search.train_step, args=(pair,)))
    for pair in strategy.experimental_distribute_dataset(batches()):
        step(pair)
    return state(search) | {f"log/{metric.name}": np.array(metric.result()) for metric in search.metrics}


def state(search: Search) -> Arrays:
    variables = [*search.supernet.variables, *search.optimizer.variables, *search.alpha_optimizer.variables]
    return {f"{index}/{variable.path}": np.array(variable.numpy()) for index, variable in enumerate(variables)}


def counts_and_norm() -> Arrays:
    """Returns how many values each running variance comes from, and the norm of the first weights' gradient."""
    search, _ = build_search(SETTINGS, SHAPE, CLASSES)
    counts: dict[str, int] = {}
    original = BatchNormalization.call

    def counting(self: BatchNormalization, inputs: list[tf.Tensor], **options: object) -> list[tf.Tensor]:
        counts[self.moving_variance.path] = int(np.prod(inputs[0].shape[:3]))
        return original(self, inputs, **options)

    training_batch, _ = next(iter(batches()))
    BatchNormalization.call = counting
    search.supernet(
        training_batch[0], training=False
    )  # every BatchNorm by itself; in training some are parts of chains
    BatchNormalization.call = original
    norm = tf.linalg.global_norm(search.weight_gradients(training_batch))
    return {f"count/{path}": np.array(count) for path, count in counts.items()} | {"norm": norm.numpy()}


def main(output: str) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    one, two = (devices.strategy(name, BATCH) for name in ("none", "mirrored"))
    assert two.num_replicas_in_sync == 2
    found = {"fit on one": run_steps(one, True), "fit": run_steps(two, True), "run": run_steps(two, False)}
    arrays = {f"{way}|{name}": value for way, values in found.items() for name, value in values.items()}
    np.savez(output, **arrays, **{f"facts|{name}": value for name, value in counts_and_norm().items()})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    """Runs this file as a program: logical devices must be set before TensorFlow starts."""
    output = tmp_path_factory.mktemp("replicas") / "found.npz"
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, __file__, str(output)], env=environment, check=True)
    ways: dict[str, Arrays] = {}
    with np.load(output) as arrays:
        for name in arrays.files:
            way, name_in_way = name.split("|")
            ways.setdefault(way, {})[name_in_way] = arrays[name]
    return ways


def test_clipping_and_the_zero_one_loss_act(found: dict[str, Arrays]):
    assert found["facts"]["norm"] > 2 * CLIP
    assert found["fit on one"]["log/zero_one"] < -1e-3


@pytest.mark.parametrize("way", ["fit", "run"])
def test_state_and_logs_are_those_of_one_device(found: dict[str, Arrays], way: str):
    expected = found["fit on one"]
    names = [name for name in expected if "moving_variance" not in name]
    assert sum("moving_mean" in name for name in names) > 3
    assert sum("alphas" in name for name in names) >= 2
    assert {name for name in names if name.startswith("log/")} == {
        f"log/{half}_{value}" for half in ("train", "search") for value in ("loss", "accuracy")
    } | {"log/zero_one"}
    assert set(found[way]) == set(expected)
    for name in names:
        np.testing.assert_allclose(found[way][name], expected[name], rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("way", ["fit", "run"])
def test_running_variances_differ_by_their_known_factor(found: dict[str, Arrays], way: str):
    expected = found["fit on one"]
    names = [name for name in expected if name.endswith("moving_variance")]
    assert len(names) > 3
    for name in names:
        count = found["facts"][f"count/{name.split('/', 1)[1]}"]
        factor = (count / 2 / (count / 2 - 1)) / (count / (count - 1))
        # A step has two forward passes in training mode, one on each half.
        start = MOMENTUM ** (2 * STEPS)
        np.testing.assert_allclose(
            found[way][name] - start, (expected[name] - start) * factor, rtol=1e-5, atol=1e-5, err_msg=name
        )


def test_a_batch_that_replicas_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch):
    four = [tf.config.LogicalDevice(f"/device:GPU:{index}", "GPU") for index in range(4)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: four if kind == "GPU" else [])
    with pytest.raises(ConfigurationError, match="--batch_size=50 .* 4 replicas.* multiple of 4"):
        devices.strategy("auto", 50)
    assert devices.strategy("none", 50).num_replicas_in_sync == 1


if __name__ == "__main__":
    main(sys.argv[1])
