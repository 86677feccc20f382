"""The switches of a search, all at once: recorded, resumed to the bit; and off, they add nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from test_search_essentials import CrashError, assert_equal_runs
from tiny_search import search, tiny_settings

from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.search_run import build_search, run_search

SWITCHES = {
    "relaxation": "softmax",
    "operations": ("none", "skip_connect", "sep_conv_3x3"),
    "skip_dropout": 0.4,
    "operation_dropout": 0.3,
    "operation_dropout_schedule": "constant",
    "skip_noise": "gaussian",
    "max_skips": 1,
    "average_last": 2,
    "checkpoint_steps": 1,
}
SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("switches")
    run_search(tiny_settings(**SWITCHES), workdir)
    return workdir


def crash_and_go_on(workdir: Path, monkeypatch: pytest.MonkeyPatch, **switches: object) -> None:
    count_step = Recorder.on_train_batch_end

    def crash(recorder, batch, logs=None):
        count_step(recorder, batch, logs)
        if recorder.step == 3:
            raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_end", crash)
        with pytest.raises(CrashError):
            run_search(tiny_settings(**switches), workdir)
    run_search(tiny_settings(**switches), workdir)


def test_all_switches_go_on_to_the_bit_after_a_crash(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    crash_and_go_on(tmp_path, monkeypatch, **SWITCHES)
    assert_equal_runs(finished, tmp_path)


@pytest.mark.slow
def test_the_second_order_goes_on_to_the_bit_too(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And is another search than the first order."""
    switches = SWITCHES | {"unrolled": True}
    run_search(tiny_settings(**switches), tmp_path / "whole")
    crash_and_go_on(tmp_path / "crashed", monkeypatch, **switches)
    assert_equal_runs(tmp_path / "whole", tmp_path / "crashed")
    with np.load(finished / "alphas.npz") as first, np.load(tmp_path / "whole" / "alphas.npz") as second:
        assert np.any(first["normal"] != second["normal"])


def test_switches_are_recorded_and_read_back(finished: Path, capsys: pytest.CaptureFixture[str]):
    flags = (finished / "flags.txt").read_text().splitlines()
    assert {"--skip_dropout=0.4", "--skip_noise=gaussian", "--max_skips=1"} <= set(flags)
    assert search(f"--workdir={finished}") == 0
    assert search(f"--workdir={finished}", "--skip_dropout=0.5") == 2
    assert "--skip_dropout=0.5 (the run has 0.4)" in capsys.readouterr().err


def test_the_genotype_is_that_of_the_mean_of_the_last_epochs(finished: Path):
    with np.load(finished / "history.npz") as history:
        alphas = {kind: history[kind].astype(np.float64) for kind in ("normal", "reduce")}
    powers = {kind: np.exp(table) for kind, table in alphas.items()}
    weights = {kind: (table / table.sum(axis=-1, keepdims=True)).mean(axis=0) for kind, table in powers.items()}
    found = Genotype.load(finished)
    for item in found.reduce:
        edge = item.source
        assert item.op == SWITCHES["operations"][1 + int(weights["reduce"][edge, 1:].argmax())]
    assert sum(item.op == "skip_connect" for item in found.normal) <= 1


def operations_of_a_step(**changes: object) -> Counter:
    model = build_search(tiny_settings(**changes), SHAPE, 10)[0]
    half = tf.TensorSpec((50, *SHAPE)), tf.TensorSpec((50,), tf.int32)
    graph = tf.function(model.train_step, autograph=False).get_concrete_function((half, half)).graph
    return Counter(operation.type for operation in graph.get_operations())


def test_off_they_add_no_operation_and_on_they_do():
    """A search whose switches are off has the graph of one that has never heard of them."""
    off = operations_of_a_step()
    assert not [kind for kind in off if "Random" in kind]
    assert off == operations_of_a_step(
        max_skips=3, average_last=5, skip_noise_scale=2.0, skip_dropout_schedule="rising"
    )
    on = operations_of_a_step(skip_dropout=0.1)
    assert any("Random" in kind for kind in on) and on.total() > off.total()


def test_an_alpha_step_and_a_weight_step_are_both_disturbed():
    """And with the same numbers in a step that is repeated."""
    model = build_search(tiny_settings(operation_dropout=0.5, operations=("sep_conv_3x3",)), SHAPE, 10)[0]
    random = np.random.default_rng(0)
    batch = tf.constant(random.normal(size=(50, *SHAPE)), tf.float32), tf.constant(random.integers(0, 10, 50), tf.int32)

    def gradients(rate: float) -> list[np.ndarray]:
        model.perturbations.set_strengths({"operation_dropout": rate})
        found = [model.alpha_gradients(batch), model.weight_gradients(batch)]
        return [np.concatenate([np.ravel(gradient) for gradient in half]) for half in found]

    undisturbed, disturbed, again = gradients(0.0), gradients(0.5), gradients(0.5)
    for half in range(2):
        assert np.any(undisturbed[half] != disturbed[half])
        np.testing.assert_array_equal(disturbed[half], again[half])
    plain = build_search(tiny_settings(operations=("sep_conv_3x3",)), SHAPE, 10)[0]
    assert isinstance(plain, Search) and plain.perturbations is None
    for variable, other in zip(plain.supernet.variables, model.supernet.variables, strict=True):
        variable.assign(other)
    np.testing.assert_allclose(
        np.concatenate([np.ravel(gradient) for gradient in plain.alpha_gradients(batch)]), undisturbed[0], atol=1e-6
    )


def test_the_node_penalty_is_reported_and_lifts_the_strongest_operation_of_each_node():
    """From a common start, with nothing else that the alphas descend but the cross-entropy."""
    options = {"zero_one": "none", "alpha_learning_rate": 0.25, "alpha_weight_decay": 0.0}
    random = np.random.default_rng(0)
    batch = tf.constant(random.normal(size=(50, *SHAPE)), tf.float32), tf.constant(random.integers(0, 10, 50), tf.int32)
    model = build_search(tiny_settings(node_penalty=100.0, **options), SHAPE, 10)[0]
    for table in model.supernet.alphas.values():
        table.assign([[0.5, 0.0], [0.0, 0.1]])
    for _ in range(8):
        metrics = model.train_step((batch, batch))
    strongest = [table[0, 0] for table in model.mixing_weights().values()]
    assert min(strongest) >= 0.84
    assert 0 <= float(metrics["node_penalty"]) < 0.85 - 1 / (1 + np.exp(-0.5))
    assert "node_penalty" not in build_search(tiny_settings(**options), SHAPE, 10)[0].get_metrics_result()
