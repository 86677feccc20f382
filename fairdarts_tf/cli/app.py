"""What all commands share: flags of their own, ``--help``, one clear line for bad input, and exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence

from absl import flags

from fairdarts_tf import __version__
from fairdarts_tf.cli.configurations import with_configurations
from fairdarts_tf.cli.help_text import help_text, terminal_width
from fairdarts_tf.cli.near_misses import explain, origin
from fairdarts_tf.errors import ConfigurationError, FairDartsError, NotFiniteError, WorkerLostError
from fairdarts_tf.paper_values import Papers

EXIT_BAD_INPUT = 2
EXIT_NOT_FINITE = 3
EXIT_WORKER_LOST = 75
"""The system's code for a failure that may be gone when the same is tried again."""
EXIT_INTERRUPTED = 130
EXIT_OUTPUT_CLOSED = 141
EXIT_TERMINATED = 143

EXIT_CODES = {
    0: "done",
    EXIT_BAD_INPUT: "bad input, a complete search without a genotype, or a tuning all of whose trials failed; one line "
    "on stderr says what to do",
    EXIT_NOT_FINITE: "a loss or a gradient became NaN or infinite",
    EXIT_WORKER_LOST: "another worker of the run is gone; started again, all go on",
    EXIT_INTERRUPTED: "stopped from the keyboard",
    EXIT_OUTPUT_CLOSED: "the reader of the output, as `head`, has closed it",
    EXIT_TERMINATED: "terminated",
}
"""What each exit code of any command means."""


class Command:
    """A command line: its own flags, kept apart from absl's global ones, and a function that it runs.

    Args:
        name: The command's name, as in ``"search"``.
        description: What it does; the head of its ``--help``.
        arguments: What its arguments besides flags are, as in ``"IMAGE..."``. Defaults to none: it takes no others.
        known_arguments: Names that they may be; none, the default, for files.
        papers: The papers' values of its flags, which ``--help`` shows. Defaults to none.

    Attributes:
        flags: Its flags, parsed once `execute` runs.
        rest: The arguments besides flags.
    """

    def __init__(
        self,
        name: str,
        description: str,
        arguments: str = "",
        known_arguments: Sequence[str] = (),
        papers: Papers | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.arguments = arguments
        self.known_arguments = tuple(known_arguments)
        self.papers = papers or {}
        self.flags = flags.FlagValues()
        self.flags.set_gnu_getopt(True)
        self.rest: list[str] = []

    def execute(self, main: Callable[[], int | None], argv: Sequence[str]) -> int:
        """Parses ``argv`` (its first item is the program), runs ``main`` and returns the exit code."""
        _print_any_path()
        try:
            code = self._execute(main, argv)
            # What is left in the buffer would fail as Python ends, with a traceback. A closed output is None.
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
        except BrokenPipeError:
            _discard_output()
            return EXIT_OUTPUT_CLOSED
        except OSError as error:
            _discard_output()
            return self._fail(f"cannot write to standard output: {error.strerror or error}. Check the free space.")

    def _execute(self, main: Callable[[], int | None], argv: Sequence[str]) -> int:
        if {"--help", "-h", "-help", "--helpfull"} & {text.partition("=")[0] for text in argv[1:]}:
            print(self.help())
            return 0
        if "--version" in argv[1:]:
            print(f"{self.name} (fairdarts_tf) {__version__}")
            return 0
        # A notebook or a test may run a command more than once in one process.
        for name in self.flags:
            self.flags[name].unparse()
        try:
            self.rest = self._parse(argv)
            if self.rest and not self.arguments:
                return self._fail(f"unexpected argument {self.rest[0]!r}. Flags are written --name=value; see --help.")
            return main() or 0
        except flags.Error as error:
            return self._fail(_placed(explain(error, self.flags), argv))
        except ConfigurationError as error:
            return self._fail(_placed(str(error), argv))
        except NotFiniteError as error:
            return self._fail(str(error), EXIT_NOT_FINITE)
        except WorkerLostError as error:
            return self._fail(str(error), EXIT_WORKER_LOST)
        except FairDartsError as error:
            return self._fail(str(error))
        except BrokenPipeError:
            raise
        except OSError as error:
            return self._fail(_describe(error))
        except KeyboardInterrupt:
            print(f"{self.name}: interrupted; what was not saved by then is not saved.", file=sys.stderr)
            return EXIT_INTERRUPTED

    def help(self) -> str:
        """Returns the description and all flags by subject, with defaults and the papers' values, for the terminal."""
        return help_text(self, terminal_width())

    def _parse(self, argv: Sequence[str]) -> list[str]:
        """Sets the flags and returns the arguments besides them.

        Raises:
            absl.flags.Error: When a flag, or what a file of flags holds, is unfit.
        """
        try:
            rest = self.flags(with_configurations(argv))[1:]
        except UnicodeDecodeError:
            raise flags.Error("the file that --flagfile names is no UTF-8 text") from None
        except RecursionError:
            raise flags.Error("the files that --flagfile names name too many others") from None
        except ValueError as error:  # As where --noNAME is given a value.
            raise flags.Error(str(error)) from None
        # What has no name, as --=1, is left over; after a bare -- anything is meant as it stands.
        nameless = [text for text in rest if text.startswith("--")]
        if nameless and "--" not in argv:
            raise flags.Error(f"Unknown command line flag {nameless[0]!r}")
        # On a command line there are none, but in a flagfile.
        texts = (text for name in self.flags for text in _texts(self.flags[name].value))
        if any("\0" in text for text in (*rest, *texts)):
            raise flags.Error("a flag holds a null character, which no name and no path may have")
        return rest

    def _fail(self, message: str, code: int = EXIT_BAD_INPUT) -> int:
        print(f"{self.name}: {' '.join(message.split())}", file=sys.stderr)
        return code


def _placed(message: str, argv: Sequence[str]) -> str:
    """Returns a message headed by the file that set the flag that it begins with, if one did."""
    place = origin(message, argv[1:])
    return f"{place}: {message}" if place else message


def _texts(value: object) -> list[str]:
    return list(map(str, value)) if isinstance(value, list | tuple) else [str(value)]


def _print_any_path() -> None:
    """Lets standard output, as standard error does, show what its encoding lacks, such as a path that is no UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Lets what is still to be written to standard output go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _describe(error: OSError) -> str:
    # Of a rename that failed, the target is what the user named.
    path = error.filename2 or error.filename
    place = f" {path}" if path else ""
    return f"cannot use{place}: {error.strerror or error}. Check the path, its permissions and the free space."
