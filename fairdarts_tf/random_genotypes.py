"""Random cells: the control that a search has to beat.

FairDARTS compares with random search whose cells have exactly two skip connections, since the number of skips alone
decides much of a cell's accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import (
    FAIRDARTS_OPERATIONS,
    INPUTS,
    MAX_NODES,
    SKIP,
    Genotype,
    GenotypeItem,
    check_operations,
)


def random_genotype(
    seed: int,
    operations: Sequence[str] = FAIRDARTS_OPERATIONS,
    nodes: int = 4,
    edges_per_node: int = 2,
    skips: int | None = None,
) -> Genotype:
    """Draws a genotype, uniformly from all whose nodes have so many inputs from different states.

    Each node's inputs are a uniformly drawn set of the states before it, and each has a uniformly drawn operation.

    Args:
        seed: Chooses the genotype, 0 or larger. The same arguments give the same genotype with every version of NumPy.
        operations: Candidates; ``none`` is never drawn. Defaults to FairDARTS' seven.
        nodes: Intermediate nodes of a cell. Defaults to 4.
        edges_per_node: Inputs of a node, 1 or 2: the first node has no more to choose from. Defaults to 2.
        skips: How many ``skip_connect`` the normal cell has, exactly; all such cells are equally likely. The reduction
            cell is free. Defaults to None: as many as are drawn.

    Raises:
        ConfigurationError: When a number is outside its range, or no cell has so many skip connections.
        GenotypeError: When an operation is unknown or repeated, or there is none but ``none``.
    """
    check_operations(operations)
    candidates = [operation for operation in operations if operation != "none"]
    _check(seed, nodes, edges_per_node)
    edges = nodes * edges_per_node
    _check_skips(skips, edges, candidates)
    # NumPy promises that this generator's draws never change.
    generator = np.random.RandomState(seed)
    concat = tuple(range(INPUTS, INPUTS + nodes))
    normal = _draw(candidates, edges, generator) if skips is None else _draw_skips(candidates, edges, skips, generator)
    return Genotype(
        normal=_items(normal, nodes, edges_per_node, generator),
        normal_concat=concat,
        reduce=_items(_draw(candidates, edges, generator), nodes, edges_per_node, generator),
        reduce_concat=concat,
    )


def _items(
    operations: Sequence[str], nodes: int, edges_per_node: int, generator: np.random.RandomState
) -> tuple[GenotypeItem, ...]:
    """Gives each operation an edge: nodes in order, and for each a random set of sources."""
    edges = [
        (to, int(source))
        for to in range(INPUTS, INPUTS + nodes)
        for source in sorted(generator.permutation(to)[:edges_per_node])
    ]
    return tuple(GenotypeItem(op, to, source) for op, (to, source) in zip(operations, edges, strict=True))


def _draw(candidates: Sequence[str], count: int, generator: np.random.RandomState) -> list[str]:
    return [candidates[index] for index in generator.randint(len(candidates), size=count)]


def _draw_skips(candidates: Sequence[str], count: int, skips: int, generator: np.random.RandomState) -> list[str]:
    """Draws a random place for each skip connection, and other operations for the rest."""
    others = [operation for operation in candidates if operation != SKIP]
    is_skip = generator.permutation(count) < skips
    drawn = iter(_draw(others, count - skips, generator) if skips < count else ())
    return [SKIP if skip else next(drawn) for skip in is_skip]


def _check(seed: int, nodes: int, edges_per_node: int) -> None:
    for name, value, least, most in (
        ("seed", seed, 0, 2**32 - 1),
        ("nodes", nodes, 1, MAX_NODES),
        ("edges_per_node", edges_per_node, 1, INPUTS),
    ):
        if not least <= value <= most:
            raise ConfigurationError(f"{name} is {value}, but must be from {least} to {most}.")


def _check_skips(skips: int | None, edges: int, candidates: Sequence[str]) -> None:
    if skips is None:
        return
    if not 0 <= skips <= edges:
        raise ConfigurationError(f"skips is {skips}, but a cell has {edges} operations: it must be from 0 to {edges}.")
    if skips and SKIP not in candidates:
        raise ConfigurationError(f"skips is {skips}, but {SKIP!r} is none of the operations. Add it, or ask for none.")
    if skips < edges and set(candidates) == {SKIP}:
        raise ConfigurationError(f"skips is {skips}, but a cell of {SKIP!r} alone has {edges}. Add other operations.")
