"""The command ``benchmark``: time, start-up and memory on this machine, beside PyTorch."""

from __future__ import annotations

import dataclasses
import sys

from fairdarts_tf.benchmarking.multiply_adds import COUNTED
from fairdarts_tf.benchmarking.results import BenchmarkResult
from fairdarts_tf.benchmarking.run import run_benchmark
from fairdarts_tf.benchmarking.settings import CHOICES, BenchmarkSettings
from fairdarts_tf.benchmarking.tables import MEASURED, benchmark_text
from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.output_format import define_format, formatted, to_json
from fairdarts_tf.cli.settings_flags import define_flags, read_settings

COMMAND = Command(
    "benchmark",
    f"""Measures a search, a training or an inference on this machine, beside the same in plain PyTorch.

Measured: {MEASURED}

Counted: {COUNTED}""",
)

_SUBJECTS = {
    "size": ("genotype", "init_channels", "layers", "batch_size", "image_size"),
    "measurement": ("rounds", "steps", "starts", "halves"),
}

define_flags(BenchmarkSettings, _SUBJECTS, "what is measured", COMMAND.flags, CHOICES)
define_format(COMMAND.flags)


def main() -> None:
    """Prints what was measured.

    Raises:
        FairDartsError: When a flag is unfit, a peer is not installed, or a program cannot be measured.
        OSError: When no process can be started.
    """
    settings = read_settings(BenchmarkSettings, COMMAND.flags, None)
    result = run_benchmark(settings, say=lambda text: print(text, file=sys.stderr, flush=True))
    print(formatted(COMMAND.flags, lambda: benchmark_text(settings, result), lambda: _json(settings, result)))


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _json(settings: BenchmarkSettings, result: BenchmarkResult) -> str:
    document = {
        "settings": dataclasses.asdict(settings),
        **dataclasses.asdict(result),
        "measured": MEASURED,
        "counted": COUNTED,
    }
    return to_json(document)


if __name__ == "__main__":
    run()
