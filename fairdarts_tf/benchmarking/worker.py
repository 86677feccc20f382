"""Run as a process of its own: opens the channel to the benchmark, then runs one program's worker."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from fairdarts_tf.benchmarking.channel import Channel
from fairdarts_tf.errors import FairDartsError


def main(module: str, *arguments: str) -> int:
    """Runs the `main` of a module with a channel of the standard streams; returns the exit code."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # What libraries print goes to standard error.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    channel = Channel(replies, sys.stdin)
    channel.phase("interpreter")
    try:
        import_module(module).main(channel, *arguments)
    except FairDartsError as error:
        channel.fail(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
