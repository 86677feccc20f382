"""NaN in a training, and on one replica of several: which step is named, and that a retry has half the rate."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from not_finite import with_nan
from tiny_training import arrays, tiny_flags, tiny_settings, train

from fairdarts_tf.checkpoints import list_checkpoints
from fairdarts_tf.data import pipeline
from fairdarts_tf.optimizers import MomentumSGD
from fairdarts_tf.training.run import run_training

PROJECT = Path(__file__).resolve().parents[1]


def test_the_step_is_named_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pipeline, "train_batches", with_nan(pipeline.train_batches, 2))
    assert train(*tiny_flags(tmp_path)) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    path = tmp_path / "run" / "not_finite-000000002.npz"
    assert "step 2 (epoch 1): NaN or infinity in the loss." in line and str(path) in line
    kept = arrays(path)
    assert np.isnan(kept["images"]).all() and kept["labels"].shape == (50,)
    assert kept["rates/weights"] == pytest.approx(0.025) and not [name for name in kept if "alphas" in name]
    assert [checkpoint.stem[-1] for checkpoint in list_checkpoints(tmp_path / "run" / "checkpoints")] == ["1"]


def test_a_retry_goes_back_within_the_epoch_with_half_the_rate(tmp_path, monkeypatch, capsys):
    """The gradient is NaN at the second step, unless the rate is below 0.02."""
    reduce_gradients = MomentumSGD._all_reduce_sum_gradients

    def overflowing(optimizer, pairs):
        overflows = (optimizer.iterations.value == 1) & (optimizer.learning_rate.value > 0.02)
        return reduce_gradients(optimizer, [(tf.where(overflows, float("nan"), g), v) for g, v in pairs])

    monkeypatch.setattr(MomentumSGD, "_all_reduce_sum_gradients", overflowing)
    result = run_training(tiny_settings(tmp_path, on_nan="retry"), tmp_path / "run")
    assert "from step 1 with half the learning rates" in capsys.readouterr().err
    assert [row["learning_rate"] for row in result.history.rows] == [0.0125, 0.00625]
    assert all(np.isfinite(row["train_loss"]) for row in result.history.rows)
    assert result.training.learning_rates() == {"weights": pytest.approx(0.00625)}
    with open(tmp_path / "run" / "retries.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {"failed_step": "2", "what": "the gradient", "went_back_to": "1", "rate_factor": "0.5"}


ON_TWO_REPLICAS = """
import tensorflow as tf
from fairdarts_tf.finite_check import FiniteCheck
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    check = FiniteCheck(["one", "other"])
def step():
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    check.note("one", tf.constant(1.0))
    check.note("other", tf.where(replica == 1, float("nan"), 1.0))
assert check.found() == ()
strategy.run(tf.function(step))
assert check.found() == ("other",), check.found()
check.reset()
assert check.found() == ()
"""


def test_a_nan_on_one_replica_of_two_is_found():
    subprocess.run([sys.executable, "-c", ON_TWO_REPLICAS], cwd=PROJECT, check=True)
