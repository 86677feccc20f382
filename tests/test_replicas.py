"""Two replicas whose BatchNorm is not synchronised, against one device; and batches that cannot be shared.

Batches are made of two equal halves, so that each replica's BatchNorm sees the statistics of the whole batch. Only the
running variance then differs, by the known factor between the unbiased variances of n and of 2 n values.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow as tf
from logical_devices import Arrays, run_program, save, set_logical_devices

from fairdarts_tf import devices
from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.normalization import MOMENTUM, BatchNormalization
from fairdarts_tf.search_run import build_search
from fairdarts_tf.settings import SearchSettings

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


def batches() -> tf.data.Dataset:
    random = np.random.default_rng(0)

    def half() -> tuple[np.ndarray, np.ndarray]:
        images = random.normal(size=(STEPS, BATCH // 2, *SHAPE)).astype(np.float32)
        labels = random.integers(0, CLASSES, (STEPS, BATCH // 2)).astype(np.int32)
        return np.concatenate([images, images], axis=1), np.concatenate([labels, labels], axis=1)

    return tf.data.Dataset.from_tensor_slices((half(), half()))


def run_steps(strategy: tf.distribute.Strategy) -> Arrays:
    """Returns the state after all steps, and the metrics."""
    search, _ = build_search(SETTINGS, SHAPE, CLASSES, strategy)
    logs = search.fit(batches(), verbose=0, shuffle=False).history
    return state(search) | {f"log/{name}": np.array(values[0]) for name, values in logs.items()}


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
    set_logical_devices(2)
    one, two = (devices.strategy(name, BATCH) for name in ("none", "mirrored"))
    assert two.num_replicas_in_sync == 2
    save(output, {"one": run_steps(one), "two": run_steps(two), "facts": counts_and_norm()})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    return run_program(__file__, tmp_path_factory.mktemp("replicas"))


def test_clipping_and_the_zero_one_loss_act(found: dict[str, Arrays]):
    assert found["facts"]["norm"] > 2 * CLIP
    assert found["one"]["log/zero_one"] < -1e-3


def test_state_and_logs_are_those_of_one_device(found: dict[str, Arrays]):
    expected = found["one"]
    names = [name for name in expected if "moving_variance" not in name]
    assert sum("moving_mean" in name for name in names) > 3
    assert sum("alphas" in name for name in names) >= 2
    assert {name for name in names if name.startswith("log/")} == {
        f"log/{half}_{value}" for half in ("train", "search") for value in ("loss", "accuracy")
    } | {"log/zero_one"}
    assert set(found["two"]) == set(expected)
    for name in names:
        np.testing.assert_allclose(found["two"][name], expected[name], rtol=0, atol=1e-5, err_msg=name)


def test_running_variances_differ_by_their_known_factor(found: dict[str, Arrays]):
    expected = found["one"]
    names = [name for name in expected if name.endswith("moving_variance")]
    assert len(names) > 3
    for name in names:
        count = found["facts"][f"count/{name.split('/', 1)[1]}"]
        factor = (count / 2 / (count / 2 - 1)) / (count / (count - 1))
        # A step has two forward passes in training mode, one on each half.
        start = MOMENTUM ** (2 * STEPS)
        np.testing.assert_allclose(
            found["two"][name] - start, (expected[name] - start) * factor, rtol=1e-5, atol=1e-5, err_msg=name
        )


def test_a_batch_that_replicas_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch):
    four = [tf.config.LogicalDevice(f"/device:GPU:{index}", "GPU") for index in range(4)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: four if kind == "GPU" else [])
    with pytest.raises(ConfigurationError, match="--batch_size=50 .* 4 replicas.* multiple of 4"):
        devices.strategy("auto", 50)
    assert devices.strategy("none", 50).num_replicas_in_sync == 1


if __name__ == "__main__":
    main(sys.argv[1])
