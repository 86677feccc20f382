"""``export.json``: what the files of an export are, and what their verification found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts_tf.errors import ExportError
from fairdarts_tf.export.plan import ExportFile
from fairdarts_tf.export.verification import Verification
from fairdarts_tf.files import open_file
from fairdarts_tf.found_network import FoundNetwork, read_weights, sizes_of
from fairdarts_tf.labels import LABELS_FILE

MANIFEST_FILE = "export.json"
FORMAT_VERSION = 1
_MAX_BYTES = 2**20


def network_digest(found: FoundNetwork) -> str:
    """Returns a SHA-256 of genotype, weights, class names and normalisation: equal for the same network alone."""
    digest = hashlib.sha256(found.network.genotype.to_json().encode())
    digest.update(json.dumps(found.class_names).encode())
    for name, values in {"mean": found.mean, "std": found.std, **read_weights(found.network)}.items():
        digest.update(name.encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def check_target(target: Path, files: Sequence[ExportFile], digest: str) -> list[dict[str, Any]]:
    """Checks that an export may write to ``target``, and returns the entries of the files there that stay.

    Raises:
        ExportError: When it is no directory, a file of it would be replaced that no export wrote, or one of another
            network would stay beside the new ones.
    """
    if target.exists() and not target.is_dir():
        raise ExportError(f"{target} is no directory. Name another --output_dir.")
    earlier_digest, entries = _read(target / MANIFEST_FILE)
    names, known = {file.name for file in files}, {entry["file"] for entry in entries}
    ours = {LABELS_FILE, MANIFEST_FILE}
    foreign = sorted(
        name for name in (names | ours) - (known | ours if earlier_digest else known) if os.path.lexists(target / name)
    )
    if foreign:
        raise ExportError(
            f"{target} holds {foreign[0]!r}, which would be replaced, but its {MANIFEST_FILE} does not tell that an "
            "export wrote it. Name another --output_dir."
        )
    staying = [entry for entry in entries if entry["file"] not in names and (target / entry["file"]).exists()]
    if staying and earlier_digest != digest:
        raise ExportError(
            f"{target} holds {staying[0]['file']!r} of another network, which would stay beside the new files. Export "
            "that form too, or name another --output_dir."
        )
    return staying


def write_manifest(
    directory: Path,
    found: FoundNetwork,
    rows: Sequence[Verification],
    *,
    digest: str,
    batch_size: int | None,
    images: int,
    staying: Sequence[dict[str, Any]],
) -> None:
    """Writes ``export.json``.

    Args:
        directory: Where to.
        found: The network.
        rows: The verification of each file.
        digest: Of the network.
        batch_size: None: any.
        images: On how many images the files were verified.
        staying: What `check_target` returned.

    Raises:
        OSError: When it cannot be written.
    """
    added = {"batch_size": batch_size, "verified_on_images": images}
    document = {
        "format_version": FORMAT_VERSION,
        "network_sha256": digest,
        "genotype": json.loads(found.network.genotype.to_json()),
        "network": sizes_of(found.network),
        "dataset": found.dataset,
        "class_names": list(found.class_names),
        "image_shape": list(found.image_shape),
        "files": [*staying, *(dataclasses.asdict(row) | added for row in rows)],
    }
    (directory / MANIFEST_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _read(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """Returns digest and entries of an earlier export; of one that cannot be read, none."""
    try:
        with open_file(path) as file:
            document = json.loads(file.read(_MAX_BYTES))
        entries = [entry for entry in document["files"] if Path(entry["file"]).name == entry["file"]]
        return str(document["network_sha256"]), entries
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "", []
