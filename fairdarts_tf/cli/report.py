"""The command ``report``: a run's directory in, an HTML page out. Needs no TensorFlow, so it starts at once."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import EXIT_TERMINATED, Command
from fairdarts_tf.cli.output_format import define_format, to_json
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.report.comparison import write_comparison
from fairdarts_tf.report.page import write_report
from fairdarts_tf.report.run_data import RunData, read_run
from fairdarts_tf.report.summary import duration, last, total_seconds

COMMAND = Command(
    "report",
    """Writes a search as one HTML page, which opens from disk and needs no network, and prints where it is.

Several directories give a page that compares them. A search may still be going: the page shows how far it is.""",
)

flags.DEFINE_multi_string(
    "workdir",
    [],
    "The search's directory; several, separated by commas or each with its own flag, are compared.",
    flag_values=COMMAND.flags,
    module_name="input",
)
flags.DEFINE_string(
    "output",
    None,
    "Where the page goes. Not given: report.html in the search's directory, or ./comparison.html for several.",
    flag_values=COMMAND.flags,
    module_name="output",
)
flags.DEFINE_boolean(
    "watch",
    False,
    "Writes the page again and again while a search is going on; the open page follows.",
    flag_values=COMMAND.flags,
    module_name="output",
)
flags.DEFINE_float(
    "interval", 10.0, "Seconds between two pages of --watch.", flag_values=COMMAND.flags, module_name="output"
)

define_format(COMMAND.flags)

_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.1, 86_400

Write = Callable[[float | None], Path]
"""Writes the page; takes the seconds after which it loads itself anew, None for never."""


def main() -> None:
    """Writes the page and prints its path.

    Raises:
        FairDartsError: When a flag is not usable or a directory holds no run.
        OSError: When the page cannot be written.
    """
    workdirs = [workdir for given in COMMAND.flags.workdir for workdir in _split(given) if workdir]
    if not workdirs:
        raise ConfigurationError("which search? Name its directory with --workdir.")
    _check_interval(COMMAND.flags.interval)
    write = _writer(workdirs, COMMAND.flags.output)
    is_text = COMMAND.flags.format == "text"
    page = _watch(workdirs, write, COMMAND.flags.interval, is_text) if COMMAND.flags.watch else write(None)
    if not is_text:
        print(to_json({"page": page, "runs": [_document(read_run(workdir)) for workdir in workdirs]}))
    elif not COMMAND.flags.watch:
        print(page)


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _split(given: str) -> list[str]:
    """Returns the directories that one flag names; a directory whose own name has a comma is one."""
    return [given] if os.path.isdir(given) else given.split(",")


def _check_interval(interval: float) -> None:
    if not _SHORTEST_INTERVAL <= interval <= _LONGEST_INTERVAL:
        raise ConfigurationError(
            f"--interval is {interval:g}, but must be from {_SHORTEST_INTERVAL:g} to {_LONGEST_INTERVAL} seconds."
        )


def _writer(workdirs: list[str], output: str | None) -> Write:
    if len(workdirs) == 1:
        return lambda reload_seconds: write_report(workdirs[0], output or None, reload_seconds)
    return lambda reload_seconds: write_comparison(workdirs, output or "comparison.html", reload_seconds)


def _document(run: RunData) -> dict[str, object]:
    """Returns what the page says of a run, in numbers."""
    state = run.state()
    return {
        "workdir": run.workdir,
        "state": state.name,
        "epochs": state.epochs,
        "planned_epochs": state.planned,
        **{name: last(run, name) for name in ("search_accuracy", "train_accuracy", "search_loss", "train_loss")},
        "seconds": total_seconds(run),
        "genotype": None if run.genotype is None else json.loads(run.genotype.to_json()),
        "problems": run.problems,
    }


def _watch(workdirs: list[str], write: Write, interval: float, says_where: bool) -> Path:
    """Writes while one of the runs may go on; the last page, also after a signal, does not load itself anew."""
    page = write(interval)
    if says_where:
        print(page, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    try:
        while any(read_run(workdir).state().may_go_on for workdir in workdirs):
            time.sleep(interval)
            write(interval)
    finally:
        write(None)
    for workdir in workdirs:
        state = read_run(workdir).state()
        if state.name != "finished":
            print(
                f"report: {workdir} is not finished, but nothing was written there for {duration(state.silence)}: "
                "watch again once it goes on.",
                file=sys.stderr,
            )
    return page


if __name__ == "__main__":
    run()
