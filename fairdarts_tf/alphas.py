"""Reading tables of alphas, as a search leaves them, from files that may be broken.

In S1 a table has one row for each edge of a cell and one column for each candidate operation. Edges come in the order
node 2 from 0, 1; node 3 from 0, 1, 2; and so on. In S2 it has one row for each choice layer.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fairdarts_tf.archives import ArchiveError, read_arrays
from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.genotypes import CELL_KINDS, INPUTS, MAX_NODES
from fairdarts_tf.mobile_genotypes import KINDS, MAX_LAYERS

MAX_BYTES = 16 * 2**20
"""No archive of alphas is larger than 16 MiB, packed or unpacked: a search of 600 epochs keeps under 1 MiB."""
_ALPHAS_FILE = "alphas.npz"
_HISTORY_FILE = "history.npz"
_EXPECTED = "Expected what a search writes: name its directory or its .npz file."


def load_alphas(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the raw alphas of a search.

    Args:
        path: An ``.npz`` file, or a search's directory that holds ``alphas.npz``.

    Returns:
        By kind (S1: ``normal`` and ``reduce``; S2: ``layers``), float64 of shape (rows, operations).

    Raises:
        GenotypeError: When the file is absent, broken or too large, or does not hold the tables of a search space, of
            one shape.
    """
    path = _inside(path, _ALPHAS_FILE)
    return _checked_tables(path, _read_tables(path), dimensions=2)


def load_history(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the raw alphas after each epoch.

    Args:
        path: An ``.npz`` file, or a search's directory that holds ``history.npz``.

    Returns:
        By kind, float64 of shape (epochs, rows, operations); ``epoch``: int64 of shape (epochs,).

    Raises:
        GenotypeError: As `load_alphas` does.
    """
    path = _inside(path, _HISTORY_FILE)
    arrays = _read_tables(path, "epoch")
    epoch = arrays.pop("epoch")
    tables = _checked_tables(path, arrays, dimensions=3)
    # Not issubdtype: for NumPy, spans of time are integers too.
    if epoch.dtype.kind not in "iu" or epoch.shape != next(iter(tables.values())).shape[:1]:
        raise GenotypeError(f"{path}: 'epoch' is no list of one whole number for each table. {_EXPECTED}")
    if epoch[0] < 1 or epoch[-1] > np.iinfo(np.int64).max or not np.all(epoch[1:] > epoch[:-1]):
        raise GenotypeError(f"{path}: 'epoch' does not count upwards from 1 or a later epoch. {_EXPECTED}")
    return {**tables, "epoch": epoch.astype(np.int64)}


def nodes_of(edges: int) -> int:
    """Returns the number of intermediate nodes of a cell with so many edges: n nodes have n(n+3)/2.

    Raises:
        GenotypeError: When no cell of 1 to 64 nodes has so many.
    """
    nodes = (math.isqrt(9 + 8 * max(edges, 0)) - 3) // 2
    if not 1 <= nodes <= MAX_NODES or nodes * (nodes + 3) // 2 != edges:
        raise GenotypeError(
            f"no cell has {edges} edges: 1, 2, 3, 4, 5 nodes have 2, 5, 9, 14, 20. Expected one row for each edge."
        )
    return nodes


def edge_endpoints(nodes: int) -> list[tuple[int, int]]:
    """Returns (to, from) of every edge of a cell with so many intermediate nodes, in the order of the tables' rows."""
    return [(to, source) for to in range(INPUTS, INPUTS + nodes) for source in range(to)]


def edge_names(edges: int, arrow: str = ">") -> list[str]:
    """Returns the names of a table's rows: ``["0>2", "1>2", "0>3", ...]``.

    Args:
        edges: How many there are.
        arrow: What stands between source and node. Defaults to ``">"``.

    Raises:
        GenotypeError: When no cell has so many edges.
    """
    return [f"{source}{arrow}{to}" for to, source in edge_endpoints(nodes_of(edges))]


def _inside(path: str | os.PathLike[str], name: str) -> Path:
    return Path(path, name) if os.path.isdir(path) else Path(path)


def _checked_tables(path: Path, tables: dict[str, np.ndarray], dimensions: int) -> dict[str, np.ndarray]:
    """Returns the tables as float64."""
    checked = {}
    shapes = {table.shape for table in tables.values()}
    if len(shapes) > 1:
        raise GenotypeError(f"{path}: the cells' tables differ in shape, {_and(shapes)}. {_EXPECTED}")
    for kind, table in tables.items():
        if table.ndim != dimensions or 0 in table.shape or not np.issubdtype(table.dtype, np.floating):
            raise GenotypeError(
                f"{path}: {kind!r} is {table.dtype} of shape {table.shape}, not {dimensions}-dimensional numbers with "
                f"fractions. {_EXPECTED}"
            )
        with np.errstate(over="ignore"):
            # First converted, then checked: a longer float may be finite only as what it was.
            checked[kind] = table.astype(np.float64)
        if not np.isfinite(checked[kind]).all():
            raise GenotypeError(
                f"{path}: {kind!r} holds values that are not finite. The search diverged: search again with a smaller "
                "--alpha_learning_rate."
            )
        try:
            _CHECK_ROWS[tuple(tables)](table.shape[-2])
        except GenotypeError as error:
            raise GenotypeError(f"{path}: {kind!r}: {error}") from None
    return checked


def _check_layers(rows: int) -> None:
    if rows > MAX_LAYERS:
        raise GenotypeError(f"no network has {rows} choice layers: there are {MAX_LAYERS} at most.")


_CHECK_ROWS = {CELL_KINDS: nodes_of, KINDS: _check_layers}
"""By the kinds of tables of each search space, what raises a GenotypeError for a number of rows that none can have."""


def _read_tables(path: Path, *others: str) -> dict[str, np.ndarray]:
    """Returns the arrays of the search space whose names the file has, and others; the first space's where none has."""
    try:
        return read_arrays(path, MAX_BYTES, lambda found: (*_kinds_in(found), *others))
    except ArchiveError as error:
        raise GenotypeError(f"{path}: {error}. {_EXPECTED}") from None
    except FileNotFoundError:
        raise GenotypeError(f"{path}: no such file. Let the search finish an epoch, or name another.") from None
    except OSError as error:
        raise GenotypeError(f"{path}: cannot be read ({error.strerror or error}). Check its permissions.") from None
    except ValueError:  # A null character is part of no path.
        raise GenotypeError(f"{str(path)!r} is no path. {_EXPECTED}") from None


def _kinds_in(names: Iterable[str]) -> tuple[str, ...]:
    return next((kinds for kinds in _CHECK_ROWS if set(kinds) <= set(names)), CELL_KINDS)


def _and(shapes: Iterable[tuple[int, ...]]) -> str:
    return " and ".join(sorted(map(str, shapes)))
