"""The command ``measure_latency``: how long every layer of a search space takes on this device, as a table."""

from __future__ import annotations

import dataclasses
import sys

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.flag_kinds import define_names
from fairdarts_tf.cli.output_format import define_format, formatted, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.cli.settings_flags import define_flags, read_values
from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.genotypes import published_names
from fairdarts_tf.latency_table import FORMS
from fairdarts_tf.prices import cost_size
from fairdarts_tf.profiling.tables import table as as_table
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_values import CHOICES
from fairdarts_tf.spaces import SPACES, search_space, space_of

COMMAND = Command(
    "measure_latency",
    """Measures how long every layer takes that networks of a search space may have, on this device, image by image.

The table, a JSON file, is what bin/search --cost=latency --latency_table=FILE reads. It is complete after every layer:
started again, the command goes on where it stopped, and measures nothing twice. Times hold nothing of what a call
costs, so that those of a network's layers add up to the network's; --genotype shows how closely.

Let nothing else run meanwhile. The flags of the space and of the cost's size are those of the search.

Examples:

The cells of S1, at the papers' 36 channels and 20 cells, for CIFAR-10:
bin/measure_latency --table=runs/latency.json --genotype=FairDARTS_a,FairDARTS_b

At ImageNet's size:
bin/measure_latency --table=runs/latency.json --cost_network=imagenet --cost_channels=48 --cost_layers=14 \\
    --cost_image_size=224 --cost_classes=1000""",
)

_SIZES = ("cost_channels", "cost_layers", "cost_network", "cost_image_size", "cost_classes")
_OF_SUPERNETS = ("init_channels", "layers", "stem_multiplier")
_OF_SPACES = {field.name for name in SPACES for field in dataclasses.fields(search_space(name))}

_FLAGS = {"flag_values": COMMAND.flags, "module_name": "measurement"}
flags.DEFINE_string("table", None, "The table's file; one that exists is gone on with.", **_FLAGS)
define_names("forms", FORMS, FORMS, f"What runs the layers: {', '.join(FORMS)}.", **_FLAGS)
flags.DEFINE_integer("threads", 1, "Threads that a layer is computed with.", lower_bound=1, upper_bound=1024, **_FLAGS)
flags.DEFINE_integer("runs", 50, "How many runs are timed.", lower_bound=1, upper_bound=100_000, **_FLAGS)
flags.DEFINE_integer("image_channels", 3, "3 for RGB, 1 for grey levels.", lower_bound=1, upper_bound=3, **_FLAGS)
define_names(
    "genotype",
    (),
    published_names(),
    "Genotypes whose networks are measured too, beside the sums of their layers' times.",
    files=True,
    **_FLAGS,
)
define_flags(
    SearchSettings,
    {"size of the network": _SIZES},
    "search space",
    COMMAND.flags,
    CHOICES,
    without={field.name for field in dataclasses.fields(SearchSettings)}
    - {"space", *_SIZES, *_OF_SPACES.difference(_OF_SUPERNETS)},
    defaults={"cost_image_size": 32, "cost_classes": 10},
)
define_format(COMMAND.flags)


def main() -> None:
    """Measures what the table lacks, and prints how far the sums of layers are from networks, where any are named.

    Raises:
        FairDartsError: When flags, table or genotypes are unfit.
        OSError: When the table cannot be written.
    """
    given = COMMAND.flags
    if not given.table:
        raise ConfigurationError("where to? Name the table's file with --table.")
    unknown = [form for form in given.forms if form not in FORMS]
    if unknown or not given.forms:
        raise ConfigurationError(f"--forms: {unknown_name('form', unknown[0] if unknown else '', FORMS)}")
    settings = SearchSettings(**read_values(SearchSettings, given, None))
    space, size = space_of(settings), cost_size(settings, (32, 32, given.image_channels), 10)
    genotypes = [load_genotype(name) for name in given.genotype]
    shapes = [part.shape for part in space.cost_parts(size) if part.shape is not None]
    for genotype in genotypes:
        shapes += [part.shape for part in space.network_parts(genotype, size) if part.shape is not None]
    load_tensorflow()
    from fairdarts_tf.profiling.layer_latency import compare_networks, measure_layers

    table = measure_layers(given.table, shapes, given.forms, given.threads, given.runs)
    layers = {form: len(timings) for form, timings in table.timings.items()}
    rows = [
        {
            "genotype": name,
            "form": row.form,
            "expected_ms": row.expected_ms,
            "measured_ms": row.measured_ms,
            "ratio": row.ratio,
        }
        for form in (given.forms if genotypes else ())
        for name, row in zip(given.genotype, compare_networks(table, form, genotypes, size, given.runs), strict=True)
    ]
    document = {"table": given.table, "layers": layers, "networks": rows}
    print(formatted(given, lambda: _text(given.table, layers, rows), lambda: to_json(document)))


def _text(path: str, layers: dict[str, int], rows: list[dict[str, object]]) -> str:
    lines = [f"{path}: {', '.join(f'{count} layers in {form}' for form, count in layers.items())}"]
    if rows:
        texts = [
            [
                row["genotype"],
                row["form"],
                f"{row['expected_ms']:.2f}",
                f"{row['measured_ms']:.2f}",
                f"{row['ratio']:.3f}",
            ]
            for row in rows
        ]
        lines += ["", *as_table(["genotype", "form", "sum of layers (ms)", "measured (ms)", "ratio"], texts)]
    return "\n".join(lines)


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
