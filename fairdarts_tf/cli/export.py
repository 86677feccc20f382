"""The command ``export``: a run's directory in, a SavedModel, TFLite files and a Keras file out."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import EXIT_TERMINATED, Command
from fairdarts_tf.cli.flag_kinds import define_name, define_names
from fairdarts_tf.cli.output_format import define_format, formatted, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.data.names import DATASETS
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.export.plan import FORMATS, QUANTIZATIONS, plan_files

COMMAND = Command(
    "export",
    """Writes the network of a training (or of a search, with its supernet's weights) for use elsewhere.

Images from 0 to 255 in, probabilities out; normalisation is inside. Every file is loaded again in its own runtime and
compared with the network on images that no weight was trained on; a table of what was found goes to stdout. If one file
computes something else, nothing is written and the exit code is 2.

  saved_model  a directory for TensorFlow: serving_default takes uint8 images, float_images float32 ones
  tflite       a file for LiteRT, without TensorFlow: serving_default takes uint8 images; round floats to bytes before
  keras        a .keras file for Keras and fairdarts_tf: import fairdarts_tf.serving, then keras.saving.load_model;
               takes uint8 or float images

dynamic quantizes only tensors of at least 1,024 weights: "of weights" in the table says what share is quantized.""",
)

_WEIGHTS = ("best", "last")

flags.DEFINE_string("workdir", None, "The run's directory.", flag_values=COMMAND.flags, module_name="input")
flags.DEFINE_enum(
    "weights",
    "best",
    _WEIGHTS,
    "Which epoch's weights of a training.",
    flag_values=COMMAND.flags,
    module_name="input",
)
flags.DEFINE_string(
    "output_dir", None, "Where the files go; made if absent.", flag_values=COMMAND.flags, module_name="output"
)
define_names("formats", FORMATS, FORMATS, "Which files are written.", flag_values=COMMAND.flags, module_name="output")
define_names(
    "quantize",
    ("none",),
    QUANTIZATIONS,
    "One TFLite file for each; int8 is calibrated on training images.",
    flag_values=COMMAND.flags,
    module_name="output",
)
flags.DEFINE_integer(
    "batch_size",
    0,
    "Images of a batch, for SavedModel and TFLite; 0: any number (TFLite: one, unless its runtime resizes the input).",
    lower_bound=0,
    upper_bound=1_000_000,
    flag_values=COMMAND.flags,
    module_name="output",
)
define_format(COMMAND.flags)
define_name(
    "dataset",
    "",
    DATASETS,
    "The images to verify with and to calibrate by, of the network's classes. Not given: what the run was trained on. "
    "Of another, int8 is calibrated on training images that the network never saw, as the JSON then says.",
    flag_values=COMMAND.flags,
    module_name="verification",
)
flags.DEFINE_string(
    "data_dir",
    "",
    "Where tensorflow-datasets keeps prepared data. Not given: where the run had them.",
    flag_values=COMMAND.flags,
    module_name="verification",
)
flags.DEFINE_string(
    "split",
    "test",
    "The split to verify with; train: only what the run held back of it.",
    flag_values=COMMAND.flags,
    module_name="verification",
)
flags.DEFINE_integer(
    "images",
    256,
    "How many images to verify with.",
    lower_bound=1,
    upper_bound=10_000_000,
    flag_values=COMMAND.flags,
    module_name="verification",
)


def main() -> None:
    """Writes the files; what happens goes to stderr, what was found to stdout.

    Raises:
        FairDartsError: When a flag, the run or its data are unfit, or a file fails its verification.
        OSError: When the files cannot be written. What was there before is kept, as after any error.
    """
    given = COMMAND.flags
    _check_flags()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    load_tensorflow()
    from fairdarts_tf.export.run import export_run
    from fairdarts_tf.export.verification import format_table

    rows = export_run(
        given.workdir,
        given.output_dir,
        given.formats,
        given.quantize,
        given.batch_size or None,
        weights=given.weights,
        dataset=given.dataset,
        data_dir=given.data_dir,
        split=given.split,
        images=given.images,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    as_json = lambda: to_json([dataclasses.asdict(row) for row in rows])  # noqa: E731
    print(formatted(given, lambda: format_table(rows), as_json))


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _check_flags() -> None:
    """Refuses what can be refused before TensorFlow is loaded, which takes seconds."""
    given = COMMAND.flags
    for name, question in (("workdir", "which run?"), ("output_dir", "where to?")):
        if not given[name].value:
            raise ConfigurationError(f"{question} Name a directory with --{name}.")
    plan_files(given.formats, given.quantize)
    if not os.path.isdir(given.workdir):
        raise RunError(f"there is no directory {given.workdir}. Name the --workdir of a training or of a search.")
    if Path(given.output_dir).exists() and not Path(given.output_dir).is_dir():
        raise ConfigurationError(f"--output_dir={given.output_dir} is no directory. Name another.")


if __name__ == "__main__":
    run()
