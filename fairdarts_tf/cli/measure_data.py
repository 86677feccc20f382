"""The command ``measure_data``: how many images a second the data side gives on this machine."""

from __future__ import annotations

import dataclasses
import sys
import textwrap

from fairdarts_tf.benchmarking.data_settings import CHOICES, RECIPES, DataMeasurement
from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.output_format import define_format, formatted, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.cli.settings_flags import define_flags, read_settings
from fairdarts_tf.profiling.tables import WIDTH, table

MEASURED = (
    "batches of the training split, taken as fast as they come, by no network. The time of a core is processor time of "
    "all threads, so that other programs change it little; a device that computes R images a second needs R times as "
    "much, of a search for both halves."
)
COMMAND = Command(
    "measure_data",
    f"""Measures how many images a second the data side gives, by the form that images are stored in and by recipe.

Recipes: {"; ".join(f"{name}: {text}" for name, text in RECIPES.items())}.

Measured: {MEASURED}""",
)

_SUBJECTS = {"images": ("dataset", "data_dir", "image_size", "resize_size", "classes", "cache_dir")}

define_flags(DataMeasurement, _SUBJECTS, "measurement", COMMAND.flags, CHOICES)
define_format(COMMAND.flags)


def main() -> None:
    """Prints what was measured.

    Raises:
        FairDartsError: When a flag is unfit, or the images cannot be loaded.
    """
    settings = read_settings(DataMeasurement, COMMAND.flags, None)
    load_tensorflow()
    from fairdarts_tf.benchmarking.data import DataResult, measure_data

    result: DataResult = measure_data(settings, say=lambda text: print(text, file=sys.stderr, flush=True))
    document = {"settings": dataclasses.asdict(settings), **dataclasses.asdict(result), "measured": MEASURED}
    print(formatted(COMMAND.flags, lambda: _text(settings, result), lambda: to_json(document)))


def _text(settings: DataMeasurement, result: object) -> str:
    rows = [
        [
            f"{row.storage}, {row.recipe}",
            f"{row.images_per_second:.0f}",
            f"{row.core_milliseconds:.2f}",
            f"{1000 / row.core_milliseconds:.0f}",
            f"{row.core_milliseconds:.1f}",
        ]
        for row in result.rows
    ]
    names = ["form, recipe", "images/s", "ms of a core", "images/s of a core", "cores for 1,000 images/s"]
    loading = ", ".join(f"{storage} {seconds:.1f} s" for storage, seconds in result.loading_seconds.items())
    return "\n".join(
        [
            f"{result.images} images, {settings.image_size} x {settings.image_size} pixels in squares of "
            f"{settings.resize_size or settings.image_size}, batches of {settings.batch_size}, {result.cores} cores",
            "",
            *table(names, rows),
            "",
            f"loading: {loading}",
            *textwrap.wrap(f"Measured: {MEASURED}", WIDTH),
        ]
    )


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
