"""Running a study: every search and training that is not there yet, then its results, figures and text."""

from __future__ import annotations

import dataclasses
import signal

from fairdarts_tf.errors import RunError
from fairdarts_tf.files import write_atomically, write_text_atomically
from fairdarts_tf.history import Row
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_checks import default_flags
from fairdarts_tf.studies.figures import as_bytes
from fairdarts_tf.studies.measures import MEASURES, count_cells
from fairdarts_tf.studies.plan import Plan
from fairdarts_tf.studies.results import RANDOM, Results
from fairdarts_tf.studies.stages import Stages, StudyStopped, train_random_cells
from fairdarts_tf.studies.study import Study

FORMATS = ("png", "svg")


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """What a study came to.

    Attributes:
        results: Its rows and text; None if it was stopped.
        stopped_by: The signal that stopped it early, or None.
    """

    results: Results | None
    stopped_by: signal.Signals | None = None


def run_study(study: Study, plan: Plan) -> StudyResult:
    """Runs a study, or goes on with it, and writes ``results.csv``, ``study.md`` and its figures.

    Runs that another study in the same directory has made already are used, not repeated.

    Args:
        study: Which.
        plan: Where, at which scale and on which data.

    Raises:
        FairDartsError: When settings, data or a run's directory are unfit. What was saved until then is intact.
        NotFiniteError: When a loss or a gradient is NaN or infinite.
        OSError: When results cannot be written.
    """
    check_study(study, plan)
    try:
        results = _collect(study, plan)
    except StudyStopped as stopped:
        return StudyResult(None, stopped.signal)
    write_results(results)
    return StudyResult(results)


def check_study(study: Study, plan: Plan) -> None:
    """Checks, before anything runs, that the study's searches fit their settings and what the directory holds.

    Raises:
        FairDartsError: When they do not.
    """
    if plan.workdir.exists() and not plan.workdir.is_dir():
        raise RunError(f"--workdir={plan.workdir} is a file. Name a directory.")
    for stages in _all_stages(study, plan):
        Run(stages.search_dir, default_flags(SearchSettings)).check(stages.settings.as_flags())


def write_results(results: Results) -> None:
    """Writes what a study came to into its own directory, each file atomically.

    Raises:
        OSError: When it cannot be written.
    """
    place = results.plan.workdir / results.study.name
    place.mkdir(parents=True, exist_ok=True)
    write_text_atomically(place / "results.csv", results.csv())
    for picture in results.study.pictures:
        figure = picture.draw(results)
        for form in FORMATS:
            content = as_bytes(figure, form)
            write_atomically(place / f"{picture.name}.{form}", lambda file, content=content: file.write(content))
    write_text_atomically(place / "study.md", results.markdown())


def _all_stages(study: Study, plan: Plan) -> list[Stages]:
    seeds = plan.seeds_of(study)
    return [Stages(plan, configuration, seed) for configuration in study.configurations for seed in seeds]


def _collect(study: Study, plan: Plan) -> Results:
    stages = _all_stages(study, plan)
    rows = [_row(study, each) for each in stages]
    if study.random_skips is not None:
        rows += _random_rows(study.random_skips, plan)
    return Results(study, plan, tuple(stages), tuple(rows))


def _row(study: Study, stages: Stages) -> Row:
    stages.search()
    row: Row = {"scale": stages.plan.scale.name, "configuration": stages.configuration.name, "seed": stages.seed}
    for name in study.measures:
        row |= MEASURES[name](stages)
    return row


def _random_rows(skips: int, plan: Plan) -> list[Row]:
    head = {"scale": plan.scale.name, "configuration": RANDOM}
    return [
        head | {"seed": number, "derived_by": "chance"} | count_cells(genotype) | outcome
        for number, (genotype, outcome) in enumerate(train_random_cells(plan, skips), start=1)
    ]
