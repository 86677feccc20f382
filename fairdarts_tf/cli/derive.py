"""The command that turns a search's alphas into a genotype. Needs no TensorFlow, so it starts at once."""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from fairdarts_tf import derivation
from fairdarts_tf.alphas import load_alphas
from fairdarts_tf.cli.app import Command
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import DARTS_OPERATIONS, FAIRDARTS_OPERATIONS
from fairdarts_tf.relaxations import RELAXATIONS, relaxation
from fairdarts_tf.runs import Run

COMMAND = Command("derive", "Derives a genotype from the alphas of a search and prints it as JSON.")

_FROM_RUN = "Not given: as the search's flags.txt says, else this default."

flags.DEFINE_string(
    "alphas",
    None,
    "A search's directory, or an .npz file with its alphas.",
    flag_values=COMMAND.flags,
    module_name="input",
)
flags.DEFINE_string(
    "operations",
    None,
    "The candidates, comma-separated, one for each column of the alphas. Not given: as the search's flags.txt says, "
    "else FairDARTS' for 7 columns and DARTS' for 8.",
    flag_values=COMMAND.flags,
    module_name="input",
)
flags.DEFINE_string(
    "method",
    derivation.DEFAULT_METHOD,
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
flags.DEFINE_string(
    "relaxation",
    "sigmoid",
    f"{', '.join(RELAXATIONS)}: from alphas to values. {_FROM_RUN}",
    flag_values=COMMAND.flags,
    module_name="derivation",
)
flags.DEFINE_string(
    "output", None, "Also writes the genotype to this file.", flag_values=COMMAND.flags, module_name="output"
)
flags.DEFINE_boolean(
    "report",
    False,
    "Prints each choice with its value, its competitors and its margins on stderr.",
    flag_values=COMMAND.flags,
    module_name="output",
)


def main() -> None:
    """Prints the genotype alone on stdout; a report goes to stderr.

    Raises:
        FairDartsError: When a flag, the alphas or the search's flags.txt are not usable, or a cell would be empty.
        OSError: When the output file cannot be written; nothing is printed then.
    """
    if not COMMAND.flags.alphas:
        raise ConfigurationError("which alphas? Name a search's directory or an .npz file with --alphas.")
    alphas = load_alphas(COMMAND.flags.alphas)
    settings = _settings(Path(COMMAND.flags.alphas))
    operations = _operations(settings["operations"], alphas["normal"].shape[1])
    method, threshold = settings["method"], _threshold(settings["threshold"])
    relax = relaxation(settings["relaxation"]).of_array
    values = {kind: relax(table) for kind, table in alphas.items()}
    genotype = derivation.derive(values, operations, method, threshold)
    if COMMAND.flags.output:
        genotype.save(COMMAND.flags.output)
    if COMMAND.flags.report:
        rows = derivation.confidence(values, operations, method, threshold)
        # An .npz file names neither: read otherwise it gives another genotype, and no error.
        print(f"read as {settings['relaxation']} of {', '.join(operations)}", file=sys.stderr)
        print(derivation.format_report(rows), file=sys.stderr)
    print(genotype.to_json())


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _settings(alphas: Path) -> dict[str, str]:
    """Returns what decides the derivation: a flag as given, else as the search had it, else its default."""
    searched = Run(alphas if alphas.is_dir() else alphas.parent).settings() or {}
    settings = {}
    for name in ("operations", "method", "threshold", "relaxation"):
        flag = COMMAND.flags[name]
        settings[name] = str(flag.value or "") if flag.present or name not in searched else searched[name]
    return settings


def _threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"the threshold is {text!r}. Expected a number from 0 to 1.") from None


def _operations(listed: str, columns: int) -> tuple[str, ...]:
    if listed:
        return tuple(name.strip() for name in listed.split(","))
    for operations in (FAIRDARTS_OPERATIONS, DARTS_OPERATIONS):
        if len(operations) == columns:
            return operations
    raise ConfigurationError(
        f"which operations? The alphas have {columns} columns. Name one for each with --operations."
    )


if __name__ == "__main__":
    run()
