"""The command ``study``: names of studies in, their results, figures and text out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.flag_kinds import define_name
from fairdarts_tf.cli.long_runs import required_workdir, stopped
from fairdarts_tf.cli.output_format import TABLE_FORMATS, define_format, formatted, results_alone, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.data.names import DATASETS
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.history import Row, rows_as_csv
from fairdarts_tf.studies.scales import SCALES, scale_of

ALL = "all"
NAMES = (
    "skip_counts",
    "coexistence",
    "zero_one",
    "sensitivity",
    "without_skip",
    "random_control",
    "noise",
    "dropout",
    "early_stopping",
    "stability",
    "cost_aware",
)
"""Of all studies: their own list loads TensorFlow, without which a wrong name can be refused at once."""

COMMAND = Command(
    "study",
    f"""Runs comparisons of the papers: searches, trainings, results.csv, figures (PNG, SVG) and text.

NAME is {", ".join(NAMES)},
or all. Studies in one --workdir share their searches. Started again with the same --workdir a study goes on
where it stopped, and does nothing twice. Exit codes: 0 when done, 2 for bad input, 3 where a run's numbers became NaN
or infinite, 130 when stopped from the keyboard and 143 when terminated; both save first.""",
    arguments="NAME...",
    known_arguments=(*NAMES, ALL),
)

_FLAGS = {"flag_values": COMMAND.flags, "module_name": "study"}
flags.DEFINE_string("workdir", None, "Directory of all runs and results; made if absent.", **_FLAGS)
define_name("scale", "cpu", tuple(SCALES), f"Size of every run: {', '.join(SCALES)}.", **_FLAGS)
flags.DEFINE_list("seeds", [], "Seeds of every configuration; none: as many as study or scale say, from 0.", **_FLAGS)
define_name(
    "dataset", "", DATASETS, "A name of tensorflow-datasets, digits or folder:PATH; empty: the scale's own.", **_FLAGS
)
flags.DEFINE_string("data_dir", "", "Where tensorflow-datasets keeps prepared data; empty: its own default.", **_FLAGS)
flags.DEFINE_boolean("download", False, "Whether data that are not prepared may be downloaded.", **_FLAGS)
define_format(COMMAND.flags, TABLE_FORMATS)


def main() -> int:
    """Runs the studies and prints where their results are.

    Raises:
        FairDartsError: When names, flags, data or a directory are unfit.
    """
    values, workdir = COMMAND.flags, Path(required_workdir(COMMAND, "a directory"))
    scale, seeds = scale_of(values.scale), _seeds(values.seeds)
    if not COMMAND.rest:
        raise ConfigurationError(f"which study? Name one or more of {', '.join(NAMES)}, or {ALL}.")
    names = NAMES if COMMAND.rest == [ALL] else COMMAND.rest
    for name in names:
        if name not in NAMES:
            raise ConfigurationError(unknown_name("study", name, NAMES))
    # TensorFlow takes seconds to load: what can be refused without it is refused at once.
    load_tensorflow()
    from fairdarts_tf.studies.catalogue import study_of
    from fairdarts_tf.studies.plan import Plan
    from fairdarts_tf.studies.run import check_study, run_study

    studies = [study_of(name) for name in names]
    plan = Plan(workdir, scale, values.dataset, values.data_dir, values.download, seeds)
    for study in studies:
        check_study(study, plan)
    found: dict[str, Sequence[Row]] = {}
    for study in studies:
        with results_alone(values):
            result = run_study(study, plan)
            if result.results is None:
                return stopped(result.stopped_by)
            found[study.name] = result.results.rows
            page = plan.workdir / study.name / "study.md"
            # At once: another study may take hours.
            print(f"{study.name}: {len(result.results.rows)} rows; see {page}", flush=True)
    if values.format != "text":
        document = {"workdir": plan.workdir, "scale": scale.name, "studies": found}
        print(formatted(values, str, lambda: to_json(document), lambda: _csv(found)))
    return 0


def _csv(found: Mapping[str, Sequence[Row]]) -> str:
    """Returns the rows of all studies, each headed by its study's name."""
    rows = [{"study": name, **row} for name, rows in found.items() for row in rows]
    return rows_as_csv(tuple(dict.fromkeys(column for row in rows for column in row)), rows)


def _seeds(texts: list[str]) -> tuple[int, ...]:
    try:
        seeds = tuple(int(text) for text in texts)
    except ValueError:
        seeds = (-1,)
    if any(not 0 <= seed < 2**31 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise ConfigurationError(
            f"--seeds={','.join(texts)}: expected different whole numbers from 0 to 2147483647, as in --seeds=0,1,2."
        )
    return seeds


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
