"""Some of the classes, and shares of the images: what a search of a part of a data set sees."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fairdarts_tf.data import LabelledImages, load_dataset, load_halves, search_parts, stratified_halves
from fairdarts_tf.data.selection import of_classes
from fairdarts_tf.errors import ConfigurationError, DataError
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.training.settings import TrainSettings

NAMES = tuple("abcdefghij")
LABELS = np.random.default_rng(0).integers(0, 10, 400).astype(np.int32)
# The pixels of an image are its number.
IMAGES = LabelledImages(
    np.broadcast_to(np.arange(400).reshape(-1, 1, 1, 1) % 256, (400, 2, 2, 1)).astype(np.uint8), LABELS, NAMES
)


def test_named_classes_keep_their_order_and_count_from_0():
    part = of_classes(IMAGES, ("h", "b", "c"))
    assert part.class_names == ("b", "c", "h")
    kept = np.flatnonzero(np.isin(LABELS, [1, 2, 7]))
    assert np.array_equal(part.images[:, 0, 0, 0], kept % 256)
    assert np.array_equal(np.array([1, 2, 7])[part.labels], LABELS[kept])
    assert part.labels.dtype == np.int32


def test_a_number_draws_the_same_classes_always_the_fewer_among_the_more():
    chosen = [of_classes(IMAGES, (str(count),)).class_names for count in range(2, 11)]
    assert [len(names) for names in chosen] == list(range(2, 11))
    assert all(set(fewer) < set(more) for fewer, more in zip(chosen, chosen[1:], strict=False))
    assert chosen[-1] == NAMES and all(list(names) == sorted(names) for names in chosen)
    assert chosen[2] == ("c", "e", "i", "j"), "a choice that changed would change every run that made it"
    assert of_classes(IMAGES, ()) is IMAGES and of_classes(IMAGES, ("10",)).images is IMAGES.images


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("a", "k"), "unknown class 'k'"),
        (("11",), "--classes=11, but the data set has 10"),
        (("1",), "from 2 to 10"),
        (("a",), "--classes=a"),
    ],
)
def test_classes_that_there_are_not(classes: tuple[str, ...], words: str):
    with pytest.raises(DataError, match=words) as caught:
        of_classes(IMAGES, classes)
    assert "\n" not in str(caught.value)


def test_classes_without_an_image():
    empty = LabelledImages(IMAGES.images, np.zeros(400, np.int32), NAMES)
    with pytest.raises(DataError, match="none of the images"):
        of_classes(empty, ("b", "c"))


@pytest.mark.parametrize(("train", "search"), [(0.1, 0.025), (0.3, 0.7), (0.5, 0.25)])
def test_both_shares_are_disjoint_and_stratified(train: float, search: float):
    first, second = search_parts(LABELS, train, search, seed=3)
    assert (len(first), len(second)) == (round(400 * train), round(400 * search))
    assert not set(first) & set(second)
    for part, share in ((first, train), (second, search)):
        assert np.abs(np.bincount(LABELS[part], minlength=10) - np.bincount(LABELS) * share).max() < 2.1
        assert np.array_equal(part, np.sort(part))
    assert np.array_equal(first, stratified_halves(LABELS, train, seed=3)[0])


def test_without_a_share_of_its_own_the_second_has_all_others():
    halves = stratified_halves(LABELS, 0.3, seed=1)
    assert all(map(np.array_equal, search_parts(LABELS, 0.3, 0.0, seed=1), halves))


def test_a_share_of_less_than_an_image():
    with pytest.raises(DataError, match="--search_portion"):
        search_parts(LABELS, 0.5, 0.001, seed=0)


def test_a_search_loads_its_own_images_and_no_others():
    settings = SearchSettings(
        dataset="digits", train_portion=0.1, search_portion=0.025, classes=("3", "7", "9"), seed=5
    )
    images, (train, search) = load_halves(settings)
    whole = of_classes(load_dataset("digits"), settings.classes)
    halves = search_parts(whole.labels, 0.1, 0.025, seed=5)
    assert images.class_names == ("3", "7", "9")
    assert len(images) == len(train) + len(search) == len(halves[0]) + len(halves[1])
    for part, of_whole in zip((train, search), halves, strict=True):
        assert np.array_equal(images.images[part], whole.images[of_whole])
        assert np.array_equal(images.labels[part], whole.labels[of_whole])


def test_a_margin_is_outside_of_what_a_network_sees():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 3), dtype=np.uint8)
    images = LabelledImages(pixels, np.zeros(3, np.int32), ("a",), image_size=4)
    assert images.image_shape == (4, 4, 3)
    assert np.array_equal(images.central(), pixels[:, 2:6, 2:6])
    assert np.array_equal(images.subset(np.array([2, 0])).central(np.array([1])), pixels[:1, 2:6, 2:6])
    assert load_dataset("digits", image_size=16, resize_size=20).images.shape == (1500, 20, 20, 1)
    with pytest.raises(DataError, match="no central square of 10"):
        LabelledImages(pixels, np.zeros(3, np.int32), ("a",), image_size=10)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"resize_size": 32}, "--resize_size=32 .* --image_size, which is 0"),
        ({"resize_size": 20, "image_size": 24}, "--resize_size is 20, below --image_size=24"),
        ({"storage": "disk"}, "--cache_dir"),
        ({"storage": "ram"}, "--storage"),
        ({"classes": ("1",)}, "--classes is '1'"),
        ({"classes": ("cat",)}, "at least two"),
        ({"color_jitter": 1.5}, "--color_jitter is 1.5"),
        ({"crop": "round"}, "--crop"),
    ],
)
@pytest.mark.parametrize("kind", [SearchSettings, TrainSettings])
def test_settings_that_contradict_each_other(kind: type, values: dict[str, object], words: str):
    settings = SearchSettings() if kind is SearchSettings else TrainSettings(genotype="FairDARTS_a")
    with pytest.raises(ConfigurationError, match=words):
        dataclasses.replace(settings, **values)


def test_shares_of_more_than_all():
    assert SearchSettings(train_portion=0.8, search_portion=0.2).search_portion == 0.2
    with pytest.raises(ConfigurationError, match="more than all"):
        SearchSettings(train_portion=0.8, search_portion=0.21)


def test_what_settings_offer_is_what_there_is():
    from fairdarts_tf import settings_checks
    from fairdarts_tf.data import storage

    assert settings_checks.STORAGES == storage.STORAGES
