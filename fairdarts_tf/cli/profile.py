"""The command ``profile``: what the network of a genotype costs, counted and measured."""

from __future__ import annotations

import dataclasses
import sys

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.flag_kinds import define_names, define_whole_or_auto
from fairdarts_tf.cli.output_format import define_format, formatted, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.genotypes import published_names
from fairdarts_tf.network_widths import AUTO, MOBILE_LIMIT, PAPERS_SIZES, widest
from fairdarts_tf.profiling.counts import COUNTED, Profile, as_fields, check_size, count
from fairdarts_tf.profiling.measurements import Measurements
from fairdarts_tf.profiling.tables import comparison_text, counts_text, latency_text, limit_text
from fairdarts_tf.quantities import read_quantity

ALL = "published"

COMMAND = Command(
    "profile",
    f"""Counts parameters and multiply-adds of the network of a genotype, and measures its latency on this device.

{COUNTED}
With --nolatency nothing is measured, and the command answers at once.

Examples:

Cells of the papers, transferred to ImageNet: which keep within 600 million multiply-adds?
bin/profile --network=imagenet --genotype=published

One of them as wide as that limit allows:
bin/profile --network=imagenet --genotype=FairDARTS_a --init_channels=auto --nolatency""",
)

_NETWORK = {"flag_values": COMMAND.flags, "module_name": "network"}
define_names(
    "genotype",
    (),
    (*published_names(), ALL),
    "Name of a published genotype, a file, or a search's directory (one with a published name is written ./NAME). "
    f"Several, or {ALL} for every published one: a table of their counts.",
    files=True,
    **_NETWORK,
)
flags.DEFINE_enum(
    "network", "cifar", list(PAPERS_SIZES), "The stem: one convolution, or three that halve the image.", **_NETWORK
)
define_whole_or_auto(
    "init_channels",
    None,
    "Channels of a node in the first cells, or auto: the most that keep within --macs_limit. Default: the papers', 36 "
    "for cifar, 48 for imagenet.",
    **_NETWORK,
)
flags.DEFINE_string(
    "macs_limit",
    "",
    "Multiply-adds of an image to compare with, as 600M. Default for imagenet: 600M, up to which papers say mobile.",
    **_NETWORK,
)
for _name, _help in {
    "layers": "Number of cells. Default: the papers', 20 for cifar, 14 for imagenet.",
    "image_size": "Side of the images, in pixels. Default: 32 for cifar, 224 for imagenet.",
    "image_channels": "3 for RGB, 1 for grey levels. Default: 3.",
    "num_classes": "Number of classes. Default: 10 for cifar, 1000 for imagenet.",
}.items():
    flags.DEFINE_integer(_name, None, _help, **_NETWORK)
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
    names = published_names() if given.genotype == [ALL] else given.genotype
    profiles = [_profile(name) for name in names]
    if len(profiles) > 1:
        documents = lambda: to_json([_document(profile) for profile in profiles])  # noqa: E731
        print(formatted(given, lambda: comparison_text(profiles), documents))
        return
    (profile,) = profiles
    measured = None
    if given.latency:
        load_tensorflow()
        from fairdarts_tf.profiling.latency import measure_latency

        measured = measure_latency(load_genotype(profile.name), profile.size, given.runs)
    print(formatted(given, lambda: _text(profile, measured), lambda: _json(profile, measured)))


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _profile(name: str) -> Profile:
    given = COMMAND.flags
    genotype, papers = load_genotype(name), PAPERS_SIZES[given.network]
    names = [field.name for field in dataclasses.fields(NetworkSize) if field.name != "stem"]
    size = dataclasses.replace(papers, **{name: given[name].value for name in names if given[name].value is not None})
    limit = MOBILE_LIMIT if given.network == "imagenet" else None
    if given.macs_limit:
        limit = read_quantity("macs_limit", given.macs_limit)
    if size.init_channels == AUTO:
        if limit is None:
            raise ConfigurationError("--init_channels=auto needs to know how many may fit: --macs_limit, as 600M.")
        check_size(dataclasses.replace(size, init_channels=papers.init_channels))
        size = widest(genotype, size, limit)
    return Profile(name, size, count(genotype, size), limit)


def _text(profile: Profile, measured: Measurements | None) -> str:
    limit = [limit_text(profile)] if profile.limit is not None else []
    latency = [f"\n{latency_text(measured)}"] if measured is not None else []
    return "\n".join([*limit, counts_text(profile.counts), *latency])


def _json(profile: Profile, measured: Measurements | None) -> str:
    document = _document(profile)
    document["counted"] = COUNTED
    if measured is not None:
        document["latency"] = dataclasses.asdict(measured) | {"measured": measured.describe()}
    return to_json(document)


def _document(profile: Profile) -> dict[str, object]:
    limit = {} if profile.limit is None else {"macs_limit": profile.limit, "is_within_limit": profile.is_within_limit}
    head = {"genotype": profile.name, "network": dataclasses.asdict(profile.size)}
    return head | limit | as_fields(profile.counts)


if __name__ == "__main__":
    run()
