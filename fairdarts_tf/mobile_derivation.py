"""From alphas to a genotype of search space S2: one operation for each choice layer, the one with the largest value.

Everything here is NumPy in float64, as in `fairdarts_tf.derivation`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairdarts_tf.derivation import METHODS, Confidence, checked_limits, lead
from fairdarts_tf.errors import ConfigurationError, GenotypeError, unknown_name
from fairdarts_tf.genotypes import SKIP
from fairdarts_tf.mobile_genotypes import KINDS, LayerItem

_ONE_A_LAYER = ("darts", "threshold_sparse")


def choose_operations(
    values: np.ndarray,
    operations: Sequence[str],
    in_play: np.ndarray,
    method: str = "threshold_sparse",
    threshold: float = 0.85,
    max_skips: int | None = None,
) -> list[Confidence]:
    """Chooses the operation with the largest value of each layer, and says how sure each choice is.

    Every layer keeps its operation, also where no value reaches the threshold: without it there would be no network.
    Such a layer is undecided, which the threshold margin tells. Equal values are settled by the lower column.

    Args:
        values: (layers, operations), in [0, 1].
        operations: The columns' names.
        in_play: (layers, operations); what is False exists in no supernet, and is never chosen.
        method: ``"darts"`` has no threshold, ``"threshold_sparse"`` has.
        threshold: The least value of an operation that is decided, in [0, 1].
        max_skips: The most layers that may be skipped. While there are more, the skip with the smallest value, of equal
            ones the last, goes out of the running, and the best other operation of its layer takes its place. Defaults
            to None: no limit.

    Raises:
        ConfigurationError: When the method keeps several operations or is unknown, or the threshold or the limit is out
            of range.
        GenotypeError: When the table does not fit, or holds values that are not finite.
    """
    check_method(method)
    threshold, max_skips = checked_limits(threshold, max_skips)
    running = _candidates(values, operations, in_play)
    chosen = running.argmax(axis=1)
    while max_skips is not None and np.sum(_are_skips(operations, chosen)) > max_skips:
        (skipped,) = np.nonzero(_are_skips(operations, chosen))
        weakest = skipped[::-1][running[skipped[::-1], chosen[skipped[0]]].argmin()]
        running[weakest, operations.index(SKIP)] = -np.inf
        if not np.isfinite(running[weakest]).any():
            raise GenotypeError(
                f"layer {weakest + 1} has no operation but {SKIP!r}, and --max_skips={max_skips} allows no more of "
                "them. Raise it."
            )
        chosen = running.argmax(axis=1)
    return [
        _judge(layer, row, int(column), operations, threshold if METHODS[method].has_threshold else None)
        for layer, (row, column) in enumerate(zip(running, chosen, strict=True), start=1)
    ]


def check_method(method: str) -> None:
    """Checks a method of `fairdarts_tf.derivation.METHODS`.

    Raises:
        ConfigurationError: When it is unknown, or keeps several operations.
    """
    if method not in METHODS:
        raise ConfigurationError(unknown_name("method", method, METHODS))
    if method not in _ONE_A_LAYER:
        raise ConfigurationError(
            f"--method={method} keeps several operations, but a layer of the mobile space has one: use "
            f"--method={_ONE_A_LAYER[0]}, or {_ONE_A_LAYER[1]}, which also compares with --threshold."
        )


def _candidates(values: np.ndarray, operations: Sequence[str], in_play: np.ndarray) -> np.ndarray:
    """Returns the values in float64, checked, with what is not in play out of the running."""
    running = np.array(values, dtype=np.float64)
    if running.shape != in_play.shape:
        raise GenotypeError(
            f"the table of the layers has the shape {running.shape}, but the space has {len(in_play)} layers and "
            f"{len(operations)} operations ({', '.join(operations)}). Name the settings of the search that it is of."
        )
    if not np.isfinite(running[in_play]).all():
        raise GenotypeError("the table of the layers holds values that are not finite. Search again.")
    running[~in_play] = -np.inf
    return running


def _are_skips(operations: Sequence[str], chosen: np.ndarray) -> np.ndarray:
    return np.array([operations[column] == SKIP for column in chosen])


def _judge(layer: int, row: np.ndarray, column: int, operations: Sequence[str], threshold: float | None) -> Confidence:
    value = float(row[column])
    rest = row.copy()
    rest[column] = -np.inf
    second = int(rest.argmax())
    has_second = bool(np.isfinite(rest[second]))
    runner_up_value = float(rest[second]) if has_second else None
    return Confidence(
        cell=KINDS[0],
        item=LayerItem(operations[column], layer),
        value=value,
        runner_up=operations[second] if has_second else None,
        runner_up_value=runner_up_value,
        margin=lead(value, runner_up_value),
        rejected_source=None,
        rejected_value=None,
        rejected_margin=None,
        threshold_margin=None if threshold is None else value - threshold,
        threshold_decides=False,
    )
