"""A search in lower precision, and compiled by XLA, follows the search in float32."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from fairdarts_tf.search_run import build_search
from fairdarts_tf.settings import SearchSettings

SHAPE, CLASSES, BATCH, STEPS = (8, 8, 3), 4, 64, 30
OPERATIONS = ("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")


def settings(**changes: object) -> SearchSettings:
    tiny = {"init_channels": 4, "layers": 3, "nodes": 2, "operations": OPERATIONS, "batch_size": BATCH}
    return SearchSettings(**tiny | changes)


def batches() -> tf.data.Dataset:
    """Returns images whose class shows in their brightness by quadrant, so that there is something to learn."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, (STEPS, 2 * BATCH)).astype(np.int32)
    images = random.normal(size=(STEPS, 2 * BATCH, *SHAPE)).astype(np.float32)
    rows, columns = labels // 2 * 4, labels % 2 * 4
    for index in np.ndindex(labels.shape):
        images[index][rows[index] : rows[index] + 4, columns[index] : columns[index] + 4] += 2
    halves = [(images[:, part], labels[:, part]) for part in (slice(BATCH), slice(BATCH, None))]
    return tf.data.Dataset.from_tensor_slices(tuple(halves))


def searched(steps: int = STEPS, **changes: object) -> tuple[np.ndarray, dict[str, float], object]:
    search, _ = build_search(settings(**changes), SHAPE, CLASSES)
    logs = search.fit(batches().take(steps), verbose=0, shuffle=False).history
    alphas = np.concatenate([table.ravel() for table in search.alphas().values()])
    return alphas, {name: values[-1] for name, values in logs.items()}, search


@pytest.fixture(scope="module")
def exact() -> tuple[np.ndarray, dict[str, float], object]:
    return searched()


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_lower_precision_follows_float32(exact, precision):
    alphas, logs, _ = exact
    assert np.ptp(alphas) > 0.1, "the alphas have parted"
    found, found_logs, search = searched(precision=precision)
    assert np.corrcoef(alphas, found)[0, 1] > 0.99
    assert found_logs["train_loss"] == pytest.approx(logs["train_loss"], rel=0.05)
    assert search.skipped_steps == (None if precision == "mixed_bfloat16" else 0)
    floats = [variable for variable in search.state_variables().values() if "float" in variable.dtype]
    assert {variable.dtype for variable in floats} == {"float32"}
    assert {layer.compute_dtype for layer in search.supernet.cells} == {precision.removeprefix("mixed_")}


def test_single_level_in_float16_applies_one_gradient_to_both():
    exact, *_ = searched_on_one_level("float32")
    found, search = searched_on_one_level("mixed_float16")
    assert np.corrcoef(exact, found)[0, 1] > 0.99
    assert search.skipped_steps == 0


def searched_on_one_level(precision: str) -> tuple[np.ndarray, object]:
    search, _ = build_search(settings(precision=precision, single_level=True), SHAPE, CLASSES)
    search.fit(batches().map(lambda train, _: train).take(10), verbose=0, shuffle=False)
    return np.concatenate([table.ravel() for table in search.alphas().values()]), search


def test_an_overflow_in_one_half_skips_that_update_alone():
    search, _ = build_search(settings(precision="mixed_float16"), SHAPE, CLASSES)
    search.alpha_optimizer.loss_scale.scale.assign(float("inf"))
    before = {name: np.array(variable.numpy()) for name, variable in search.state_variables().items()}
    search.train_step(next(iter(batches())))
    after = search.state_variables()
    assert all(np.array_equal(before[name], after[name].numpy()) for name in before if "alphas_" in name)
    assert any(not np.array_equal(before[name], after[name].numpy()) for name in before if name.endswith("kernel"))
    assert int(search.alpha_optimizer.loss_scale.skipped_steps) == 1 and search.skipped_steps == 1


@pytest.mark.slow
def test_xla_gives_the_same_numbers():
    alphas, logs, _ = searched(steps=3)
    found, found_logs, _ = searched(steps=3, xla=True)
    np.testing.assert_allclose(found, alphas, rtol=0, atol=1e-5)
    assert found_logs == pytest.approx(logs, rel=1e-4)
