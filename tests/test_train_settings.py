"""The settings of a training: the paper's numbers, schedules, and what is refused."""

from __future__ import annotations

import math

import pytest

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.training.settings import TrainSettings


def settings(**changes: object) -> TrainSettings:
    return TrainSettings(**{"genotype": "FairDARTS_a"} | changes)


def test_defaults_are_the_papers():
    paper = settings()
    assert (paper.layers, paper.init_channels, paper.batch_size, paper.epochs) == (20, 36, 96, 600)
    assert (paper.learning_rate, paper.momentum, paper.weight_decay, paper.gradient_clip) == (0.025, 0.9, 3e-4, 5)
    assert (paper.auxiliary_weight, paper.cutout, paper.drop_path, paper.drop_path_at) == (0.4, 16, 0.2, "node")


def test_the_cosine_is_half_a_cosine_from_epoch_to_epoch():
    assert settings().learning_rate_at(0) == 0.025
    assert settings().learning_rate_at(300) == pytest.approx(0.0125)
    assert settings().learning_rate_at(599) == pytest.approx(0.0125 * (1 + math.cos(math.pi * 599 / 600)))
    assert settings(learning_rate_min=0.01).learning_rate_at(300) == pytest.approx(0.0175)


def test_darts_rate_on_imagenet_falls_by_3_percent_an_epoch():
    imagenet = settings(schedule="exponential", learning_rate=0.1, learning_rate_decay=0.97)
    assert [imagenet.learning_rate_at(epoch) for epoch in (0, 1, 2)] == pytest.approx([0.1, 0.097, 0.09409])


def test_linear_and_constant():
    linear = settings(schedule="linear", learning_rate=0.5, epochs=250)
    assert linear.learning_rate_at(0) == 0.5 and linear.learning_rate_at(125) == pytest.approx(0.25)
    assert settings(schedule="constant").learning_rate_at(599) == 0.025


def test_the_warm_up_grows_to_the_rate_at_which_the_schedule_begins():
    warm = settings(warmup_epochs=5, epochs=105, schedule="linear", learning_rate=0.5)
    assert [warm.learning_rate_at(epoch) for epoch in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])
    assert warm.learning_rate_at(55) == pytest.approx(0.25)


def test_drop_path_grows_from_0_in_proportion():
    assert settings().drop_path_rate_at(0) == 0
    assert settings().drop_path_rate_at(300) == pytest.approx(0.1)
    assert settings().drop_path_rate_at(599) < 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genotype": ""}, "--genotype"),
        ({"drop_path": 1.0}, "--drop_path is 1.0"),
        ({"validation_portion": 0.95}, "--validation_portion"),
        ({"network": "cifr"}, "Did you mean 'cifar'"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"precision": "float16"}, "mixed_float16"),
        ({"learning_rate_min": 0.1}, "above --learning_rate"),
        ({"warmup_epochs": 600}, "leaves none"),
        ({"batch_size": 0}, "--batch_size is 0"),
        ({"learning_rate": float("nan")}, "--learning_rate is nan"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        settings(**changes)


def test_flags_say_every_setting():
    flags = settings(epochs=3, download=True).as_flags()
    assert flags["epochs"] == "3" and flags["download"] == "true" and flags["genotype"] == "FairDARTS_a"
