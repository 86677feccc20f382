"""The command `evaluate`, and what it calls, on a network with known weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from event_reading import events_of, scalars
from PIL import Image
from sklearn import metrics
from tiny_network import CLASS_NAMES, SHAPE, random_images, tiny_found_network, write_workdir

from fairdarts_tf import inherited_weights
from fairdarts_tf.cli.evaluate import COMMAND, main
from fairdarts_tf.data import held_back, load_dataset
from fairdarts_tf.evaluation.run import evaluate, evaluate_run
from fairdarts_tf.runtimes import KerasRuntime

COUNTS = {"train": 8, "test": 5}


@pytest.fixture(scope="module")
def found():
    found = tiny_found_network()
    # Centred, so that it takes images for more than one class.
    found.network.classifier.bias.assign_sub(expected_logits(found, random_images(50)).mean(axis=0))
    return found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a folder of images."""
    root = tmp_path_factory.mktemp("images")
    write_images(root, CLASS_NAMES)
    return f"folder:{root}"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory, found, images: str) -> Path:
    settings = f"--dataset={images}\n--validation_portion=0.25\n--seed=3\n--data_dir=\n"
    return write_workdir(tmp_path_factory.mktemp("runs") / "run", found, settings)


def write_images(root: Path, names: tuple[str, ...], side: int = SHAPE[0]) -> None:
    for split, count in COUNTS.items():
        pixels = random_images(count * len(names), seed=count)
        for label, name in enumerate(names):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                image = Image.fromarray(pixels[label * count + index])
                image.resize((side, side), Image.Resampling.NEAREST).save(folder / f"{index}.png")


def run(*arguments: object) -> int:
    return COMMAND.execute(main, ["evaluate", *map(str, arguments)])


def expected_logits(found, pixels: np.ndarray) -> np.ndarray:
    normalized = (pixels / np.float32(255) - found.mean) / found.std
    return np.array(found.network(normalized.astype(np.float32), training=False))


def test_agrees_with_the_network_and_scikit_learn(found, images, workdir, capsys, tmp_path):
    data = load_dataset(images, "test")
    logits = expected_logits(found, data.images)
    assert len(set(logits.argmax(axis=1))) > 1
    # 15 images in batches of 4: the last is smaller.
    flags = [f"--workdir={workdir}", "--batch_size=4", "--format=json", f"--output_dir={tmp_path / 'new'}"]
    assert run(*flags) == 0
    output, error = capsys.readouterr()
    document = json.loads(output)
    assert document == json.loads((tmp_path / "new" / "evaluation_test.json").read_text())
    assert document["dataset"] == images and document["images"] == len(data) == 15
    assert document["weights"] == "last epoch"  # The run chose no best one.
    assert document["top_1_accuracy"] == metrics.accuracy_score(data.labels, logits.argmax(axis=1))
    assert document["top_3_accuracy"] == 1
    probabilities = np.exp(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    assert document["loss"] == pytest.approx(metrics.log_loss(data.labels, probabilities), rel=1e-4)
    assert document["confusion_matrix"] == metrics.confusion_matrix(data.labels, logits.argmax(axis=1)).tolist()
    with Image.open(tmp_path / "new" / "confusion_test.png") as picture:
        assert picture.format == "PNG"
    assert error.count("written: ") == 2
    events = events_of(tmp_path / "new")
    assert scalars(events, "evaluation/test/top_1_accuracy") == {0: pytest.approx(document["top_1_accuracy"])}
    assert scalars(events, "evaluation/test/loss") == {0: pytest.approx(document["loss"])}
    assert events.SummaryMetadata("confusion/test").plugin_data.plugin_name == "images"


def test_text_and_held_back_images(found, images, workdir, capsys):
    assert run(f"--workdir={workdir}", "--split=held_back", "--weights=last") == 0
    output, _ = capsys.readouterr()
    data = load_dataset(images, "train")
    _, indices = held_back(data.labels, 0.25, 3)
    accuracy = np.mean(expected_logits(found, data.images[indices]).argmax(axis=1) == data.labels[indices])
    assert f"{len(indices)} images of 3 classes" in output
    assert f"top-1 accuracy  {accuracy:8.2%}" in output
    assert [line.split()[0] for line in output.splitlines()[-3:]] == list(CLASS_NAMES)
    document = json.loads((workdir / "evaluation_held_back.json").read_text())
    assert (document["images"], document["split"]) == (6, "held_back")
    assert (workdir / "confusion_held_back.png").is_file()


def test_a_validation_split_of_the_data_set_is_its_own(found, tmp_path):
    """As in ImageNet, whose published accuracies are those on its validation split."""
    write_images(tmp_path / "images", CLASS_NAMES)
    (tmp_path / "images" / "test").rename(tmp_path / "images" / "validation")
    name = f"folder:{tmp_path / 'images'}"
    workdir = write_workdir(tmp_path / "run", found, f"--dataset={name}\n--validation_portion=0.25\n--seed=3\n")
    whole = evaluate_run(workdir, split="validation")
    assert (whole.images, whole.split) == (15, "validation")
    assert np.array_equal(
        whole.measures.confusion, evaluate(found, load_dataset(name, "validation")).measures.confusion
    )
    assert evaluate_run(workdir, split="held_back").images == 6


def test_a_stored_network_evaluates_alike(found, images, workdir):
    data = load_dataset(images, "test")
    stored = evaluate(KerasRuntime.of_workdir(workdir), data).measures
    direct = evaluate(found, data, batch_size=7).measures
    assert np.array_equal(stored.confusion, direct.confusion)
    assert stored.loss == pytest.approx(direct.loss, rel=1e-4)


def test_classes_without_names_are_known_by_their_numbers(found, images):
    """MNIST's labels are named "0" to "9", as are those of an imported checkpoint of a data set without names."""
    numbers = ("0", "1", "2")
    data = load_dataset(images, "test")
    expected = evaluate(found, data).measures.confusion
    for network, labels in ((numbers, CLASS_NAMES), (CLASS_NAMES, numbers), (CLASS_NAMES, CLASS_NAMES)):
        unnamed = dataclasses.replace(found, class_names=network)
        evaluation = evaluate(unnamed, dataclasses.replace(data, class_names=labels))
        assert evaluation.class_names == CLASS_NAMES
        assert np.array_equal(evaluation.measures.confusion, expected)
    with pytest.raises(ValueError, match="class 0 is '1' in the data set"):
        evaluate(found, dataclasses.replace(data, class_names=("1", "0", "2")))


def test_images_are_resized_to_the_networks_size(found, workdir, tmp_path):
    write_images(tmp_path, CLASS_NAMES, side=20)
    name = f"folder:{tmp_path}"
    resized = evaluate(found, load_dataset(name, "test", image_size=SHAPE[0])).measures
    assert evaluate_run(workdir, dataset=name).measures.loss == pytest.approx(resized.loss, rel=1e-5)


def test_a_search_run_has_the_supernets_weights(found, images, tmp_path, monkeypatch, capsys):
    (tmp_path / "flags.txt").write_text(f"--dataset={images}\n--train_portion=0.5\n--validation_portion_is=none\n")
    monkeypatch.setattr(inherited_weights, "load_inherited_network", lambda workdir, data_dir: found)
    assert run(f"--workdir={tmp_path}") == 0
    assert "weights: the supernet's" in capsys.readouterr().out
    assert run(f"--workdir={tmp_path}", "--split=held_back") == 2
    assert "this run held nothing back" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--workdir"),
        (["--workdir={tmp}/absent"], "no directory"),
        (["--workdir={tmp}"], "no run of this program"),
        (["--workdir={run}", "--split=tset"], "tset"),
        (["--workdir={run}", "--split=held-back"], "Or --split=held_back: "),
        (["--workdir={run}", "--split=hold", "--dataset=digits"], "Known: test, train. Or --split=held_back: "),
        (["--workdir={run}", "--split=held_back", "--dataset=digits"], "a part of the run's own data set"),
        (["--workdir={run}", "--batch_size=0"], "batch_size"),
        (["--workdir={run}", "--weights=first"], "Known: best, last"),
        (["--workdir={run}", "--dataset=digits"], "10 classes, but the network tells 3 apart"),
        (["--workdir={run}", "--dataset=folder:{tmp}/others"], "class 2 is 'top' in the data set, but 'right'"),
        (["--workdir={run}", "--dataset=folder:{tmp}/none"], "no image folder"),
        (["--workdir={run}", "--output_dir={run}/flags.txt"], "--output_dir"),
    ],
)
def test_bad_input_is_one_line(workdir, tmp_path, capsys, arguments, words):
    write_images(tmp_path / "others", ("left", "middle", "top"))
    before = sorted(workdir.iterdir())
    assert run(*(argument.format(run=workdir, tmp=tmp_path) for argument in arguments)) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("evaluate: ") and error.count("\n") == 1
    assert words in error
    assert sorted(workdir.iterdir()) == before


def test_grey_images_for_a_network_that_sees_colours(found):
    data = load_dataset("digits", "test")
    grey = type(data)(data.images, np.minimum(data.labels, 2), CLASS_NAMES)
    with pytest.raises(ValueError, match=r"\(8, 8, 1\).*takes \(8, 8, 3\)"):
        evaluate(found, grey)


def test_a_network_whose_data_set_is_unknown(found, tmp_path, capsys):
    directory = write_workdir(tmp_path / "imported", found)
    (directory / "flags.txt").unlink()
    assert run(f"--workdir={directory}") == 2
    assert "which data set?" in capsys.readouterr().err
