"""Checkpoints: one file with all that a search needs to go on as if it had never stopped.

A checkpoint is an uncompressed ``.npz``: arrays by name, no pickle, each with the archive's checksum. It is written
under a temporary name, synced and renamed, and the one before it is kept: a kill at any moment leaves a valid one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fairdarts_tf.archives import read_numbers
from fairdarts_tf.errors import RunError
from fairdarts_tf.files import write_atomically

FORMAT_VERSION = 1
KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{9})\.npz")


class CorruptCheckpointError(RunError):
    """A checkpoint that is damaged.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"the checkpoint {path} is corrupt or truncated.")
        self.path = path

    def set_aside(self) -> Path:
        """Renames the file, so that it no longer counts as one of those that are kept; returns its new name.

        Raises:
            OSError: When it cannot be renamed.
        """
        aside = self.path.with_name(f"{self.path.name}.corrupt")
        os.replace(self.path, aside)
        return aside


def save_checkpoint(directory: Path, step: int, arrays: Mapping[str, np.ndarray]) -> Path:
    """Writes a checkpoint and drops all but the last two.

    Args:
        directory: The run's directory of checkpoints; made if absent.
        step: Steps done so far.
        arrays: What to save, by name.

    Raises:
        OSError: When it cannot be written; earlier checkpoints are untouched.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = path_of(directory, step)
    content = dict(arrays) | {"format_version": np.int64(FORMAT_VERSION), "step": np.int64(step)}
    write_atomically(path, lambda file: np.savez(file, **content))
    for old in list_checkpoints(directory)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def list_checkpoints(directory: Path) -> list[Path]:
    """Returns the checkpoints of a directory, the oldest first."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def path_of(directory: Path, step: int) -> Path:
    """Returns the name of the checkpoint of a step."""
    return directory / f"checkpoint-{step:09d}.npz"


def step_of(path: Path) -> int:
    """Returns the step that a checkpoint's name says."""
    return int(_NAME.fullmatch(path.name)[1])


def load_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Reads a checkpoint, checking every byte.

    Raises:
        CorruptCheckpointError: When the file is corrupt or truncated.
        RunError: When it is of another format.
    """
    try:
        arrays = read_numbers(path)
        # Written last: a damaged table of contents may hide the end of the archive.
        if int(arrays["step"]) != step_of(path):
            raise CorruptCheckpointError(path)
        version = int(arrays.pop("format_version"))
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise CorruptCheckpointError(path) from error
    if version != FORMAT_VERSION:
        raise RunError(
            f"the checkpoint {path} has format {version}, but this version of the program reads format "
            f"{FORMAT_VERSION}. Go on with the version that wrote it, or start in another --workdir."
        )
    return arrays


def load_latest(directory: Path, before: int | None = None) -> tuple[dict[str, np.ndarray] | None, list[RunError]]:
    """Reads the newest checkpoint that is whole.

    Args:
        directory: The run's directory of checkpoints.
        before: Only those of fewer steps count. Defaults to None: all.

    Returns:
        Its arrays, or None where there is no checkpoint at all, and the errors of newer ones that were passed over.

    Raises:
        RunError: When there are checkpoints and none is whole.
    """
    errors: list[RunError] = []
    for path in reversed(list_checkpoints(directory)):
        if before is not None and step_of(path) >= before:
            continue
        try:
            return load_checkpoint(path), errors
        except RunError as error:
            errors.append(error)
    if errors:
        raise RunError(
            f"{errors[0]} No other in {directory} is whole. Delete that directory to start the run from its beginning."
        )
    return None, []
