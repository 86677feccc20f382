"""Laying out a graph from left to right with Graphviz: where its places stand and how its connections run.

Graphviz is given sizes without a word of text, so that it needs neither fonts nor a program on the path, and its
drawing is left to others. Lengths are inches, the corner is at (0, 0) and y runs downwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fairdarts_tf.errors import FairDartsError

if TYPE_CHECKING:
    from pygraphviz import AGraph

Point = tuple[float, float]

_POINTS_PER_INCH = 72
_DIGITS = 4
_MANY = 150
_LESS_EFFORT = {"nslimit": "2", "nslimit1": "2", "mclimit": "0.2"}
"""Graphviz' own limits for graphs of many places, on which it would spend minutes."""


class LayoutError(FairDartsError):
    """Graphviz is absent, or of no use here."""


@dataclasses.dataclass(eq=False)
class Place:
    """Something that takes room.

    Args:
        width: Its width.
        height: Its height.
        x: Of its middle: a result of `arrange`.
        y: Of its middle: a result of `arrange`.
    """

    width: float
    height: float
    x: float = dataclasses.field(default=0.0, init=False)
    y: float = dataclasses.field(default=0.0, init=False)

    @property
    def left(self) -> float:
        """Where connections enter it."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Where connections leave it."""
        return self.x + self.width / 2


@dataclasses.dataclass(eq=False)
class Connection:
    """What leads from one place to another. Two places have at most one.

    Args:
        start: Where it begins, at the right side.
        end: Where it ends, at the left side, further right.
        pull: How much it matters that it is short and straight. Defaults to 1.
        has_arrow: Whether it ends in a head. Defaults to False.
        is_seen: Whether it needs a route; one that does not only orders its places. Defaults to True.
        route: The points of a spline of cubic Bézier curves, three further ones for each: a result of `arrange`.
        tip: Where the head ends, beyond the route, if it has one: a result of `arrange`.
    """

    start: Place
    end: Place
    pull: int = 1
    has_arrow: bool = False
    is_seen: bool = True
    route: list[Point] = dataclasses.field(default_factory=list, init=False)
    tip: Point | None = dataclasses.field(default=None, init=False)


def arrange(
    places: Sequence[Place],
    connections: Sequence[Connection],
    first: Sequence[Place],
    last: Place,
    spacing: float,
    gap: float,
) -> tuple[float, float]:
    """Sets the positions of all places and the routes of all connections.

    Args:
        places: All of them.
        connections: Between them.
        first: Those that stand leftmost, from the top downwards.
        last: The one that stands rightmost.
        spacing: The least distance between two places above each other.
        gap: The least distance between two places side by side.

    Returns:
        The width and the height of the whole.

    Raises:
        LayoutError: When Graphviz cannot be loaded, or has no layout.
    """
    names = {place: str(number) for number, place in enumerate(places)}
    graph = _graph(names, connections, spacing, gap)
    graph.add_subgraph([names[place] for place in first], rank="min")
    graph.add_subgraph([names[last]], rank="max")
    for upper, lower in zip(first, first[1:], strict=False):
        graph.add_edge(names[upper], names[lower], style="invis", tailport="c", headport="c")
    try:
        graph.layout("dot")
    except (OSError, ValueError) as error:
        raise _unusable(error) from error
    left, bottom, right, top = _numbers(graph.graph_attr["bb"].split(","))

    def placed(text: str) -> Point:
        x, y = _numbers(text.split(","))
        return round(x - left, _DIGITS), round(top - y, _DIGITS)

    for place, name in names.items():
        place.x, place.y = placed(graph.get_node(name).attr["pos"])
    for connection in connections:
        edge = graph.get_edge(names[connection.start], names[connection.end])
        _set_route(connection, [placed(point.removeprefix("e,")) for point in (edge.attr["pos"] or "").split()])
    return round(right - left, _DIGITS), round(top - bottom, _DIGITS)


def _graph(names: dict[Place, str], connections: Iterable[Connection], spacing: float, gap: float) -> AGraph:
    try:
        from pygraphviz import AGraph
    except ImportError as error:
        raise _unusable(error) from error
    effort = _LESS_EFFORT if len(names) > _MANY else {}
    graph = AGraph(directed=True, rankdir="LR", nodesep=spacing, ranksep=gap, splines="true", **effort)
    graph.node_attr.update(label="", shape="box", fixedsize="true")
    graph.edge_attr.update(tailport="e", headport="w", arrowsize="0.6")
    for place, name in names.items():
        graph.add_node(name, width=place.width, height=place.height)
    for connection in connections:
        attributes = {"weight": str(connection.pull), "arrowhead": "normal" if connection.has_arrow else "none"}
        graph.add_edge(
            names[connection.start],
            names[connection.end],
            **attributes | ({} if connection.is_seen else {"style": "invis"}),
        )
    return graph


def _unusable(error: Exception) -> LayoutError:
    return LayoutError(
        f"cells cannot be drawn: Graphviz, as the package pygraphviz brings it, is not usable here ({error}). Install "
        "it anew: python -m pip install --force-reinstall --no-deps 'pygraphviz>=2'."
    )


def _numbers(texts: Iterable[str]) -> list[float]:
    return [float(text) / _POINTS_PER_INCH for text in texts]


def _set_route(connection: Connection, points: list[Point]) -> None:
    if not connection.is_seen:
        return
    if not points:
        # Graphviz may give up a route where it finds no way through.
        points = _straight(connection)
    if connection.has_arrow:
        connection.tip, *points = points
    connection.route = points


def _straight(connection: Connection) -> list[Point]:
    start, end = (connection.start.right, connection.start.y), (connection.end.left, connection.end.y)
    return [end, start, start, end, end] if connection.has_arrow else [start, start, end, end]
