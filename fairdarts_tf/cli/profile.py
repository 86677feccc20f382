"""The command ``profile``: what the network of a genotype costs, counted and measured."""

from __future__ import annotations

import dataclasses
import json
import sys

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.output_format import define_format, formatted
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.profiling.counts import COUNTED, Counts, as_fields, count
from fairdarts_tf.profiling.measurements import Measurements
from fairdarts_tf.profiling.tables import counts_text, latency_text

COMMAND = Command(
    "profile",
    f"""Counts parameters and multiply-adds of the network of a genotype, and measures its latency on this device.

{COUNTED}
With --nolatency nothing is measured, and the command answers at once.""",
)

flags.DEFINE_string(
    "genotype",
    None,
    "Name of a published genotype, a file, or a search's directory (one with a published name is written ./NAME).",
    flag_values=COMMAND.flags,
    module_name="network",
)
flags.DEFINE_integer(
    "init_channels",
    36,
    "Channels of a node in the first cells of the space darts. The papers': 36 for CIFAR-10, 48 for ImageNet.",
    flag_values=COMMAND.flags,
    module_name="network",
)
flags.DEFINE_integer(
    "layers",
    20,
    "Number of cells of the space darts. The papers': 20 for CIFAR-10, 14 for ImageNet.",
    flag_values=COMMAND.flags,
    module_name="network",
)
flags.DEFINE_integer(
    "image_size", 32, "Side of the images, in pixels.", flag_values=COMMAND.flags, module_name="network"
)
flags.DEFINE_integer(
    "image_channels", 3, "3 for RGB, 1 for grey levels.", flag_values=COMMAND.flags, module_name="network"
)
flags.DEFINE_integer("num_classes", 10, "Number of classes.", flag_values=COMMAND.flags, module_name="network")
flags.DEFINE_enum(
    "network",
    "cifar",
    ["cifar", "imagenet"],
    "The stem of the space darts: one convolution, or three that halve the image.",
    flag_values=COMMAND.flags,
    module_name="network",
)
flags.DEFINE_boolean(
    "latency",
    True,
    "Whether latency and memory are measured too, of Keras, SavedModel and TFLite; takes minutes for a large network.",
    flag_values=COMMAND.flags,
    module_name="measurement",
)
flags.DEFINE_integer(
    "runs",
    50,
    "How many runs are timed.",
    lower_bound=1,
    upper_bound=100_000,
    flag_values=COMMAND.flags,
    module_name="measurement",
)
define_format(COMMAND.flags)


def main() -> None:
    """Prints what the network costs.

    Raises:
        FairDartsError: When the genotype or a size is unfit.
        OSError: When there is no room for the files whose latency is measured.
    """
    given = COMMAND.flags
    if not given.genotype:
        raise ConfigurationError("which network? Name a published genotype, a file or a search with --genotype.")
    genotype = load_genotype(given.genotype)
    size = _size()
    counts = count(genotype, size)
    measured = None
    if given.latency:
        load_tensorflow()
        from fairdarts_tf.profiling.latency import measure_latency

        measured = measure_latency(genotype, size, given.runs)
    print(formatted(given, lambda: _text(counts, measured), lambda: _json(size, counts, measured)))


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _size() -> NetworkSize:
    names = [field.name for field in dataclasses.fields(NetworkSize) if field.name != "stem"]
    return NetworkSize(**{name: COMMAND.flags[name].value for name in names}, stem=COMMAND.flags.network)


def _text(counts: Counts, measured: Measurements | None) -> str:
    return counts_text(counts) + ("" if measured is None else f"\n\n{latency_text(measured)}")


def _json(size: NetworkSize, counts: Counts, measured: Measurements | None) -> str:
    document = {"genotype": COMMAND.flags.genotype, "network": dataclasses.asdict(size), **as_fields(counts)}
    document["counted"] = COUNTED
    if measured is not None:
        document["latency"] = dataclasses.asdict(measured) | {"measured": measured.describe()}
    return json.dumps(document, indent=2)


if __name__ == "__main__":
    run()
