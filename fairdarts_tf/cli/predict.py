"""The command ``predict``: a network and image files in, class names and probabilities out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.output_format import define_format, formatted
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.data.decoding import check_image
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.prediction import TOP, Guess, predict_files

COMMAND = Command(
    "predict",
    """Prints what a network takes images for: class names with their probabilities.

The network is the directory of a training, a SavedModel's directory, a .keras file or a .tflite file; the last starts
without TensorFlow. Images (PNG, JPEG, GIF, WebP, BMP) are resized to the network's size, cropped at the centre.""",
    arguments="IMAGE...",
)

flags.DEFINE_string(
    "model",
    None,
    "A training's directory, a SavedModel's directory, a .keras file or a .tflite file.",
    flag_values=COMMAND.flags,
    module_name="network",
)
flags.DEFINE_enum(
    "weights",
    "best",
    ["best", "last"],
    "Of a training's directory: the epoch that was best on the held-back images, or the last one.",
    flag_values=COMMAND.flags,
    module_name="network",
)
flags.DEFINE_integer(
    "top",
    TOP,
    "How many classes are printed for each image, the most probable first.",
    lower_bound=1,
    upper_bound=1_000_000,
    flag_values=COMMAND.flags,
    module_name="output",
)
define_format(COMMAND.flags)


def main() -> None:
    """Prints the most probable classes of each image.

    Raises:
        FairDartsError: When a flag, the network or an image is unfit; nothing is printed then.
    """
    if not COMMAND.flags.model:
        raise ConfigurationError("which network? Name a training's directory or an exported file with --model.")
    files = COMMAND.rest
    if not files:
        raise ConfigurationError("which images? Name their files after the flags.")
    model = Path(COMMAND.flags.model)
    if not model.exists():
        raise RunError(f"there is no {model}. Name a training's directory or an exported file with --model.")
    for file in files:
        check_image(file)
    if model.suffix != ".tflite":
        _start_tensorflow()
    from fairdarts_tf.runtimes import open_model

    guesses = predict_files(open_model(model, COMMAND.flags.weights), files, COMMAND.flags.top)
    print(formatted(COMMAND.flags, lambda: _text(files, guesses), lambda: _json(files, guesses)))


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _start_tensorflow() -> None:
    load_tensorflow()
    from fairdarts_tf.devices import configure_runtime

    configure_runtime()


def _text(files: list[str], guesses: list[list[Guess]]) -> str:
    width = max(len(guess.name) for row in guesses for guess in row)
    blocks = (
        "\n".join([file, *(f"  {guess.name:{width}}  {guess.probability:7.2%}" for guess in row)])
        for file, row in zip(files, guesses, strict=True)
    )
    return "\n".join(blocks)


def _json(files: list[str], guesses: list[list[Guess]]) -> str:
    rows = (
        json.dumps({"image": file, "classes": [guess._asdict() for guess in row]})
        for file, row in zip(files, guesses, strict=True)
    )
    return "[\n  " + ",\n  ".join(rows) + "\n]"


if __name__ == "__main__":
    run()
