"""Which flags are tuned: what ``--tune`` says, what it may not say, and what becomes of a trial's numbers."""

from __future__ import annotations

import dataclasses

import keras_tuner
import numpy as np
import pytest

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.training.settings import TrainSettings
from fairdarts_tf.tuning.plan import check_search_tuning, check_train_tuning, train_settings
from fairdarts_tf.tuning.tuned import SEARCH_TUNED, TRAIN_TUNED, Tuned, read_tuned, tuned_values


def read(*texts: str) -> tuple[Tuned, ...]:
    return read_tuned(texts, SEARCH_TUNED, SearchSettings)


def test_forms():
    by_name = {one.name: one for one in SEARCH_TUNED}
    assert read() == SEARCH_TUNED
    assert read("threshold") == (by_name["threshold"],)
    assert read("zero_one_weight:1:30:log", "threshold:0.6:0.95") == (
        Tuned("zero_one_weight", 1, 30, "log"),
        Tuned("threshold", 0.6, 0.95),
    )
    assert read("layers:5:8:3", "zero_one:l2|l1", "single_level:true|false") == (
        Tuned("layers", 5, 8, step=3),
        Tuned("zero_one", values=("l2", "l1")),
        Tuned("single_level", values=("true", "false")),
    )


@pytest.mark.parametrize("one", [*SEARCH_TUNED, *TRAIN_TUNED], ids=str)
def test_the_tables_hold_the_papers_values_and_can_be_written(one: Tuned):
    settings = SearchSettings if one in SEARCH_TUNED else TrainSettings
    default = next(field.default for field in dataclasses.fields(settings) if field.name == one.name)
    assert one.least <= default <= one.most and one.source
    (again,) = read_tuned([str(one)], (), settings)
    assert dataclasses.replace(again, source=one.source) == one


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("thresold", "unknown flag 'thresold'. Did you mean 'threshold'?"),
        ("seed", "no bounds are known of this flag"),
        ("threshold:0.9:0.6", "the least, 0.9, is not below the most, 0.6"),
        ("threshold:0.6", "expected NAME"),
        ("threshold:a:b", "expected NAME"),
        ("threshold:0:inf", "expected NAME"),
        ("threshold:0.6:0.9:log:0.1", "expected NAME"),
        ("threshold:0.6:0.9:0.5", "the step, 0.5, does not fit"),
        ("learning_rate:0:1:log", "begin above it"),
        ("layers:3:4.5", "--layers is a whole number"),
        ("zero_one:1:2", "--zero_one is no number"),
        ("zero_one:l2|", "expected NAME"),
        ("single_level:yes|no", "must be true or false"),
        ("operations:skip_connect|sep_conv_3x3", "expected NAME"),
        ("threshold,threshold", "names threshold twice"),
    ],
)
def test_refused_forms(text: str, words: str):
    with pytest.raises(ConfigurationError) as error:
        read(*text.split(","))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threshold:0.5:1.2", "as with --threshold=1.2: --threshold is 1.2, but must be from 0 to 1"),
        ("learning_rate:0.0005:0.1", "--learning_rate_min is 0.001, above --learning_rate=0.0005"),
        ("zero_one:l2|l3", "unknown value 'l3'"),
        ("mobile_first_width:8:16", "is of --space=mobile, not of --space=darts"),
    ],
)
def test_bounds_that_no_search_can_have(text: str, words: str):
    with pytest.raises(ConfigurationError) as error:
        check_search_tuning(SearchSettings(), read(text))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("threshold",), "the least, 0, is not below the most, 0"),
        (("threshold", 0.8, 0.5), "--tune=threshold:0.8:0.5: the least, 0.8, is not below the most, 0.5"),
        (("threshold", "a", "b"), "Tuned('threshold'): least is 'a' (str), but must be a number"),
        (("threshold", 0, float("inf")), "expected NAME"),
        (("learning_rate", 0, 1, "log"), "begin above it"),
        (("learning_rate", 0.1, 1, "logg"), "unknown scale 'logg'. Did you mean 'log'?"),
        (("threshold", 0.6, 0.9, "linear", 0.5), "the step, 0.5, does not fit"),
    ],
)
def test_refused_bounds(arguments: tuple[object, ...], words: str):
    with pytest.raises(ConfigurationError) as error:
        Tuned(*arguments)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("tuned", "words"),
    [
        ([Tuned("treshold", 0.6, 0.9)], "unknown flag 'treshold'. Did you mean 'threshold'?"),
        (["threshold"], "tuned is ['threshold'], but must be a list, as [Tuned("),
        (Tuned("threshold", 0.6, 0.9), "but must be a list, as [Tuned("),
    ],
)
def test_what_no_search_has_is_not_tuned(tuned: object, words: str):
    with pytest.raises(ConfigurationError) as error:
        check_search_tuning(SearchSettings(), tuned)
    assert words in str(error.value)


def test_values_may_be_numbers():
    assert Tuned("layers", values=[5, 8]) == Tuned("layers", values=("5", "8"))


def test_two_bounds_that_do_not_go_together():
    tuned = read("learning_rate:0.002:0.1", "learning_rate_min:0.001:0.01")
    with pytest.raises(ConfigurationError, match="--learning_rate=0.002, --learning_rate_min=0.01"):
        check_search_tuning(SearchSettings(), tuned)


def test_what_another_space_has_is_not_tuned_by_default():
    names = [one.name for one in check_search_tuning(SearchSettings(space="mobile"))]
    assert names == [one.name for one in SEARCH_TUNED if one.name != "init_channels"]
    assert check_search_tuning(SearchSettings()) == SEARCH_TUNED
    assert check_train_tuning(TrainSettings(genotype="FairDARTS_a")) == TRAIN_TUNED


def test_values_have_their_types_and_four_digits():
    tuned = read("zero_one_weight:1:30:log", "init_channels", "zero_one:l2|l1", "single_level:true|false")
    hp = keras_tuner.HyperParameters()
    hp.values = {
        "zero_one_weight": 3.14159265,
        "init_channels": np.int64(16),
        "zero_one": "l1",
        "single_level": "false",
    }
    values = tuned_values(tuned, hp, SearchSettings)
    assert values == {"zero_one_weight": 3.142, "init_channels": 16, "zero_one": "l1", "single_level": False}
    assert type(values["init_channels"]) is int
    # A chief sends numbers in 32 bits.
    hp.values["zero_one_weight"] = float(np.float32(3.14159265))
    assert tuned_values(tuned, hp, SearchSettings) == values


def test_the_short_training_has_the_searchs_images():
    search = SearchSettings(dataset="folder:x", image_size=8, seed=3)
    found = train_settings(search, {"epochs": 2})
    assert (found.dataset, found.image_size, found.seed, found.epochs) == ("folder:x", 8, 3, 2)
    with pytest.raises(ConfigurationError, match="seed is no setting of the short training"):
        train_settings(search, {"seed": 1})
