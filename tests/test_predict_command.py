"""The command `predict`: one network in two forms, images of many kinds, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_network import CLASS_NAMES, random_images, tiny_found_network, write_workdir

from fairdarts_tf.cli.predict import COMMAND, main
from fairdarts_tf.data.decoding import decode_image
from fairdarts_tf.export.saved_model import write_saved_model
from fairdarts_tf.export.tflite import convert
from fairdarts_tf.labels import labels_text
from fairdarts_tf.prediction import predict_files
from fairdarts_tf.runs import Run
from fairdarts_tf.serving import ServingNetwork
from fairdarts_tf.settings import SearchSettings

PROJECT = Path(__file__).resolve().parents[1]


class Stub:
    """A network that gives each class the mean of one row of pixels."""

    kind = "stub"

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        self.image_shape = image_shape
        self.class_names = tuple(f"row {row}" for row in range(image_shape[0]))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.uint8 and images.shape[1:] == self.image_shape
        rows = images.mean(axis=(2, 3), dtype=np.float32)
        return rows / rows.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network as a workdir and as TFLite, and images."""
    root = tmp_path_factory.mktemp("predict")
    found = tiny_found_network()
    write_workdir(root / "run", found)
    (root / "labels.txt").write_text(labels_text(CLASS_NAMES))
    write_saved_model(ServingNetwork.of(found), root / "saved_model", root / "labels.txt")
    (root / "network.tflite").write_bytes(convert(root / "saved_model"))
    for index, pixels in enumerate(random_images(3)):
        Image.fromarray(pixels).save(root / f"{index}.png")
    (root / "none.png").write_text("no image")
    Run(root / "search").open(SearchSettings().as_flags())
    content = (root / "0.png").read_bytes()
    (root / "cut.png").write_bytes(content[: len(content) // 2])
    return root


def run(*arguments: object) -> int:
    return COMMAND.execute(main, ["predict", *map(str, arguments)])


@pytest.mark.parametrize("model", ["run", "network.tflite"])
def test_probabilities_are_the_networks(folder, capsys, model):
    files = [folder / f"{index}.png" for index in range(3)]
    # Flags may follow the images.
    assert run(*files, f"--model={folder / model}", "--format=json") == 0
    document = json.loads(capsys.readouterr().out)
    found = tiny_found_network()
    normalized = (random_images(3) / np.float32(255) - found.mean) / found.std
    logits = np.array(found.network(normalized.astype(np.float32), training=False), np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert [row["image"] for row in document] == list(map(str, files))
    for row, probabilities in zip(document, expected, strict=True):
        labels = [guess["label"] for guess in row["classes"]]
        assert labels == np.argsort(-probabilities).tolist()
        assert [guess["name"] for guess in row["classes"]] == [CLASS_NAMES[label] for label in labels]
        assert np.allclose([guess["probability"] for guess in row["classes"]], probabilities[labels], atol=1e-4)


def test_text(folder, capsys):
    assert run(f"--model={folder / 'network.tflite'}", "--top=2", folder / "0.png", folder / "1.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0] == str(folder / "0.png") and lines[3] == str(folder / "1.png")
    assert all(line.split()[0] in CLASS_NAMES and line.endswith("%") for line in lines[1:3])


def test_tflite_needs_no_tensorflow(folder):
    script = (
        "import sys; from fairdarts_tf.cli.predict import COMMAND, main; code = COMMAND.execute(main, sys.argv); "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules))); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, f"--model={folder / 'network.tflite'}", folder / "0.png"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


def test_images_are_brought_to_the_networks_size_and_channels(tmp_path):
    # White on the left, black on the right, and four times as wide as high: only the middle is seen.
    wide = np.zeros((20, 80, 3), np.uint8)
    wide[:, :40] = (255, 0, 0)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    image = decode_image(tmp_path / "wide.png", 10)
    assert image.shape == (10, 10, 3) and image[5, 0].tolist() == [255, 0, 0] and image[5, 9].tolist() == [0, 0, 0]
    grey = decode_image(tmp_path / "wide.png", 10, channels=1)
    assert grey.shape == (10, 10, 1) and grey[5, 0].tolist() == [76]  # The luminance of red: 0.299.
    ((guess,),) = predict_files(Stub((4, 4, 1)), [tmp_path / "wide.png"], top=1)
    assert guess.probability == pytest.approx(0.25)


def test_more_images_than_a_batch_keep_their_order(tmp_path):
    files = []
    for index in range(70):
        pixels = np.zeros((4, 4), np.uint8)
        pixels[index % 4] = 200
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(pixels).save(files[-1])
    guesses = predict_files(Stub((4, 4, 3)), files)
    assert [row[0].name for row in guesses] == [f"row {index % 4}" for index in range(70)]
    assert all(len(row) == 4 for row in guesses)  # No more than there are.


def test_a_network_for_images_that_are_not_square(tmp_path):
    for name, size in (("fits", (6, 4)), ("other", (6, 6))):
        Image.new("RGB", size, (9, 9, 9)).save(tmp_path / f"{name}.png")
    assert len(predict_files(Stub((4, 6, 3)), [tmp_path / "fits.png"])[0]) == 4
    with pytest.raises(ValueError, match="6 x 6 pixels.* 6 x 4"):
        predict_files(Stub((4, 6, 3)), [tmp_path / "other.png"])
    with pytest.raises(ValueError, match="2 channels"):
        predict_files(Stub((4, 4, 2)), [tmp_path / "fits.png"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{0}/0.png"], "--model"),
        (["--model={0}/network.tflite"], "which images?"),
        (["--model={0}/absent", "{0}/0.png"], "there is no"),
        (["--model={0}/network.tflite", "{0}/0.png", "{0}/absent.png"], "there is no image"),
        (["--model={0}/network.tflite", "{0}/none.png"], "cannot identify"),
        (["--model={0}/network.tflite", "{0}/cut.png"], "cannot decode"),
        (["--model={0}/network.tflite", "{0}"], "directory"),
        (["--model={0}/network.tflite", "{0}/0.png", "--top=0"], "top"),
        (["--model={0}/none.png", "{0}/0.png"], "no network"),
        (["--model={0}", "{0}/0.png"], "no network that can be run"),
        (["--model={0}/search", "{0}/0.png"], "bin/train --genotype={0}/search"),
        (["--model={0}/search", "{0}/0.png"], "bin/export --workdir={0}/search"),
    ],
)
def test_bad_input_is_one_line(folder, capsys, arguments, words):
    assert run(*(argument.format(folder) for argument in arguments)) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("predict: ") and error.count("\n") == 1
    assert words.format(folder) in error
