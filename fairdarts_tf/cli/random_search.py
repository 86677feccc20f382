"""The command ``random_search``: flags in, a ranking of random cells out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.long_runs import required_workdir, stopped
from fairdarts_tf.cli.output_format import TABLE_FORMATS, define_format, formatted, results_alone, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.cli.settings_flags import define_flags, read_settings, read_values
from fairdarts_tf.history import Row, rows_as_csv
from fairdarts_tf.paper_values import TRAININGS
from fairdarts_tf.random_search.drawing import draw_candidates
from fairdarts_tf.random_search.settings import SHORT_TRAINING, RandomSearchSettings, check_random_search
from fairdarts_tf.runs import Run
from fairdarts_tf.training.settings import CHOICES, TrainSettings

COMMAND = Command(
    "random_search",
    """Draws random cells, trains each for a short budget, and ranks them in --workdir: the control of any search.

Started again with the same --workdir it goes on where it stopped. Candidates are ranked by images that are held back
from the training split, never by test images. Exit codes: 0 when all are trained, 2 for bad input, 3 where a loss or
a gradient became NaN or infinite, 130 when stopped from the keyboard and 143 when terminated; both save first.""",
    papers=TRAININGS,
)

_OF_EACH = ("genotype", "init_from", "profile_steps")

flags.DEFINE_string(
    "workdir", None, "The run's directory; made if absent.", flag_values=COMMAND.flags, module_name="run"
)
define_flags(RandomSearchSettings, {}, "candidates", COMMAND.flags)
define_flags(
    TrainSettings,
    {"run": ("precision", "xla", "seed", "strategy", "checkpoint_steps")},
    "training of each",
    COMMAND.flags,
    CHOICES,
    without=_OF_EACH,
    defaults=SHORT_TRAINING,
)
define_format(COMMAND.flags, TABLE_FORMATS)


def main() -> int:
    """Runs the random search and prints where its results are.

    Raises:
        FairDartsError: When flags, data or directory are unfit.
    """
    workdir = required_workdir(COMMAND)
    recorded = Run(workdir).settings()
    settings = read_settings(RandomSearchSettings, COMMAND.flags, recorded)
    training = read_values(TrainSettings, COMMAND.flags, recorded)
    # TensorFlow takes seconds to load: what can be refused without it is refused at once.
    check_random_search(settings, workdir, training)
    draw_candidates(settings)
    load_tensorflow()
    from fairdarts_tf.random_search.run import COLUMNS, run_random_search

    with results_alone(COMMAND.flags):
        result = run_random_search(settings, workdir, **training)
    if result.stopped_by is not None:
        return stopped(result.stopped_by)
    document = {"workdir": workdir, "genotype": json.loads(result.best.to_json()), "ranking": result.ranking}
    print(
        formatted(
            COMMAND.flags,
            lambda: _text(result.ranking, workdir),
            lambda: to_json(document),
            lambda: rows_as_csv(COLUMNS, result.ranking),
        )
    )
    return 0


def _text(ranking: list[Row], workdir: str) -> str:
    best = ranking[0]
    return (
        f"best of {len(ranking)}: candidate {best['candidate']}, {100 * best['validation_accuracy']:.2f} % of the "
        f"held-back images right; see {Path(workdir, 'results.csv')}"
    )


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
