"""A search, its views and its network in a few calls, as a notebook makes them."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import keras
import numpy as np
import pytest

import fairdarts_tf as fd
from fairdarts_tf import live_view
from fairdarts_tf.alphas import load_alphas
from fairdarts_tf.derivation import derive
from fairdarts_tf.errors import ConfigurationError, DataError, GenotypeError, RunError
from fairdarts_tf.export.classifier import export_classifier
from fairdarts_tf.history import History
from fairdarts_tf.relaxations import RELAXATIONS
from fairdarts_tf.search_recorder import SearchRecorder
from fairdarts_tf.search_result import SearchResult
from fairdarts_tf.settings import SearchSettings
from tests.tiny_search import without_pictures
from tests.tiny_training import GENOTYPE
from tests.tiny_training import TINY as TINY_TRAINING

OPERATIONS = ("skip_connect", "sep_conv_3x3")
SPACE = fd.DartsSpace(OPERATIONS, nodes=2, init_channels=2, layers=3)
TINY = {"batch_size": 50, "steps_per_epoch": 2, "epochs": 2}
MOBILE = fd.MobileGenotype(
    stages=[(4, 1, ["mbconv3_3x3", "skip_connect"])], stem_width=4, stem_stride=1, first_width=4, head_width=8
)


def quiet(so_far: SearchResult) -> None:
    pass


@pytest.fixture(scope="module")
def digits() -> fd.LabelledImages:
    return fd.load_dataset("digits")


@pytest.fixture(scope="module")
def seen() -> list[int]:
    """The epochs that the search's watcher saw."""
    return []


@pytest.fixture(scope="module")
def search(digits: fd.LabelledImages, seen: list[int], tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    """A search on images in memory, after which no operation has reached the threshold."""
    with pytest.MonkeyPatch.context() as patch:
        without_pictures(patch)
        workdir = tmp_path_factory.mktemp("runs") / "search"
        watch = lambda so_far: seen.append(len(so_far.history.rows))  # noqa: E731
        with contextlib.redirect_stderr(io.StringIO()) as said:
            found = fd.search(digits, SPACE, workdir=workdir, on_epoch=watch, threshold=1.0, **TINY)
        assert 'derive(method="darts")' in said.getvalue()
        return found


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pictures(monkeypatch)


def test_a_search_tells_each_epoch(search: SearchResult, seen: list[int]):
    assert seen == [1, 2]


def test_images_in_memory_are_searched_on_as_those_by_name(search: SearchResult, tmp_path: Path, no_pictures: None):
    by_name = fd.search("digits", SPACE, workdir=tmp_path, on_epoch=quiet, method="darts", **TINY)
    assert by_name.genotype == search.derive(method="darts")
    assert by_name.settings.dataset == "digits"
    for kind, table in search.alphas.items():
        np.testing.assert_array_equal(table, by_name.alphas[kind])


def test_it_goes_on_with_the_same_images_and_no_others(
    search: SearchResult, digits: fd.LabelledImages, no_pictures: None
):
    flags = (search.workdir / "flags.txt").read_bytes()
    again = fd.search(digits, SPACE, workdir=search.workdir, on_epoch=quiet, threshold=1.0, **TINY)
    for kind, table in search.alphas.items():
        np.testing.assert_array_equal(table, again.alphas[kind])
    others = digits.subset(np.arange(1, len(digits)))
    with pytest.raises(RunError, match="other settings: --dataset=memory:digits:"):
        fd.search(others, SPACE, workdir=search.workdir, threshold=1.0, **TINY)
    assert (search.workdir / "flags.txt").read_bytes() == flags


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_interrupt_saves_and_keeps_a_notebook_from_going_on(tmp_path: Path, no_pictures: None, epoch: int):
    """Also one in the last epoch: whoever presses stop wants no other cell to run."""

    def interrupt(so_far: SearchResult) -> None:
        if len(so_far.history.rows) == epoch:
            signal.raise_signal(signal.SIGINT)

    options = {"workdir": tmp_path / "run", "method": "darts"} | TINY
    with pytest.raises(KeyboardInterrupt, match="workdir=.*run"):
        fd.search("digits", SPACE, on_epoch=interrupt, **options)
    again = fd.search("digits", SPACE, on_epoch=quiet, **options)
    assert len(again.history.rows) == 2 and again.asked_to_stop is None


def test_sigterm_returns_what_there_is(tmp_path: Path, no_pictures: None):
    terminate = lambda so_far: signal.raise_signal(signal.SIGTERM)  # noqa: E731
    found = fd.search("digits", SPACE, workdir=tmp_path / "run", on_epoch=terminate, **TINY)
    assert found.stopped_by == signal.SIGTERM and len(found.history.rows) == 1


def test_an_interrupted_estimate_says_nothing(monkeypatch: pytest.MonkeyPatch, no_pictures: None):
    monkeypatch.setattr(SearchRecorder, "write_files", lambda self: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match="nothing was estimated"):
        fd.estimate_search("digits", SPACE, **TINY | {"epochs": 20})


def test_deriving_is_that_of_the_files(search: SearchResult):
    alphas = load_alphas(search.workdir)
    weights = {kind: RELAXATIONS["sigmoid"].of_array(table) for kind, table in alphas.items()}
    assert search.derive(method="darts") == derive(weights, OPERATIONS, "darts")
    assert search.derive(threshold=0.0) == derive(weights, OPERATIONS, threshold=0.0)
    both = {
        kind: RELAXATIONS["sigmoid"].of_array(tables).mean(axis=0) for kind, tables in search.history.tables().items()
    }
    assert search.derive(method="darts", average_last=2) == derive(both, OPERATIONS, "darts")
    assert [row.item for row in search.confidence(method="darts") if row.cell == "normal"] == list(
        search.derive(method="darts").normal
    )


def test_a_search_that_finds_nothing_returns_all_the_same(search: SearchResult):
    assert search.genotype is None and "would be empty" in search.underived
    with pytest.raises(GenotypeError):
        search.derive()
    assert "would be empty" in search._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"nodes": 3}, "said by the search space already"),
        ({"image_size": 16}, "load_dataset"),
        ({"epochs": "1"}, r"--epochs is '1' \(str\), but must be a whole number"),
        ({"on_epoch": 3}, "on_epoch is 3, but must be a function"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    digits: fd.LabelledImages, tmp_path: Path, arguments: dict[str, object], message: str
):
    with pytest.raises(ConfigurationError, match=message):
        fd.search(digits, SPACE, workdir=tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_directory_is_a_path(digits: fd.LabelledImages):
    with pytest.raises(RunError, match=r"workdir is 3 \(int\)"):
        fd.search(digits, SPACE, workdir=3)


def test_a_space_that_nobody_knows_is_refused(digits: fd.LabelledImages):
    class Other(fd.DartsSpace):
        pass

    with pytest.raises(ConfigurationError, match="register_space"):
        fd.search(digits, Other())
    with pytest.raises(ConfigurationError, match="no search space"):
        fd.search(digits, "darts")


def test_settings_of_a_derivation_are_checked(search: SearchResult):
    with pytest.raises(ConfigurationError, match="Did you mean 'threshold'"):
        search.derive(treshold=0.5)
    with pytest.raises(ConfigurationError, match="average_last"):
        search.derive(average_last=0)


def test_a_search_is_printed_in_a_few_lines(search: SearchResult):
    row = search.history.rows[-1]
    first, *rest = repr(search).splitlines()
    assert first.startswith(f"search in {search.workdir}: epoch 2/2 ")
    assert f"search loss {row['search_loss']:.4f} accuracy {100 * row['search_accuracy']:.2f} %" in first
    assert rest == [f"  no genotype: {search.underived}"]
    derived = repr(dataclasses.replace(search, genotype=search.derive(method="darts"), underived=""))
    assert derived.splitlines()[1].startswith("  normal  ") and len(derived.splitlines()) == 3


def test_before_the_first_epoch_there_is_nothing_to_show():
    nothing = SearchResult(None, History(), None, SearchSettings(), Path("runs"))
    assert repr(nothing).startswith("search in runs: no epoch has ended yet")
    assert "has not finished an epoch" in nothing._repr_html_()
    with pytest.raises(GenotypeError, match="has not finished an epoch"):
        nothing.derive()


def test_a_search_shows_every_mixing_weight_and_every_choice(search: SearchResult):
    page = ElementTree.fromstring(search._repr_html_())
    written = [text for text in map(str, (e.text for e in page.iter() if e.tag.endswith("text"))) if "." in text]
    weights = search.alphas.mixing_weights()
    expected = [f"{value:.2f}" for table in weights.values() for value in table.ravel()]
    assert [text for text in written if re.fullmatch(r"\d\.\d\d", text)][-len(expected) :] == expected
    assert f"epoch 2 of 2, accuracy on the search half {search.history.rows[-1]['search_accuracy']:.1%}" in "".join(
        page.itertext()
    )


@pytest.mark.parametrize("genotype", [GENOTYPE, MOBILE], ids=["darts", "mobile"])
def test_a_genotype_shows_each_operation_once(genotype: fd.Genotype):
    for picture in (genotype._repr_html_(), genotype._repr_svg_()):
        titles = [element.text for element in ElementTree.fromstring(picture).iter() if element.tag.endswith("title")]
        operations = [item.op for kind in genotype.kinds for item in genotype.items(kind)]
        assert len(titles) == len(operations)
        assert all(op in title for title, op in zip(titles, operations, strict=True))


def test_what_shows_and_derives_needs_no_tensorflow():
    program = """
import sys
import numpy as np
import fairdarts_tf as fd
settings = fd.SearchSettings(nodes=1)
alphas = fd.Alphas({kind: np.ones((2, 7)) for kind in ("normal", "reduce")}, settings.derivation)
assert "<svg" in alphas._repr_html_() and "<svg" in fd.load_genotype("FairDARTS_a")._repr_html_()
assert not {"tensorflow", "keras"} & set(sys.modules), "loaded"
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_live_view_changes_one_picture(search: SearchResult, monkeypatch: pytest.MonkeyPatch):
    shown: list[object] = []

    class Handle:
        update = shown.append

    def display(what: object, display_id: bool) -> type[Handle]:
        shown.append(what)
        return Handle

    monkeypatch.setattr(live_view, "_shown", lambda: display)
    view = fd.LiveView(every=2)
    view(search)
    view(search)
    assert shown == [search, search]
    with pytest.raises(ConfigurationError, match="at least 1"):
        fd.LiveView(every=0)


@pytest.fixture(scope="module")
def classifier(digits: fd.LabelledImages) -> fd.ImageClassifier:
    keras.utils.set_random_seed(1)
    return GENOTYPE.build(digits, init_channels=4, layers=3)


def test_a_classifier_normalises_by_itself(classifier: fd.ImageClassifier, digits: fd.LabelledImages):
    pixels = digits.images[:7]
    share = digits.images.astype(np.float64) / 255
    normalised = ((pixels / 255 - share.mean()) / share.std()).astype(np.float32)
    logits = np.array(classifier.network(normalised), np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(classifier(pixels), powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_a_classifier_trains_by_fit_and_is_kept_whole(digits: fd.LabelledImages, tmp_path: Path):
    keras.utils.set_random_seed(2)
    network = MOBILE.build(digits)
    network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    batches = fd.augmented_batches(digits, batch_size=50)
    history = network.fit(batches, steps_per_epoch=10, epochs=2, verbose=0, shuffle=False).history
    assert history["loss"][1] < history["loss"][0]
    path = tmp_path / "network.keras"
    network.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_allclose(loaded.predict(digits.images[:9], verbose=0), network(digits.images[:9]), atol=1e-6)
    assert (loaded.class_names, loaded.dataset) == (digits.class_names, "digits")


def test_batches_are_pixels(digits: fd.LabelledImages):
    still = fd.Augmentation(padding=0, flip=False)
    pixels, labels = next(iter(fd.augmented_batches(digits, batch_size=20, augmentation=still)))
    known = {image.tobytes(): label for image, label in zip(digits.images, digits.labels, strict=True)}
    found = np.rint(pixels).astype(np.uint8)
    np.testing.assert_allclose(pixels, found, atol=1e-3)
    assert [known[image.tobytes()] for image in found] == labels.numpy().tolist()


def test_mixed_precision_is_exported_in_float32(digits: fd.LabelledImages, tmp_path: Path):
    keras.utils.set_random_seed(3)
    mixed = GENOTYPE.build(digits, init_channels=2, layers=3, dtype="mixed_bfloat16")
    found = mixed.found
    assert found.network.dtype_policy.name == "float32" and mixed.network.dtype_policy.name == "mixed_bfloat16"
    for of_mixed, of_found in zip(mixed.network.weights, found.network.weights, strict=True):
        np.testing.assert_array_equal(of_mixed, of_found)
    rows = export_classifier(mixed, tmp_path / "exported", digits, formats=("keras",), images=10)
    assert [(row.file, row.agreement) for row in rows] == [("network.keras", 1.0)]


def test_options_that_no_network_has_are_refused(digits: fd.LabelledImages):
    with pytest.raises(ConfigurationError, match="Did you mean 'layers'"):
        GENOTYPE.build(digits, layer=3)
    for name, value in (("init_channels", "8"), ("init_channels", 8.5), ("init_channels", 0), ("layers", -1)):
        with pytest.raises(ConfigurationError, match=f"--{name} is {value!r}"):
            GENOTYPE.build(digits, **{name: value})
    with pytest.raises(DataError, match="Found: int"):
        GENOTYPE.build(3)


@pytest.mark.parametrize("kind", [str, tuple])
def test_a_classifier_is_made_for_whatever_can_be_searched_on(digits: fd.LabelledImages, kind: type):
    data = "digits" if kind is str else (digits.images, digits.labels)
    network = GENOTYPE.build(data, init_channels=2, layers=3)
    assert (network.class_names, network.image_shape) == (digits.class_names, digits.image_shape)


def test_what_is_no_genotype_and_no_network_is_refused(digits: fd.LabelledImages, classifier: fd.ImageClassifier):
    with pytest.raises(GenotypeError, match="5 is no genotype's name and no path"):
        fd.load_genotype(5)
    with pytest.raises(GenotypeError, match=r"'FairDARTS_a' is no genotype. Load one"):
        fd.network_cost("FairDARTS_a")
    with pytest.raises(ConfigurationError, match="'nope' is no network"):
        fd.evaluate("nope", digits)
    with pytest.raises(DataError, match="'digits' are no images"):
        fd.evaluate(classifier.found, "digits")
    for name in ("formats", "quantizations"):
        with pytest.raises(ConfigurationError, match=r"is 'int8' \(str\), but must be a list"):
            export_classifier(classifier, "exported", digits, **{name: "int8"})


def test_a_training_takes_images_in_memory(digits: fd.LabelledImages, tmp_path: Path):
    GENOTYPE.save(tmp_path / "tiny.json")
    settings = fd.TrainSettings(genotype=str(tmp_path / "tiny.json"), **TINY_TRAINING)
    rows = fd.run_training(settings, tmp_path / "given", digits).history.rows
    assert [row["epoch"] for row in rows] == [1, 2]
    found = fd.load_found_network(tmp_path / "given", "last")
    assert found.dataset.startswith("memory:digits:") and found.class_names == digits.class_names
    with pytest.raises(RunError, match="other settings: --dataset="):
        fd.run_training(settings, tmp_path / "given", digits.subset(np.arange(1000)))
