"""The command that turns searches' alphas into a genotype. Needs no TensorFlow, so it starts at once."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from absl import flags

from fairdarts_tf import derivation, sensitivity
from fairdarts_tf.alphas import load_alphas, load_history
from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.flag_kinds import define_name
from fairdarts_tf.cli.output_format import define_format, to_json
from fairdarts_tf.early_stopping import Stop
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.relaxations import RELAXATIONS, relaxation
from fairdarts_tf.runs import Run
from fairdarts_tf.spaces import SPACES, SearchSpace, recorded_space

COMMAND = Command("derive", "Derives a genotype from the alphas of a search, or of several, and prints it as JSON.")

_FROM_RUN = "Not given: as the search's flags.txt says, else this default."
_DECISIVE = ("space", "operations", "method", "threshold", "relaxation", "max_skips", "average_last")
_EPOCHS_COMPARED = 10

flags.DEFINE_string(
    "alphas",
    None,
    "A search's directory, or an .npz file with its alphas. With --consensus several, comma-separated.",
    flag_values=COMMAND.flags,
    module_name="input",
)
define_name(
    "space",
    None,
    tuple(SPACES),
    f"{', '.join(SPACES)}. Not given: as the search's flags.txt says, else that of the alphas. What else decides a "
    "space, as the widths of its layers, is the search's or a default.",
    flag_values=COMMAND.flags,
    module_name="input",
)
flags.DEFINE_string(
    "operations",
    None,
    "The candidates of the space darts, comma-separated, one for each column of the alphas. Not given: as the search's "
    "flags.txt says, else FairDARTS' for 7 columns and DARTS' for 8.",
    flag_values=COMMAND.flags,
    module_name="input",
)
flags.DEFINE_boolean(
    "consensus",
    False,
    "Derives from the mean of the mixing weights of all searches that --alphas names, and says on stderr how alike "
    "their own genotypes are.",
    flag_values=COMMAND.flags,
    module_name="input",
)
define_name(
    "method",
    derivation.DEFAULT_METHOD,
    tuple(derivation.METHODS),
    f"{', '.join(derivation.METHODS)}. {_FROM_RUN}",
    flag_values=COMMAND.flags,
    module_name="derivation",
)
flags.DEFINE_float(
    "threshold",
    derivation.DEFAULT_THRESHOLD,
    f"The least value that is kept, from 0 to 1. {_FROM_RUN}",
    flag_values=COMMAND.flags,
    module_name="derivation",
)
define_name(
    "relaxation",
    "sigmoid",
    tuple(RELAXATIONS),
    f"{', '.join(RELAXATIONS)}: from alphas to values. {_FROM_RUN}",
    flag_values=COMMAND.flags,
    module_name="derivation",
)
flags.DEFINE_integer(
    "max_skips",
    -1,
    f"The most skip connections that the normal cell, or the layers, may have; -1 for no limit. {_FROM_RUN}",
    lower_bound=-1,
    upper_bound=1000,
    flag_values=COMMAND.flags,
    module_name="derivation",
)
flags.DEFINE_integer(
    "average_last",
    1,
    f"Epochs whose mixing weights are averaged, up to the last. {_FROM_RUN}",
    lower_bound=1,
    upper_bound=100_000,
    flag_values=COMMAND.flags,
    module_name="derivation",
)
flags.DEFINE_string(
    "output", None, "Also writes the genotype to this file.", flag_values=COMMAND.flags, module_name="output"
)
flags.DEFINE_boolean(
    "report",
    False,
    "Prints each choice with its value, its competitors and its margins on stderr. Of a search's directory with a "
    f"history, and of several, also each edge with the share of the last {_EPOCHS_COMPARED} epochs, or of the "
    "searches, that choose the same.",
    flag_values=COMMAND.flags,
    module_name="output",
)
define_format(COMMAND.flags)


def main() -> None:
    """Prints the genotype alone on stdout; a report goes to stderr, but with ``--format=json`` into one document.

    Raises:
        FairDartsError: When a flag, the alphas or the search's flags.txt are not usable, or a cell would be empty.
        OSError: When the output file cannot be written; nothing is printed then.
    """
    paths = _paths()
    settings = _settings(paths)
    runs = [sensitivity.load_weights(path, settings, _last_epoch(path)) for path in paths]
    values = sensitivity.consensus(runs)
    genotype = settings.derive(values)
    if COMMAND.flags.output:
        genotype.save(COMMAND.flags.output)
    report = _Report(settings, settings.confidence(values), *_rows(genotype, paths, runs, settings))
    agreement = sensitivity.agreement(sensitivity.derive_each(runs, settings)) if len(runs) > 1 else None
    if COMMAND.flags.format == "json":
        print(to_json({"genotype": json.loads(genotype.to_json()), **report.document(), "agreement": agreement}))
        return
    if COMMAND.flags.report:
        print(report.text(), file=sys.stderr)
    if agreement is not None:
        print(sensitivity.format_agreement(agreement, len(runs)), file=sys.stderr)
    print(genotype.to_json())


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _paths() -> list[Path]:
    named = COMMAND.flags.alphas
    if not named:
        raise ConfigurationError("which alphas? Name a search's directory or an .npz file with --alphas.")
    if COMMAND.flags.consensus:
        return [Path(path.strip()) for path in named.split(",") if path.strip()]
    if "," in named and not Path(named).exists():
        raise ConfigurationError(f"--alphas={named} names several searches: add --consensus, or name one.")
    return [Path(named)]


def _last_epoch(path: Path) -> int | None:
    """Returns the epoch that counts in a search that stopped early, or None."""
    stop = Stop.load(path)
    return stop.counts if stop else None


@dataclasses.dataclass(frozen=True)
class _Report:
    """How sure each choice is.

    Args:
        settings: What decided the derivation.
        choices: The genotype's items with their margins.
        rows: Each row of the alphas with the share of what was compared that chooses the same; empty where nothing was.
        compared: What was compared, in words.
    """

    settings: sensitivity.DerivationSettings
    choices: list[derivation.Confidence]
    rows: list[sensitivity.RowShare]
    compared: str

    def text(self) -> str:
        """Returns tables for people."""
        # An .npz file names neither: read otherwise it gives another genotype, and no error.
        blocks = [f"read as {self.settings.relaxation} of {', '.join(self.settings.operations)}"]
        blocks.append(derivation.format_report(self.choices))
        if self.rows:
            blocks.append(sensitivity.format_rows(self.rows, self.compared, self.settings.space.row_noun))
        return "\n".join(blocks)

    def document(self) -> dict[str, object]:
        """Returns the same for programs."""
        choices = [
            dataclasses.asdict(choice)
            | {"item": {"operation": choice.item.op, "place": choice.item.place}}
            | {"smallest_margin": choice.smallest_margin, "coin_flip": choice.coin_flip}
            for choice in self.choices
        ]
        return {
            "read_as": {"relaxation": self.settings.relaxation, "operations": self.settings.operations},
            "choices": choices,
            "compared": self.compared,
            "rows": [dataclasses.asdict(row) for row in self.rows],
        }


def _rows(
    genotype: AnyGenotype, paths: list[Path], runs: list[sensitivity.Tables], settings: sensitivity.DerivationSettings
) -> tuple[list[sensitivity.RowShare], str]:
    """Returns the rows of the alphas with their shares, and what was compared; nothing where no report is asked for."""
    if not COMMAND.flags.report:
        return [], ""
    if len(paths) > 1:
        others, compared = sensitivity.derive_each(runs, settings), f"{len(runs)} searches"
    elif (paths[0] / "history.npz").is_file():
        history = load_history(paths[0])
        epochs, last = history.pop("epoch"), _last_epoch(paths[0])
        if last is not None:
            history = {kind: tables[epochs <= last] for kind, tables in history.items()}
        others = sensitivity.over_epochs(history, settings, _EPOCHS_COMPARED)
        compared = f"the last {len(others)} epochs" + (f" up to epoch {last}" if last is not None else "")
    else:
        return [], ""
    return sensitivity.row_shares(genotype, others, settings.space), compared


def _settings(paths: list[Path]) -> sensitivity.DerivationSettings:
    """Returns what decides the derivation: a flag as given, else as the searches had it, else its default."""
    texts = _agreed([_texts(path) for path in paths])
    relaxation(texts["relaxation"])
    max_skips = _whole_number("max_skips", texts)
    return sensitivity.DerivationSettings(
        space=_space(paths, texts),
        relaxation=texts["relaxation"],
        method=texts["method"],
        threshold=_threshold(texts["threshold"]),
        max_skips=None if max_skips < 0 else max_skips,
        average_last=max(_whole_number("average_last", texts), 1),
    )


def _space(paths: list[Path], texts: dict[str, str]) -> SearchSpace:
    """Returns the space of the alphas, by the flags and by what the searches recorded of it.

    Raises:
        ConfigurationError: When the searches differ in it.
    """
    given = {name: texts[name] for name in ("space", "operations") if texts[name]}
    spaces = []
    for path in paths:
        shapes = {kind: table.shape for kind, table in load_alphas(path).items()}
        spaces.append(recorded_space(_recorded(path) | given, shapes))
    if any(space != spaces[0] for space in spaces):
        raise ConfigurationError(
            "the searches differ in the size of their cells or layers. Name searches of one search space."
        )
    return spaces[0]


def _recorded(alphas: Path) -> dict[str, str]:
    return Run(alphas if alphas.is_dir() else alphas.parent).settings() or {}


def _texts(alphas: Path) -> dict[str, str]:
    searched = _recorded(alphas)
    settings = {}
    for name in _DECISIVE:
        flag = COMMAND.flags[name]
        is_flag = flag.present or name not in searched
        settings[name] = ("" if flag.value is None else str(flag.value)) if is_flag else searched[name]
    return settings


def _agreed(settings: list[dict[str, str]]) -> dict[str, str]:
    """Returns the settings that all searches share."""
    first = settings[0]
    for other in settings[1:]:
        for name in _DECISIVE:
            if other[name] != first[name]:
                raise ConfigurationError(
                    f"the searches differ: --{name} was {first[name] or 'not recorded'} and "
                    f"{other[name] or 'not recorded'}. Name searches that share it, or give --{name}."
                )
    return first


def _whole_number(name: str, texts: dict[str, str]) -> int:
    try:
        return int(texts[name])
    except ValueError:
        raise ConfigurationError(f"--{name} is {texts[name]!r}. Expected a whole number.") from None


def _threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"the threshold is {text!r}. Expected a number from 0 to 1.") from None


if __name__ == "__main__":
    run()
