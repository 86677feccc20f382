"""Arranging a graph that runs from left to right: places in columns, in an order and at heights that keep it calm."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence

import numpy as np

_STARTS = 12
_SWEEPS = 8
_HEIGHT_SWEEPS = 300
_STRAIGHTNESS = 30.0


@dataclasses.dataclass(eq=False)
class Place:
    """Something that takes room in a column. A plain place is the passage of a line through its column.

    Args:
        width: Its width, in any unit of length.
        height: Its height.
        x: The middle of its column: a result of `arrange`.
        y: The height of its middle, downwards: a result of `arrange`.
        before: The places of the column before to which it is joined.
        after: The places of the column after to which it is joined.
    """

    width: float
    height: float
    x: float = dataclasses.field(default=0.0, init=False)
    y: float = dataclasses.field(default=0.0, init=False)
    before: list[Place] = dataclasses.field(default_factory=list, init=False)
    after: list[Place] = dataclasses.field(default_factory=list, init=False)

    @property
    def left(self) -> float:
        """Where lines enter it."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Where lines leave it."""
        return self.x + self.width / 2


Point = tuple[float, float]


def join(places: Sequence[Place]) -> None:
    """Joins places of successive columns to one line."""
    for left, right in itertools.pairwise(places):
        left.after.append(right)
        right.before.append(left)


def arrange(columns: list[list[Place]], spacing: float, gap: float = 0.0) -> None:
    """Orders every column but the first so that few lines cross, and sets each place's position, the corner at (0, 0).

    Orders come from the sweeps of Sugiyama, Tagawa and Toda (1981): a column is sorted by the mean position of its
    neighbours, forwards and backwards in turn. The order with the fewest crossings stays, of several starts: the one
    given, and shuffled ones, the same each time. There places that are joined to nothing come last.

    Args:
        columns: The places of each column, from left to right; sorted in place.
        spacing: The least distance between two places of a column.
        gap: The distance between two columns. Each is as wide as its widest place, and so is every passage in it.
    """
    first, *others = _untangled(columns)
    columns[:] = [first, *(sorted(column, key=_is_alone) for column in others)]
    _set_heights(columns, spacing)
    _set_columns(columns, gap)


def curve(places: Sequence[Place]) -> list[list[Point]]:
    """Returns the line through arranged places of successive columns, level wherever it enters or leaves one.

    Returns:
        Its start as one point, then for each step either the three further points of a cubic Bézier curve, or the end
        of a straight step across a passage.
    """
    steps: list[list[Point]] = [[(places[0].right, places[0].y)]]
    for start, end in itertools.pairwise(places):
        middle = (start.right + end.left) / 2
        steps.append([(middle, start.y), (middle, end.y), (end.left, end.y)])
        if end is not places[-1]:
            steps.append([(end.right, end.y)])
    return steps


def _untangled(columns: list[list[Place]]) -> list[list[Place]]:
    best, fewest = _copy(columns), _crossings(columns)
    shuffle = random.Random(0).shuffle
    for turn in range(_STARTS * _SWEEPS):
        if fewest == 0:
            break
        if turn and turn % _SWEEPS == 0:
            for column in columns[1:]:
                shuffle(column)
        _sort_columns(columns, forwards=turn % 2 == 0)
        crossings = _crossings(columns)
        if crossings < fewest:
            best, fewest = _copy(columns), crossings
    return best


def _copy(columns: list[list[Place]]) -> list[list[Place]]:
    return [list(column) for column in columns]


def _crossings(columns: list[list[Place]]) -> int:
    return sum(_crossings_between(left, right) for left, right in itertools.pairwise(columns))


def _crossings_between(left: list[Place], right: list[Place]) -> int:
    position = _positions(right)
    lines = [(index, position[other]) for index, place in enumerate(left) for other in place.after]
    starts, ends = np.array(lines, dtype=int).reshape(-1, 2).T
    return int(((starts[:, None] < starts) & (ends[:, None] > ends)).sum())


def _sort_columns(columns: list[list[Place]], forwards: bool) -> None:
    pairs = list(itertools.pairwise(columns))
    for left, right in pairs if forwards else pairs[:0:-1]:
        fixed, column = (left, right) if forwards else (right, left)
        position = _positions(fixed)
        means = {
            place: _mean([position[other] for other in (place.before if forwards else place.after)], own)
            for own, place in enumerate(column)
        }
        column.sort(key=means.__getitem__)


def _set_heights(columns: list[list[Place]], spacing: float) -> None:
    for column in columns:
        _spread(column, [0.0] * len(column), spacing)
    for sweep in range(_HEIGHT_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            _spread(column, [_calm_height(place) for place in column], spacing)
    top = min(place.y - place.height / 2 for column in columns for place in column)
    for place in itertools.chain.from_iterable(columns):
        place.y -= top


def _set_columns(columns: list[list[Place]], gap: float) -> None:
    left = 0.0
    for column in columns:
        width = max(place.width for place in column)
        for place in column:
            place.x = left + width / 2
            if type(place) is Place:
                place.width = width
        left += width + gap


def _calm_height(place: Place) -> float:
    """Returns the height at which a place's lines would be straightest, a long line's above all."""
    if _is_alone(place):
        return place.y
    is_passage = type(place) is Place
    total = weights = 0.0
    for other in place.before + place.after:
        weight = _STRAIGHTNESS if is_passage and type(other) is Place else 1.0
        total += weight * other.y
        weights += weight
    return total / weights


def _spread(column: list[Place], wanted: list[float], spacing: float) -> None:
    """Sets a column's heights as near to the wanted ones, in squares, as its order and the spacing allow."""
    offsets = np.zeros(len(column))
    for i, (upper, lower) in enumerate(itertools.pairwise(column), 1):
        offsets[i] = offsets[i - 1] + (upper.height + lower.height) / 2 + spacing
    for place, height in zip(column, _ascending(np.array(wanted) - offsets) + offsets, strict=True):
        place.y = float(height)


def _ascending(values: np.ndarray) -> np.ndarray:
    """Returns the nearest ascending sequence: neighbours that descend are pooled to their mean."""
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, count = float(value), 1
        while pools and pools[-1][0] > mean:
            upper, size = pools.pop()
            mean, count = (mean * count + upper * size) / (count + size), count + size
        pools.append((mean, count))
    return np.repeat([mean for mean, _ in pools], [count for _, count in pools])


def _is_alone(place: Place) -> bool:
    return not place.before and not place.after


def _positions(column: list[Place]) -> dict[Place, int]:
    return {place: index for index, place in enumerate(column)}


def _mean(positions: list[int], otherwise: int) -> float:
    return sum(positions) / len(positions) if positions else float(otherwise)
