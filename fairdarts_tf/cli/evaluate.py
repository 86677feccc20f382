"""The command ``evaluate``: a run's directory in, accuracy and confusion matrix out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.flag_kinds import define_name
from fairdarts_tf.cli.output_format import define_format, formatted
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.data.names import DATASETS
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.runs import Run

COMMAND = Command(
    "evaluate",
    """Evaluates the network of a training: top-1 and top-5 accuracy, loss, scores of each class, confusion matrix.

Prints them, and leaves evaluation_SPLIT.json and confusion_SPLIT.png in the run's directory, and the same in its event
files for TensorBoard. A search's directory works too: what it found then has the weights of its supernet.""",
)

flags.DEFINE_string(
    "workdir",
    None,
    "The directory of a training, of an imported checkpoint, or of a search.",
    flag_values=COMMAND.flags,
    module_name="network",
)
flags.DEFINE_enum(
    "weights",
    "best",
    ["best", "last"],
    "Of a training: the epoch that was best on the held-back images, or the last one.",
    flag_values=COMMAND.flags,
    module_name="network",
)
define_name(
    "dataset",
    None,
    DATASETS,
    "digits, a name of tensorflow-datasets or folder:PATH, with the network's classes in its order; where either has "
    "only their numbers, as many of them. Not given: the run's own.",
    flag_values=COMMAND.flags,
    module_name="data",
)
flags.DEFINE_string(
    "data_dir",
    None,
    "Where tensorflow-datasets keeps prepared data. Not given: where the run had it.",
    flag_values=COMMAND.flags,
    module_name="data",
)
flags.DEFINE_boolean(
    "download",
    False,
    "Whether data that are not prepared may be downloaded.",
    flag_values=COMMAND.flags,
    module_name="data",
)
define_name(
    "split",
    "test",
    ("test", "train", "validation", "held_back"),
    "A split of the data set, as test or validation; held_back: the training images that the run held back to choose "
    "its best epoch by.",
    flag_values=COMMAND.flags,
    module_name="data",
)
flags.DEFINE_integer(
    "batch_size",
    256,
    "Images that are computed at once; changes no result.",
    lower_bound=1,
    upper_bound=1_000_000,
    flag_values=COMMAND.flags,
    module_name="data",
)
flags.DEFINE_string(
    "output_dir",
    None,
    "Where the files go; made if absent. Not given: the run's directory.",
    flag_values=COMMAND.flags,
    module_name="output",
)
define_format(COMMAND.flags)


def main() -> None:
    """Prints the evaluation, then writes its files.

    Raises:
        FairDartsError: When flags, run or data are unfit.
        OSError: When the files cannot be written; what they held before is untouched.
    """
    given = COMMAND.flags
    if not given.workdir:
        raise ConfigurationError("which network? Name the directory of its training with --workdir.")
    output_dir = Path(given.output_dir or given.workdir)
    # TensorFlow takes seconds to load: what can be refused without it is refused at once.
    _check_run(Path(given.workdir))
    _check_output(output_dir)
    load_tensorflow()
    from fairdarts_tf.evaluation.events import write_events
    from fairdarts_tf.evaluation.run import evaluate_run

    found = evaluate_run(
        given.workdir,
        dataset=given.dataset,
        data_dir=given.data_dir,
        download=given.download,
        split=given.split,
        weights=given.weights,
        batch_size=given.batch_size,
    )
    print(formatted(given, found.to_text, found.to_json), flush=True)
    for path in found.save(output_dir):
        print(f"written: {path}", file=sys.stderr)
    write_events(found, output_dir)


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _check_run(workdir: Path) -> None:
    if not workdir.is_dir():
        raise RunError(f"there is no directory {workdir}. Name the --workdir of a training.")
    if Run(workdir).settings() is None and not (workdir / "model.json").is_file():
        raise RunError(
            f"{workdir} holds neither flags.txt nor model.json, so no run of this program. Name the --workdir of a "
            "training or of a search."
        )


def _check_output(directory: Path) -> None:
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ConfigurationError(f"nothing can be written to {existing}. Name another directory with --output_dir.")


if __name__ == "__main__":
    run()
