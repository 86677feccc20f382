"""The command that shows how a search went as an animation. Needs no TensorFlow, so it starts at once."""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.output_format import define_format, formatted, to_json
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.report import animation
from fairdarts_tf.report.run_data import read_run
from fairdarts_tf.report.summary import count

COMMAND = Command("animate", "Writes the cells and mixing weights of a search, epoch by epoch, as a GIF.")

flags.DEFINE_string(
    "workdir",
    None,
    "The search's directory; the search may still be going.",
    flag_values=COMMAND.flags,
    module_name="input",
)
flags.DEFINE_string(
    "output",
    None,
    "The file to write. Not given: evolution.gif in the search's directory.",
    flag_values=COMMAND.flags,
    module_name="output",
)
flags.DEFINE_float(
    "fps",
    animation.DEFAULT_FPS,
    f"Epochs shown in a second, above 0 and at most {animation.MOST_FPS:g}.",
    flag_values=COMMAND.flags,
    module_name="output",
)
flags.DEFINE_integer(
    "width",
    animation.DEFAULT_WIDTH,
    f"Width in pixels, from {animation.WIDTHS[0]} to {animation.WIDTHS[1]}.",
    flag_values=COMMAND.flags,
    module_name="output",
)
define_format(COMMAND.flags)


def main() -> None:
    """Writes the animation and prints where it is.

    Raises:
        FairDartsError: When a flag is unusable or the directory holds no readable alphas of a search.
        OSError: When the file cannot be written; an older one is then untouched.
    """
    workdir = COMMAND.flags.workdir
    if not workdir:
        raise ConfigurationError("which search? Name its directory with --workdir.")
    output = COMMAND.flags.output or Path(workdir, "evolution.gif")
    run = read_run(workdir)
    epochs = animation.save_gif(run, output, COMMAND.flags.fps, COMMAND.flags.width)
    for problem in run.problems:
        print(f"animate: {problem}", file=sys.stderr)
    document = {"file": output, "epochs": epochs, "problems": run.problems}
    print(formatted(COMMAND.flags, lambda: f"{count(epochs, 'epoch')} in {output}", lambda: to_json(document)))


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
