"""What commands share that run long in a directory and can be stopped."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from fairdarts_tf.cli.app import EXIT_INTERRUPTED, EXIT_TERMINATED, Command
from fairdarts_tf.errors import ConfigurationError


def required_workdir(command: Command, what: str = "the run's directory") -> str:
    """Returns ``--workdir``.

    Raises:
        ConfigurationError: When it is not given.
    """
    if not command.flags.workdir:
        raise ConfigurationError(f"where to? Name {what} with --workdir.")
    return command.flags.workdir


def stopped(by: signal.Signals | None, flagfile: Path | None = None) -> int:
    """Says that all is saved, and returns the exit code of what a signal stopped.

    Args:
        by: The signal.
        flagfile: What the command can go on from, in its directory. Defaults to None: the same command alone.
    """
    other = "." if flagfile is None else f", or --flagfile={flagfile}"
    print(f"stopped and saved. To go on, give the same command again{other}", file=sys.stderr)
    return EXIT_INTERRUPTED if by == signal.SIGINT else EXIT_TERMINATED
