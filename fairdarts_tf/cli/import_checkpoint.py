"""The command `import_checkpoint`: a PyTorch checkpoint of the authors in, a trained network's directory out."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.flag_kinds import define_name
from fairdarts_tf.cli.output_format import define_format, formatted, to_json
from fairdarts_tf.cli.quiet import load_tensorflow
from fairdarts_tf.data.names import DATASETS
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.files import check_new_directory
from fairdarts_tf.genotypes import Genotype, published_names
from fairdarts_tf.importing.description import describe_checkpoint
from fairdarts_tf.importing.torch_checkpoints import read_torch_state

COMMAND = Command(
    "import_checkpoint",
    """Reads a PyTorch checkpoint of FairDARTS' or DARTS' authors and leaves its network in --output_dir.

The directory is like one of a training: evaluate it, predict with it or export it. Needs the package torch.""",
    arguments="FILE",
)

_AS_FILE = "Not given: as the file shows it; given: checked."

define_name(
    "genotype",
    None,
    published_names(),
    "The cells of the network: the name of a published genotype, a file, or a search's directory (one with a published "
    "name is written ./NAME).",
    flag_values=COMMAND.flags,
    module_name="network",
)
flags.DEFINE_enum(
    "network",
    None,
    ["cifar", "imagenet"],
    f"The stem. {_AS_FILE}",
    flag_values=COMMAND.flags,
    module_name="network",
)
for _name, _subject in (
    ("init_channels", "Channels of a node in the first cells."),
    ("layers", "Number of cells."),
    ("num_classes", "Number of classes."),
):
    flags.DEFINE_integer(
        _name,
        None,
        f"{_subject} {_AS_FILE}",
        lower_bound=1,
        upper_bound=1_000_000,
        flag_values=COMMAND.flags,
        module_name="network",
    )
define_name(
    "dataset",
    "cifar10",
    DATASETS,
    "The data set that the network was trained on; it gives class names and normalisation where they are known.",
    flag_values=COMMAND.flags,
    module_name="data",
)
flags.DEFINE_string(
    "class_names",
    "",
    "Names by label, comma-separated, or a file with one name a line. Not given: the data set's, else 0, 1, 2, ...",
    flag_values=COMMAND.flags,
    module_name="data",
)
flags.DEFINE_integer(
    "image_size",
    None,
    "Side of the images, in pixels. Not given: the data set's, or 224 for the ImageNet stem.",
    lower_bound=8,
    upper_bound=4096,
    flag_values=COMMAND.flags,
    module_name="data",
)
for _name, _subject in (("mean", "Mean"), ("std", "Standard deviation")):
    flags.DEFINE_list(
        _name,
        [],
        f"{_subject} of each channel, in units of 0 to 1, that images were normalised by. Not given: the data set's.",
        flag_values=COMMAND.flags,
        module_name="data",
    )
flags.DEFINE_string("output_dir", None, "A new or an empty directory.", flag_values=COMMAND.flags, module_name="output")
define_format(COMMAND.flags)


def main() -> None:
    """Imports the checkpoint and prints what it is.

    Raises:
        FairDartsError: When a flag or the file is unfit, torch is absent, or the directory is not empty.
        OSError: When the file cannot be read or the directory cannot be written.
    """
    values = COMMAND.flags
    path = _file(COMMAND.rest)
    if not values.output_dir:
        raise ConfigurationError("where to? Name a new or an empty directory with --output_dir.")
    if not values.genotype:
        raise ConfigurationError("which cells? Name a published genotype, as FairDARTS_b, or a file with --genotype.")
    check_new_directory(values.output_dir)
    mean, std = _numbers("mean", values.mean), _numbers("std", values.std)
    genotype = Genotype.load(values.genotype)
    state = read_torch_state(path)
    description = describe_checkpoint(
        state,
        values.dataset,
        class_names=_class_names(values.class_names),
        image_size=values.image_size,
        mean=mean,
        std=std,
        network=values.network,
        init_channels=values.init_channels,
        layers=values.layers,
        num_classes=values.num_classes,
    )
    # TensorFlow takes seconds to load: what can be refused without it is refused at once.
    load_tensorflow()
    from fairdarts_tf.importing.network import network_of, save_network

    save_network(values.output_dir, network_of(state, genotype, description))
    sizes = description.sizes
    text = (
        f"imported {values.output_dir}: {sizes.init_channels} channels, {sizes.layers} layers, "
        f"{sizes.num_classes} classes of {description.dataset}, images of {description.image_side} pixels"
    )
    document = {
        "output_dir": values.output_dir,
        "network": dataclasses.asdict(sizes),
        "dataset": description.dataset,
        "image_size": description.image_side,
        "genotype": json.loads(genotype.to_json()),
    }
    print(formatted(values, lambda: text, lambda: to_json(document)))


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


def _file(arguments: Sequence[str]) -> str:
    if len(arguments) != 1:
        raise ConfigurationError(
            f"expected one checkpoint's FILE, but got {' and '.join(map(repr, arguments)) or 'none'}."
        )
    return arguments[0]


def _class_names(text: str) -> tuple[str, ...]:
    if not text or not Path(text).is_file():
        return tuple(name.strip() for name in text.split(",")) if text else ()
    try:
        return tuple(Path(text).read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError:
        raise ConfigurationError(f"--class_names={text} is no text file. Expected one class name a line.") from None


def _numbers(name: str, texts: Sequence[str]) -> tuple[float, ...]:
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise ConfigurationError(f"--{name} is {','.join(texts)!r}, but must be numbers, one a channel.") from None


if __name__ == "__main__":
    run()
