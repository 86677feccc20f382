"""The command ``train``: a genotype and flags in, a trained network's directory out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.long_runs import required_workdir, stopped
from fairdarts_tf.cli.output_format import define_format, formatted, results_alone, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.cli.settings_flags import define_flags, read_settings
from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.paper_values import TRAININGS
from fairdarts_tf.runs import Run
from fairdarts_tf.settings_checks import default_flags
from fairdarts_tf.training.settings import CHOICES, TrainSettings, flags_in

if TYPE_CHECKING:
    from fairdarts_tf.training.history import TrainHistory

COMMAND = Command(
    "train",
    """Trains the network of a genotype and leaves the run in --workdir.

Started again with the same --workdir it goes on where it stopped. The best epoch is chosen by images that are held back
from the training split, never by test images. Exit codes: 0 when the training is complete, 2 for bad input, 3
where a loss or a gradient became NaN or infinite, 75 when another worker is gone, 130 when stopped from the keyboard
and 143 when terminated; the last two save first.

The defaults are the paper's, for images of 32 pixels. Those of digits, with 8, are too small for the default cutout and
for the auxiliary head.

Examples:

The cells that bin/search --flagfile=configs/quickstart.flags found, on digits:
bin/train --workdir=runs/digits --genotype=runs/quickstart --init_channels=8 --layers=3 --epochs=20 \\
    --cutout=0 --auxiliary_weight=0

Those that bin/search --flagfile=configs/cifar10_cpu.flags found, on CIFAR-10:
bin/train --flagfile=configs/train_cifar10_cpu.flags

Published cells, as wide as 20 million multiply-adds allow (ImageNet: configs/train_imagenet.flags, 600M):
bin/train --genotype=FairDARTS_a --dataset=cifar10 --layers=8 --init_channels=auto --macs_limit=20M""",
    papers=TRAININGS,
)

_SUBJECTS = {
    "network": (
        "genotype",
        "init_from",
        "network",
        "init_channels",
        "layers",
        "macs_limit",
        "drop_path",
        "drop_path_at",
        "auxiliary_weight",
    ),
    "data": (
        "dataset",
        "data_dir",
        "download",
        "image_size",
        "resize_size",
        "classes",
        "validation_portion",
        "storage",
        "cache_dir",
        "crop",
        "color_jitter",
        "cutout",
        "augmentation",
        "augmentation_operations",
        "augmentation_strength",
    ),
    "run": ("precision", "xla", "seed", "strategy", "sync_batch_norm", "checkpoint_steps", "on_nan", "profile_steps"),
}

flags.DEFINE_string(
    "workdir", None, "The run's directory; made if absent.", flag_values=COMMAND.flags, module_name="run"
)
define_flags(TrainSettings, _SUBJECTS, "training", COMMAND.flags, CHOICES, automatic=("init_channels",))
define_format(COMMAND.flags)


def main() -> int:
    """Runs the training and prints where its results are.

    Raises:
        FairDartsError: When flags, genotype, data or directory are unfit.
    """
    workdir = required_workdir(COMMAND)
    run = Run(workdir, default_flags(TrainSettings))
    settings = read_settings(TrainSettings, COMMAND.flags, run.settings())
    # TensorFlow takes seconds to load: what can be refused without it is refused at once.
    run.check(flags_in(run, settings))
    run.refuse_if_in_use()
    if run.settings() is None:
        load_genotype(settings.named_genotype)
    load_tensorflow()
    from fairdarts_tf.devices import cluster_of
    from fairdarts_tf.training.run import run_training

    with results_alone(COMMAND.flags):
        result = run_training(settings, workdir)
    if result.stopped_by is not None:
        return stopped(result.stopped_by, run.workdir / "flags.txt")
    if not cluster_of(settings.strategy).is_chief:
        return 0
    document = _document(result.history, run)
    print(formatted(COMMAND.flags, lambda: _text(document), lambda: to_json(document)))
    return 0


def _document(history: TrainHistory, run: Run) -> dict[str, object]:
    best, last = history.best_epoch(), len(history.rows)
    return {
        "workdir": run.workdir,
        "weights": run.workdir / ("last.npz" if best is None else "best.npz"),
        "epochs": last,
        "best_epoch": best,
        "validation_accuracy": None if best is None else history.rows[best - 1]["validation_accuracy"],
        "last_epoch": history.rows[-1],
    }


def _text(document: dict[str, object]) -> str:
    trained, best, accuracy = (document[name] for name in ("weights", "best_epoch", "validation_accuracy"))
    if best is None:
        return f"trained {trained}"
    return f"trained {trained}: epoch {best}, {100 * accuracy:.2f} % of the held-back images right"


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
