"""The command ``search``: flags in, a run's directory out."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.long_runs import required_workdir, stopped
from fairdarts_tf.cli.output_format import define_format, formatted, results_alone, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.cli.settings_flags import define_flags, read_settings
from fairdarts_tf.paper_values import SEARCHES
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_checks import default_flags
from fairdarts_tf.settings_values import CHOICES
from fairdarts_tf.spaces import space_of
from fairdarts_tf.spaces.mobile import MobileSpace

if TYPE_CHECKING:
    from fairdarts_tf.search_result import SearchResult

COMMAND = Command(
    "search",
    """Searches for cells with FairDARTS and leaves the run in --workdir.

Started again with the same --workdir it goes on where it stopped. Exit codes: 0 when the search is complete, 2 for bad
input, 3 where a loss or a gradient became NaN or infinite, 75 when another worker is gone, 130 when stopped from the
keyboard and 143 when terminated; the last two save first.""",
    papers=SEARCHES,
)

_SUBJECTS = {
    "data": (
        "dataset",
        "data_dir",
        "download",
        "image_size",
        "resize_size",
        "classes",
        "train_portion",
        "search_portion",
        "storage",
        "cache_dir",
        "crop",
        "color_jitter",
        "cutout",
    ),
    "search space": (
        "space",
        "relaxation",
        "operations",
        "nodes",
        "init_channels",
        "layers",
        "stem_multiplier",
        *(field.name for field in dataclasses.fields(MobileSpace)),
    ),
    "memory": ("accumulate", "rematerialize", "sampled_paths"),
    "switches": (
        "unrolled",
        "node_penalty",
        "skip_dropout",
        "skip_dropout_schedule",
        "operation_dropout",
        "operation_dropout_schedule",
        "skip_noise",
        "skip_noise_scale",
        "skip_noise_epochs",
        "early_stopping",
        "stop_skips",
        "stop_ranking_epochs",
        "stop_eigenvalue_ratio",
        "stop_eigenvalue_epochs",
        "log_eigenvalue",
        "eigenvalue_images",
    ),
    "cost of the network": (
        "cost",
        "cost_target",
        "cost_weight",
        "cost_channels",
        "cost_layers",
        "cost_network",
        "cost_image_size",
        "cost_classes",
        "latency_table",
        "latency_form",
    ),
    "derivation": ("threshold", "method", "max_skips", "average_last"),
    "run": ("precision", "xla", "seed", "strategy", "sync_batch_norm", "checkpoint_steps", "on_nan", "profile_steps"),
}

flags.DEFINE_string(
    "workdir", None, "The run's directory; made if absent.", flag_values=COMMAND.flags, module_name="run"
)
define_flags(SearchSettings, _SUBJECTS, "search", COMMAND.flags, CHOICES)
define_format(COMMAND.flags)


def main() -> int:
    """Runs the search and prints where its results are.

    Raises:
        FairDartsError: When flags, data or directory are unfit, or no genotype can be derived at the end.
    """
    workdir = required_workdir(COMMAND)
    run = Run(workdir, default_flags(SearchSettings))
    settings = read_settings(SearchSettings, COMMAND.flags, run.settings())
    # TensorFlow takes seconds to load: what can be refused without it is refused at once.
    run.check(settings.as_flags())
    run.refuse_if_in_use()
    space_of(settings)
    load_tensorflow()
    from fairdarts_tf.devices import cluster_of
    from fairdarts_tf.search_run import run_search

    with results_alone(COMMAND.flags):
        result = run_search(settings, workdir)
    if result.stopped_by is not None:
        return stopped(result.stopped_by, run.workdir / "flags.txt")
    if not cluster_of(settings.strategy).is_chief:
        return 0
    print(formatted(COMMAND.flags, lambda: _text(run), lambda: to_json(_document(run, result))))
    return 0


def _text(run: Run) -> str:
    report = run.workdir / "report.html"
    return f"found {run.workdir / 'genotype.json'}" + (f"; see {report}" if report.is_file() else "")


def _document(run: Run, result: SearchResult) -> dict[str, object]:
    return {
        "workdir": run.workdir,
        "genotype": json.loads(result.genotype.to_json()),
        "stopped_early": None if result.early_stop is None else dataclasses.asdict(result.early_stop),
        "last_epoch": result.history.rows[-1],
    }


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
