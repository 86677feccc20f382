"""A run's directory, of a search or of a training: its settings, and whether a start may go on in it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np

from fairdarts_tf.errors import RunError
from fairdarts_tf.files import open_file, readable, write_atomically, write_text_atomically
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import History
from fairdarts_tf.run_lock import RunLock
from fairdarts_tf.temporaries import remove_leftovers

FORMAT_VERSION = 1
"""Of a run's directory, in the first line of its flags.txt. A directory that names none was written in the first."""

FREE_TO_CHANGE = frozenset(
    {
        "workdir",
        "data_dir",
        "cache_dir",
        "download",
        "strategy",
        "sync_batch_norm",
        "checkpoint_steps",
        "on_nan",
        "trials",
        "profile_steps",
    }
)
"""Settings that do not change what a run computes on one device: a restart may have others. More trials of a tuning
follow on those that there are."""

MAX_FLAGS_BYTES = 1_000_000

_KINDS = {"tuner": "tuning", "candidates": "random search", "train_portion": "search", "genotype": "training"}
"""What runs, by a flag that it has had from the first. Tunings and random searches have those of their runs besides."""

_FORMAT_LINE = re.compile(r"# fairdarts_tf run, format (\d{1,9})\s*")


class Run:
    """The directory of one search or training; as a context, it gives up at its end what `open` took.

    Args:
        workdir: The directory.
        defaults: What a setting is that the directory does not have, as it was made before there was such a flag: every
            flag's default leaves a run what it was. Defaults to None: nothing.
        writes: Whether this process writes there; of several workers only the chief does.

    Raises:
        RunError: When the directory is no path.

    Attributes:
        workdir: The directory.
        writes: See above.
        checkpoints: Its directory of checkpoints.
        tensorboard: Its directory of event files.
    """

    def __init__(
        self, workdir: str | os.PathLike[str], defaults: Mapping[str, str] | None = None, writes: bool = True
    ) -> None:
        if not isinstance(workdir, str | os.PathLike):
            raise RunError(
                f"workdir is {workdir!r:.80} ({type(workdir).__name__}), but must be the path of a directory."
            )
        self.workdir = Path(workdir)
        self.writes = writes
        self._defaults = defaults or {}
        self.checkpoints = self.workdir / "checkpoints"
        self.tensorboard = self.workdir / "tensorboard"
        self._lock = RunLock(self.workdir)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def check(self, settings: Mapping[str, str]) -> None:
        """Checks, before anything is written, that a run with these settings may start or go on here.

        Args:
            settings: Every setting as text, by its flag's name.

        Raises:
            RunError: When the directory holds a run with other settings, or something that is no run, or a setting
                cannot be kept in a list of flags.
        """
        self._refuse_what_cannot_be_kept(settings)
        recorded = self.settings()
        if recorded is not None:
            self._refuse_contradictions(recorded, settings)
        elif self.workdir.exists():
            self._refuse_foreign_files()

    def open(self, settings: Mapping[str, str]) -> None:
        """Makes the directory, takes it for this process alone, and writes the settings, unless they are there.

        They go to its ``flags.txt``. What earlier processes left half written is removed. A process that does not
        write here does nothing.

        Raises:
            RunError: When `check` refuses, another process works in the directory, or it cannot be written.
        """
        if not self.writes:
            return
        self.check(settings)
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            # Another process may have begun a run here since the first look.
            self.check(settings)
            remove_leftovers(self.workdir)
            remove_leftovers(self.checkpoints)
            if self.settings() is None:
                head = f"# fairdarts_tf run, format {FORMAT_VERSION}\n"
                write_text_atomically(self.workdir / "flags.txt", head + self._lines(settings))
        except OSError as error:
            raise self.cannot_write(error) from error

    def refuse_if_in_use(self) -> None:
        """Checks, before anything is written, that no other process works in the directory.

        Raises:
            RunError: When one does; it is named.
        """
        self._lock.refuse_if_held()

    def cannot_write(self, error: OSError) -> RunError:
        """Returns what to raise where the directory cannot be written."""
        return RunError(
            f"cannot write to --workdir={self.workdir}: {error.strerror or error}. Name a directory that can be "
            "written, on a disk with free space; what the run saved before is intact."
        )

    def settings(self) -> dict[str, str] | None:
        """Returns the settings in ``flags.txt``, or None where there is no such file.

        Raises:
            RunError: When the file is no list of flags, or the directory has a format that is unknown here.
        """
        path = self.workdir / "flags.txt"
        try:
            with open_file(path) as file:
                content = file.read(MAX_FLAGS_BYTES + 1)
            text = content.decode("utf-8")
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise self.cannot_write(error) from error
        except UnicodeDecodeError as error:
            raise RunError(f"{path} is not a text file. Restore it, or start in another --workdir.") from error
        if len(content) > MAX_FLAGS_BYTES:
            raise RunError(f"{path} is too large for a list of flags. Restore it, or start in another --workdir.")
        self._refuse_other_format(text.splitlines())
        return _flags_in(text, path)

    def is_search(self) -> bool:
        """Returns whether the directory holds a single search.

        Raises:
            RunError: When its ``flags.txt`` is no list of flags.
        """
        return self.kind() == "search"

    def kind(self) -> str | None:
        """Returns what the directory holds: search, training, tuning or random search; None where it does not say.

        Raises:
            RunError: When its ``flags.txt`` is no list of flags.
        """
        return kind_of(self.settings() or {})

    def write_epoch(self, history: History, genotype: AnyGenotype | None, epoch: int | None = None) -> None:
        """Writes history, alphas and genotype as they stand after an epoch.

        Args:
            history: All that is recorded.
            genotype: What is derived, or None.
            epoch: Whose alphas count, counted from 1. Defaults to None: the last.
        """
        write_text_atomically(self.workdir / "history.csv", history.csv())
        write_atomically(self.workdir / "history.npz", lambda file: np.savez_compressed(file, **history.arrays()))
        if history.alphas:
            write_atomically(
                self.workdir / "alphas.npz", lambda file: np.savez(file, **history.alphas[(epoch or 0) - 1])
            )
        if genotype is None:
            (self.workdir / "genotype.json").unlink(missing_ok=True)
        else:
            genotype.save(self.workdir / "genotype.json")

    def _lines(self, settings: Mapping[str, str]) -> str:
        return "".join(f"--{name}={value}\n" for name, value in ({"workdir": str(self.workdir)} | settings).items())

    def _refuse_what_cannot_be_kept(self, settings: Mapping[str, str]) -> None:
        """Refuses values that flags.txt would give back as others; of the directory it is but a note."""
        for name, value in ({"workdir": readable(self.workdir)} | settings).items():
            try:
                kept = _flags_in(f"--{name}={value}\n".encode(errors="replace").decode(), self.workdir) == {name: value}
            except RunError:
                kept = False
            if not kept:
                raise RunError(
                    f"--{name}={value!r} cannot be kept in flags.txt: it has a line break, a space at its end, or "
                    "bytes that are no UTF-8. Name another, as by a symbolic link."
                )

    def _refuse_other_format(self, lines: list[str]) -> None:
        versions = [int(match[1]) for match in map(_FORMAT_LINE.fullmatch, lines) if match]
        if any(version != FORMAT_VERSION for version in versions):
            raise RunError(
                f"{self.workdir} has format {versions[0]}, but this version of the program reads format "
                f"{FORMAT_VERSION}. Use the version that wrote it, or name another directory."
            )

    def _refuse_foreign_files(self) -> None:
        left = sorted(path.name for path in self.workdir.iterdir() if not path.name.startswith("."))
        if left:
            raise RunError(
                f"--workdir={self.workdir} holds {left[0]!r} but no flags.txt, so it is no run of this program. Name a "
                "new or an empty directory."
            )

    def _refuse_contradictions(self, recorded: Mapping[str, str], settings: Mapping[str, str]) -> None:
        there, here = kind_of(recorded), kind_of(settings)
        if there and here and there != here:
            raise RunError(
                f"--workdir={self.workdir} holds a run of another command, a {there}, and this is a {here}: each needs "
                "a directory of its own. Name a new one."
            )
        unknown = sorted(set(recorded) - set(settings) - {"workdir"})
        if len(unknown) > 1:
            raise RunError(
                f"--workdir={self.workdir} holds a run of another command or version, whose flags are unknown here "
                f"(--{', --'.join(unknown[:3])}): each needs a directory of its own. Name a new one."
            )
        differences = [
            f"--{name}={settings[name]} (the run has {recorded.get(name, 'no such flag')})"
            for name in settings
            if name not in FREE_TO_CHANGE and not _same(recorded.get(name, self._defaults.get(name)), settings[name])
        ] + [f"no --{name} (the run has {recorded[name]})" for name in unknown]
        if differences:
            raise RunError(
                f"--workdir={self.workdir} holds a run with other settings: {', '.join(differences)}. Start it again "
                f"with its own (--flagfile={self.workdir / 'flags.txt'}), or name another --workdir."
            )


def _same(recorded: str | None, given: str) -> bool:
    """Returns whether two texts of a flag say the same: a program's 5 was once recorded as such, a command's as 5.0."""
    if recorded == given:
        return True
    try:
        return float(recorded or "") == float(given)
    except ValueError:
        return False


def kind_of(settings: Mapping[str, str]) -> str | None:
    """Returns what ran with these settings: search, training, tuning or random search; None where they do not say."""
    return next((kind for flag, kind in _KINDS.items() if flag in settings), None)


def _flags_in(text: str, path: Path) -> dict[str, str]:
    """Returns the flags of a flagfile's text by name; the path is for the error."""
    settings = {}
    for line in filter(_is_flag, text.splitlines()):
        name, equals, value = line.strip().removeprefix("--").partition("=")
        if not line.strip().startswith("--"):
            raise RunError(f"{path} has the line {line[:200]!r}, which is no flag. Mend it, or start elsewhere.")
        negated = not equals and name.startswith("no")
        settings[name.removeprefix("no") if negated else name] = value if equals else str(not negated).lower()
    return settings


def _is_flag(line: str) -> bool:
    """Returns whether a line of a flagfile is neither blank nor a comment."""
    return bool(line.strip()) and not line.strip().startswith(("#", "//"))
