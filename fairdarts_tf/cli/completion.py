"""The command ``completion``: prints what lets a shell complete the flags of all commands. Needs no TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path

from fairdarts_tf.cli.app import Command
from fairdarts_tf.cli.completion_scripts import SHELLS, all_commands, completion_script
from fairdarts_tf.errors import ConfigurationError, unknown_name

COMMAND = Command(
    "completion",
    """Prints a script that lets bash or zsh complete flags, the names that they may have, and files.

It is made from the flags themselves, for the commands as they are installed (fairdarts-search) and as a checkout has
them (bin/search). Examples:

For this shell, in a checkout:
bin/completion bash > /tmp/fairdarts && source /tmp/fairdarts

For every shell to come, where the package is installed; zsh: in ~/.zshrc, after compinit:
  echo 'source <(fairdarts-completion bash)' >> ~/.bashrc
  echo 'source <(fairdarts-completion zsh)' >> ~/.zshrc""",
    arguments="SHELL",
    known_arguments=SHELLS,
)

_SCRIPTS = Path(__file__).resolve().parents[2] / "bin"


def main() -> None:
    """Prints the script.

    Raises:
        ConfigurationError: When no shell, or one that is unknown here, is named.
    """
    if len(COMMAND.rest) != 1:
        raise ConfigurationError(f"which shell? Name one of {', '.join(SHELLS)}.")
    (shell,) = COMMAND.rest
    if shell not in SHELLS:
        raise ConfigurationError(unknown_name("shell", shell, SHELLS))
    is_checkout = (_SCRIPTS / "search").is_file()
    print(completion_script(shell, all_commands(), _SCRIPTS if is_checkout else None))


def run() -> None:
    """Entry point of the command."""
    sys.exit(COMMAND.execute(main, sys.argv))


if __name__ == "__main__":
    run()
