"""A search in lower precision, and compiled by XLA, follows the search in float32."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny_search
import tiny_training

from fairdarts_tf.checkpoints import load_latest
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.search_run import build_search, run_search
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.training.run import build_training, run_training
from fairdarts_tf.training.settings import TrainSettings

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


@pytest.mark.parametrize("precision", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)])
def test_lower_precision_follows_float32(exact, precision):
    alphas, logs, _ = exact
    assert np.ptp(alphas) > 0.1, "the alphas have parted"
    found, found_logs, search = searched(precision=precision)
    correlation = np.corrcoef(alphas, found)[0, 1]
    print(f"{precision}: correlation of the alphas with float32's after {STEPS} steps {correlation:.6f}")
    assert correlation > 0.99
    assert found_logs["train_loss"] == pytest.approx(logs["train_loss"], rel=0.05)
    assert search.skipped_steps == (None if precision == "mixed_bfloat16" else 0)
    floats = [variable for variable in search.state_variables().values() if "float" in variable.dtype]
    assert {variable.dtype for variable in floats} == {"float32"}
    assert {layer.compute_dtype for layer in search.supernet.cells} == {precision.removeprefix("mixed_")}


@pytest.mark.slow
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


def test_xla_gives_the_same_numbers_for_a_training():
    cells = {"normal": (("skip_connect", 2, 0), ("sep_conv_3x3", 2, 1)), "reduce": (("max_pool_3x3", 2, 0),)}
    genotype = Genotype(**cells, normal_concat=(2,), reduce_concat=(2,))
    states = []
    for xla in (False, True):
        tiny = {"init_channels": 2, "layers": 3, "auxiliary_weight": 0.0, "gradient_clip": 0.5}
        training = build_training(TrainSettings(genotype="given", xla=xla, **tiny), genotype, SHAPE, CLASSES)
        logs = training.fit(batches().map(lambda train, _: train).take(3), verbose=0, shuffle=False).history
        assert training.jit_compile == xla
        state = {name: np.array(variable.numpy()) for name, variable in training.state_variables().items()}
        states.append(state | {name: np.array(values) for name, values in logs.items()})
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_xla_gives_the_same_numbers_for_a_small_supernet():
    small = {"operations": ("skip_connect", "sep_conv_3x3"), "nodes": 1, "init_channels": 2}
    assert_xla_changes_nothing(**small)


@pytest.mark.slow
def test_xla_gives_the_same_numbers():
    assert_xla_changes_nothing()


def assert_xla_changes_nothing(**changes: object) -> None:
    alphas, logs, _ = searched(steps=3, **changes)
    found, found_logs, search = searched(steps=3, xla=True, **changes)
    assert search.jit_compile
    np.testing.assert_allclose(found, alphas, rtol=0, atol=1e-5)
    assert found_logs == pytest.approx(logs, rel=1e-4)


class CrashError(Exception):
    """Stands for a kill: nothing gets a chance to save."""


@pytest.mark.parametrize("command", ["search", pytest.param("train", marks=pytest.mark.slow)])
def test_the_scale_and_the_skipped_steps_outlive_a_crash(command, tmp_path, monkeypatch):
    """The first scale overflows, so that the first steps are skipped and each halves it."""
    monkeypatch.setattr("fairdarts_tf.loss_scale.FIRST_SCALE", 2.0**21)
    begin = {"search": run_tiny_search, "train": run_tiny_training}[command]
    begin(tmp_path, "whole")
    count_step = Recorder.on_train_batch_end

    def crash(recorder, batch, logs=None):
        count_step(recorder, batch, logs)
        if recorder.step == 2:
            raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_end", crash)
        with pytest.raises(CrashError):
            begin(tmp_path, "crashed")
    interrupted = load_latest(tmp_path / "crashed" / "checkpoints")[0]
    begin(tmp_path, "crashed")
    whole, crashed = (load_latest(tmp_path / run / "checkpoints")[0] for run in ("whole", "crashed"))
    scales = [name for name in whole if name.endswith("loss_scale")]
    skips = [name for name in whole if name.endswith("skipped_steps") and name.startswith("state/")]
    assert len(scales) == len(skips) == (2 if command == "search" else 1)
    assert sum(int(whole[name]) for name in skips) > 0
    for name in scales:
        assert whole[name] == crashed[name] < interrupted[name] < 2.0**21
    columns = [_column(tmp_path / run, "skipped_steps") for run in ("whole", "crashed")]
    assert columns[0] == columns[1] and int(columns[0][-1]) == sum(int(whole[name]) for name in skips)


def run_tiny_search(folder: Path, run: str) -> None:
    run_search(tiny_search.tiny_settings(precision="mixed_float16", checkpoint_steps=1), folder / run)


def run_tiny_training(folder: Path, run: str) -> None:
    run_training(tiny_training.tiny_settings(folder, precision="mixed_float16"), folder / run)


def _column(run: Path, name: str) -> list[str]:
    with open(run / "history.csv", newline="", encoding="utf-8") as file:
        return [row[name] for row in csv.DictReader(file)]
