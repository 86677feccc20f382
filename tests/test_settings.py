"""The settings of a search and the flags made of them."""

from __future__ import annotations

import dataclasses

import pytest
from absl import flags

from fairdarts_tf.cli.search import COMMAND
from fairdarts_tf.cli.settings_flags import define_flags, read_settings
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.settings import SearchSettings

CHANGED = SearchSettings(
    dataset="cifar10", download=True, operations=("none", "skip_connect"), learning_rate=1e-2, seed=4, single_level=True
)


def parse(*arguments: str, recorded: dict[str, str] | None = None) -> SearchSettings:
    values = flags.FlagValues()
    define_flags(SearchSettings, {}, "search", values)
    values(["search", *arguments])
    return read_settings(SearchSettings, values, recorded)


def test_every_setting_is_a_flag_with_a_description_and_the_same_default():
    assert parse() == SearchSettings()
    for field in dataclasses.fields(SearchSettings):
        assert len(COMMAND.flags[field.name].help) > 10


def test_flags_repeat_the_settings():
    assert parse(*[f"--{name}={value}" for name, value in CHANGED.as_flags().items()]) == CHANGED


def test_recorded_settings_stand_for_flags_that_are_not_given():
    assert parse(recorded=CHANGED.as_flags()) == CHANGED
    assert parse("--seed=9", recorded=CHANGED.as_flags()) == dataclasses.replace(CHANGED, seed=9)
    # Also where the flag given is the default.
    assert parse("--nodownload", recorded=CHANGED.as_flags()).download is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_portion", 0.0),
        ("train_portion", 1.0),
        ("image_size", -1),
        ("nodes", 0),
        ("init_channels", 1),
        ("layers", 2),
        ("zero_one_weight", -0.1),
        ("epochs", 0),
        ("steps_per_epoch", -1),
        ("batch_size", 0),
        ("learning_rate", -1e-3),
        ("learning_rate", float("nan")),
        ("alpha_learning_rate", float("inf")),
        ("momentum", 1.5),
        ("alpha_beta_1", 1.0),
        ("threshold", 1.01),
        ("seed", -1),
        ("seed", 2**31),
        ("checkpoint_steps", -1),
        ("zero_one", "L2"),
        ("relaxation", ""),
        ("method", "fair"),
        ("strategy", "gpu"),
    ],
)
def test_values_outside_their_range_name_their_flag(name: str, value: object):
    with pytest.raises(ConfigurationError, match=f"--{name}"):
        SearchSettings(**{name: value})


def test_settings_that_contradict_each_other():
    with pytest.raises(ConfigurationError, match="--learning_rate_min"):
        SearchSettings(learning_rate=0.1, learning_rate_min=0.2)
    with pytest.raises(ConfigurationError, match="--warmup_epochs"):
        SearchSettings(epochs=3, warmup_epochs=3)


def test_the_rate_falls_by_a_cosine_and_stays_above_its_minimum():
    settings = SearchSettings(learning_rate=0.9, learning_rate_min=0.1, epochs=6)
    rates = [settings.learning_rate_at(epoch) for epoch in range(6)]
    expected = [0.9, 0.84641016, 0.7, 0.5, 0.3, 0.15358984]
    assert rates == pytest.approx(expected)
