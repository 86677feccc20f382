"""Class names as a text file, one a line, by label: how SavedModels and TFLite files carry them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fairdarts_tf.errors import RunError

LABELS_FILE = "labels.txt"


def labels_text(class_names: Sequence[str]) -> str:
    """Returns the content of a labels file; a line break within a name becomes a space."""
    return "".join(f"{' '.join(name.splitlines())}\n" for name in class_names)


def read_labels(path: str | os.PathLike[str], count: int) -> tuple[str, ...]:
    """Reads class names, or returns ``"0"``, ``"1"``, ... where there is no such file.

    Args:
        path: The labels file.
        count: How many classes the network has.

    Raises:
        RunError: When the file is no text, or names another number of classes.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return tuple(str(label) for label in range(count))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read as text. Restore it: one class name a line, {count} lines.") from error
    # Not splitlines(): a name may hold one of Unicode's other line separators.
    names = tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    if len(names) != count:
        raise RunError(
            f"{path} names {len(names)} classes, but the network beside it has {count}. Restore the file that was "
            "exported with the network."
        )
    return names
