"""The command ``tune``: flags in, a table of trials and the best flags out."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.long_runs import required_workdir, stopped
from fairdarts_tf.cli.output_format import TABLE_FORMATS, define_format, formatted, results_alone, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.cli.settings_flags import define_flags, read_values
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.paper_values import SEARCHES
from fairdarts_tf.random_search.settings import SHORT_TRAINING
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import CHOICES as SEARCH_CHOICES
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.training.settings import CHOICES as TRAIN_CHOICES
from fairdarts_tf.training.settings import TrainSettings
from fairdarts_tf.tuning.places import TABLE
from fairdarts_tf.tuning.plan import (
    FROM_SEARCH,
    OF_SHORT_TRAINING,
    PREFIX,
    check_search_tuning,
    check_train_tuning,
    train_settings,
)
from fairdarts_tf.tuning.settings import CHOICES, TuningSettings
from fairdarts_tf.tuning.tuned import SEARCH_TUNED, TRAIN_TUNED, Tuned, read_tuned

COMMAND = Command(
    "tune",
    """Tunes flags of a search (--what=search), of a training (train), or the genotype itself, with KerasTuner.

Of a search: its flags are those of bin/search, and --train_* those of the short training by which a trial is judged.
Of a training: its flags are those of bin/train. Started again with the same --workdir a tuning goes on where it
stopped. It leaves trials.csv and best.flags, which bin/search or bin/train takes. Exit codes: 0 when all trials are
done and one came to something, 2 for bad input or if none did, 75 when the chief of several workers is gone, 130 when
stopped from the keyboard and 143 when terminated; both save first.""",
    papers=SEARCHES,
)

_LATENCY = ("latency_table", "latency_form")


def _names(settings: type) -> list[str]:
    return [field.name for field in dataclasses.fields(settings)]


def _define_short_training() -> None:
    """Defines the flags of the short training: those of a training, with a prefix."""
    apart = flags.FlagValues()
    define_flags(TrainSettings, {}, "", apart, TRAIN_CHOICES, defaults=SHORT_TRAINING, automatic=("init_channels",))
    for name in OF_SHORT_TRAINING:
        flag = apart[name]
        flag.name = f"{PREFIX}{name}"
        flags.DEFINE_flag(flag, flag_values=COMMAND.flags, module_name="short training of a trial")


flags.DEFINE_string(
    "workdir", None, "The tuning's directory; made if absent.", flag_values=COMMAND.flags, module_name="tuning"
)
define_flags(TuningSettings, {}, "tuning", COMMAND.flags, CHOICES)
define_flags(SearchSettings, {}, "search, and of a training what both have", COMMAND.flags, SEARCH_CHOICES)
define_flags(TrainSettings, {}, "training (--what=train)", COMMAND.flags, TRAIN_CHOICES, without=_names(SearchSettings))
_define_short_training()
define_format(COMMAND.flags, TABLE_FORMATS)


def main() -> int:
    """Runs the tuning and prints its trials.

    Raises:
        FairDartsError: When flags, data or directory are unfit, or every trial failed.
    """
    workdir = required_workdir(COMMAND, "the tuning's directory")
    run = Run(workdir)
    recorded = run.settings() or {}
    settings = TuningSettings(**read_values(TuningSettings, COMMAND.flags, recorded))
    make = {"search": _search_model, "train": _train_model, "genotype": _genotype_model}[settings.what]
    # TensorFlow takes seconds to load: what can be refused without it is refused at once.
    build = make(settings, recorded)
    load_tensorflow()
    from fairdarts_tf.tuning.run import run_tuning

    with results_alone(COMMAND.flags):
        result = run_tuning(settings, build(), workdir)
    if result.stopped_by is not None:
        return stopped(result.stopped_by)
    if result.trials is None:
        print("no more trials; the chief has the results.", file=sys.stderr)
        return 0
    if not result.trials.best():
        raise RunError(_none_completed(workdir, settings.what))
    print(
        formatted(
            COMMAND.flags,
            result.trials.text,
            lambda: to_json(result.trials.document()),
            result.trials.csv,
        )
    )
    return 0


def _none_completed(workdir: str, what: str) -> str:
    """Returns what to do where every trial failed."""
    remedy = (
        "Where cells stayed empty, tune in another --workdir with --method=darts or a lower --threshold"
        if what == "search"
        else "Tune in another --workdir with other flags, as a lower learning rate or a smaller network"
    )
    return f"no trial came to anything; {Path(workdir, TABLE)} says why each failed. {remedy}."


def _search_model(settings: TuningSettings, recorded: Mapping[str, str]) -> object:
    search, training = _search_and_training(recorded)
    tuned = _tuned(settings, SEARCH_TUNED, SearchSettings)
    check_search_tuning(search, tuned)

    def build() -> object:
        from fairdarts_tf.tuning.search_hypermodel import SearchHyperModel

        return SearchHyperModel(search, tuned, **training)

    return build


def _genotype_model(settings: TuningSettings, recorded: Mapping[str, str]) -> object:
    search, training = _search_and_training(recorded)
    max_skips = None if search.max_skips < 0 else search.max_skips

    def build() -> object:
        from fairdarts_tf.tuning.genotype_hypermodel import GenotypeHyperModel

        return GenotypeHyperModel(search=search, max_skips=max_skips, **training)

    return build


def _train_model(settings: TuningSettings, recorded: Mapping[str, str]) -> object:
    _refuse_others({*_names(TrainSettings), *_LATENCY}, settings.what)
    defaults = {field.name: field.default for field in dataclasses.fields(TrainSettings)}
    values = read_values(TrainSettings, COMMAND.flags, recorded)
    given = {name for name in values if COMMAND.flags[name].present or name in recorded}
    train = TrainSettings(**defaults | {name: values[name] for name in given})
    latency = tuple(COMMAND.flags[name].value for name in _LATENCY)
    tuned = _tuned(settings, TRAIN_TUNED, TrainSettings)
    check_train_tuning(train, tuned)

    def build() -> object:
        from fairdarts_tf.tuning.train_hypermodel import TrainHyperModel

        return TrainHyperModel(train, tuned, latency)

    return build


def _search_and_training(recorded: Mapping[str, str]) -> tuple[SearchSettings, dict[str, object]]:
    """Returns the settings of a search, and those of the short training after it."""
    own = [f"{PREFIX}{name}" for name in OF_SHORT_TRAINING]
    _refuse_others({*_names(SearchSettings), *own}, COMMAND.flags.what)
    search = SearchSettings(**read_values(SearchSettings, COMMAND.flags, recorded))
    for name in own:
        if not COMMAND.flags[name].present and name in recorded:
            COMMAND.flags[name].parse(recorded[name])
    training = {name: COMMAND.flags[f"{PREFIX}{name}"].value for name in OF_SHORT_TRAINING}
    train_settings(search, training)
    return search, training


def _tuned(settings: TuningSettings, table: tuple[Tuned, ...], kind: type) -> tuple[Tuned, ...] | None:
    return read_tuned(settings.tune, table, kind) if settings.tune else None


def _refuse_others(own: Collection[str], what: str) -> None:
    """Refuses flags that were given and mean nothing here."""
    for name in COMMAND.flags:
        if name in own or name in _names(TuningSettings) or not COMMAND.flags[name].present:
            continue
        if name in _names(TrainSettings) and name not in FROM_SEARCH and f"{PREFIX}{name}" in own:
            raise ConfigurationError(f"--{name} is of a training: with --what={what} it is --{PREFIX}{name}.")
        if name in _names(SearchSettings) or name.startswith(PREFIX) or name in _names(TrainSettings):
            raise ConfigurationError(f"--{name} means nothing with --what={what}. Leave it out.")


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
