"""Values of another type than a setting's: what may stand for it, and what is said of the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fairdarts_tf.benchmarking.data_settings import DataMeasurement
from fairdarts_tf.benchmarking.settings import BenchmarkSettings
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.random_search.settings import RandomSearchSettings
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces.darts import DartsSpace
from fairdarts_tf.spaces.mobile import MobileSpace
from fairdarts_tf.training.settings import TrainSettings
from fairdarts_tf.tuning.settings import TuningSettings

ALL = (
    BenchmarkSettings,
    DartsSpace,
    DataMeasurement,
    MobileSpace,
    RandomSearchSettings,
    SearchSettings,
    TrainSettings,
    TuningSettings,
)


@pytest.mark.parametrize("settings", ALL)
def test_every_field_refuses_what_is_of_another_type(settings: type):
    for field in dataclasses.fields(settings):
        wrong = "skip_connect" if isinstance(field.default, tuple) else None
        for value in (wrong, 3j):
            with pytest.raises(ConfigurationError, match=rf"^--{field.name} is .* \(\w+\), but must be"):
                settings(**{field.name: value})


@pytest.mark.parametrize(
    ("settings", "name", "value", "message"),
    [
        (SearchSettings, "epochs", "1", "--epochs is '1' (str), but must be a whole number."),
        (TrainSettings, "epochs", 1.5, "--epochs is 1.5 (float), but must be a whole number."),
        (SearchSettings, "epochs", True, "--epochs is True (bool), but must be a whole number."),
        (SearchSettings, "learning_rate", "fast", "--learning_rate is 'fast' (str), but must be a number."),
        (SearchSettings, "momentum", True, "--momentum is True (bool), but must be a number."),
        (SearchSettings, "xla", 1, "--xla is 1 (int), but must be true or false."),
        (SearchSettings, "zero_one", None, "--zero_one is None (NoneType), but must be a text."),
        (SearchSettings, "classes", (3, 5), "--classes is (3, 5) (tuple), but must be a list of texts."),
        (DartsSpace, "operations", "none", "--operations is 'none' (str), but must be a list."),
        (DartsSpace, "nodes", 1.5, "--nodes is 1.5 (float), but must be a whole number."),
        (MobileSpace, "mobile_widths", 8, "--mobile_widths is 8 (int), but must be a list."),
        (MobileSpace, "mobile_kernels", (3.5,), "--mobile_kernels is '3.5', but must be whole numbers"),
        (TuningSettings, "tune", "threshold", "--tune is 'threshold' (str), but must be a list."),
    ],
)
def test_the_message_says_what_was_given_and_expected(settings: type, name: str, value: object, message: str):
    with pytest.raises(ConfigurationError) as error:
        settings(**{name: value})
    assert str(error.value).startswith(message)


def test_what_stands_for_a_type_becomes_one():
    settings = SearchSettings(
        learning_rate=np.float32(0.5),
        gradient_clip=3,
        epochs=np.int64(4),
        download=np.bool_(True),
        operations=["none", "skip_connect"],
        mobile_widths=np.array([8, 16]),
    )
    expected = SearchSettings(
        learning_rate=0.5,
        gradient_clip=3.0,
        epochs=4,
        download=True,
        operations=("none", "skip_connect"),
        mobile_widths=(8, 16),
    )
    assert settings == expected
    assert settings.as_flags() == expected.as_flags()
    assert type(settings.learning_rate) is float and type(settings.epochs) is int and settings.download is True


def test_a_path_stays_a_path():
    assert TrainSettings(genotype=Path("FairDARTS_a")).named_genotype == Path("FairDARTS_a")
