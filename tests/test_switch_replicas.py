"""The switches on two replicas against one device: the second order, penalties, random numbers, the curvature.

Batches are made of two equal halves, so that each replica's BatchNorm sees the statistics of the whole batch. Dropout
makes the halves differ; of it the random numbers themselves are compared.
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
from fairdarts_tf.curvature import AlphaHessian
from fairdarts_tf.perturbations import SearchPerturbations
from fairdarts_tf.search_run import build_search
from fairdarts_tf.settings import SearchSettings

PROJECT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow  # test_perturbations.py compares the random numbers of replicas without any.
SHAPE, CLASSES, BATCH = (8, 8, 1), 10, 8
SETTINGS = SearchSettings(
    init_channels=2,
    layers=3,
    nodes=1,
    operations=("none", "skip_connect", "sep_conv_3x3"),
    batch_size=BATCH,
    alpha_noise=0.5,
    learning_rate=0.05,
    unrolled=True,
    node_penalty=3.0,
    alpha_weight_decay=0.0,
)
Arrays = dict[str, np.ndarray]


def batch(seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(seed)
    images = random.normal(size=(BATCH // 2, *SHAPE)).astype(np.float32)
    labels = random.integers(0, CLASSES, BATCH // 2).astype(np.int32)
    return tf.constant(np.concatenate([images, images])), tf.constant(np.concatenate([labels, labels]))


def run(strategy: tf.distribute.Strategy) -> Arrays:
    """Returns the state after two steps, the metrics, random numbers and the curvature."""
    search, _ = build_search(SETTINGS, SHAPE, CLASSES, strategy)
    with strategy.scope():
        perturbations = SearchPerturbations(0, ["operation_dropout"])

    @tf.function(autograph=False)
    def step(pair: object) -> tf.Tensor:
        search.train_step(pair)
        return perturbations.at(search.optimizer.iterations, "train", pair[0][0]).draw.uniform([3])

    pairs = tf.data.Dataset.from_tensors((batch(0), batch(1))).unbatch().batch(BATCH).repeat(2)
    for pair in strategy.experimental_distribute_dataset(pairs):
        drawn = tf.concat(strategy.experimental_local_results(strategy.run(step, args=(pair,))), axis=0)
    variables = [*search.supernet.trainable_variables, *search.optimizer.variables, *search.alpha_optimizer.variables]
    found = {f"{index}/{variable.path}": np.array(variable.numpy()) for index, variable in enumerate(variables)}
    found |= {f"log/{metric.name}": np.array(metric.result()) for metric in search.metrics}
    hessian = AlphaHessian(search)
    return found | {"drawn": drawn.numpy(), "curvature": hessian.product(np.ones(hessian.size), batch(2))}


def main(output: str) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    one, two = (devices.strategy(name, BATCH) for name in ("none", "mirrored"))
    assert two.num_replicas_in_sync == 2
    arrays = {f"{way}|{name}": value for way, s in (("one", one), ("two", two)) for name, value in run(s).items()}
    np.savez(output, **arrays)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    """Runs this file as a program: logical devices must be set before TensorFlow starts."""
    output = tmp_path_factory.mktemp("replicas") / "found.npz"
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, __file__, str(output)], env=environment, check=True)
    with np.load(output) as arrays:
        return {
            way: {name.split("|")[1]: arrays[name] for name in arrays.files if name.startswith(way)}
            for way in ("one", "two")
        }


def test_two_replicas_compute_what_one_device_does(found: dict[str, Arrays]):
    one, two = found["one"], found["two"]
    assert set(one) == set(two) and "log/node_penalty" in one
    assert one["log/node_penalty"] > 0 and one["log/search_loss"] > 0
    for name, expected in one.items():
        if name != "drawn":
            np.testing.assert_allclose(two[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)


def test_replicas_draw_different_parts_of_what_one_device_draws(found: dict[str, Arrays]):
    np.testing.assert_array_equal(found["two"]["drawn"], found["one"]["drawn"])
    assert len(np.unique(found["one"]["drawn"])) == BATCH * 3


if __name__ == "__main__":
    main(sys.argv[1])
