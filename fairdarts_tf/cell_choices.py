"""The cells of S1 as a list of choices: which states a node reads, and which operation is on each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import CELL_KINDS, INPUTS, SKIP, Genotype, GenotypeItem, reachable_items

MOST_INPUTS = 2
"""Inputs of a node, at most: what DARTS and FairDARTS derive."""

Condition = tuple[str, Sequence[str]]
"""An earlier choice by name, and the options of it with which a later one is asked for."""


class Choose(Protocol):
    """Whoever makes choices: at random, by a tuner, or after a genotype that there is."""

    def __call__(self, name: str, options: Sequence[str], given: Sequence[Condition] = ()) -> str | None:
        """Returns one of the options, or None where it is not asked for.

        Args:
            name: Of the choice; the same name always has the same options.
            options: At least one.
            given: What earlier choices must have been for this one to count, the earliest first; all must hold.
        """


def choose_operation(
    choose: Choose, name: str, operations: Sequence[str], given: Sequence[Condition], may_skip: bool | None
) -> str | None:
    """Returns an operation: if a skip connection is chosen and none may follow, by another choice among the rest.

    Args:
        choose: Makes the choices.
        name: Of the choice.
        operations: The candidates.
        given: See `Choose`.
        may_skip: Whether another skip connection is allowed; None: there is no limit, and no second choice.

    Raises:
        ConfigurationError: When there is a limit, and no operation but the skip connection.
    """
    operation = choose(name, operations, given)
    if may_skip is None or SKIP not in operations:
        return operation
    others = [other for other in operations if other != SKIP]
    if not others:
        raise ConfigurationError(f"{name} has no operation but {SKIP!r}, of which there is a limit. Add others.")
    instead = choose(f"{name}/instead_of_skip", others, (*given, (name, (SKIP,))))
    return operation if may_skip or operation != SKIP else instead


def compose_cells(operations: Sequence[str], nodes: int, choose: Choose, max_skips: int | None) -> Genotype:
    """Returns the genotype of a sequence of choices; whatever they are, it is one that a search could derive.

    A node reads up to two different states before it, each through one operation. The first node reads at least one,
    so that no cell is empty. What would read a node that does not exist is dropped, as in a derivation.

    Args:
        operations: Candidates without ``none``.
        nodes: Intermediate nodes of a cell.
        choose: Makes the choices.
        max_skips: The most skip connections of the normal cell; None: no limit.
    """
    limits = dict.fromkeys(CELL_KINDS) | {CELL_KINDS[0]: max_skips}
    cells = {kind: _compose_cell(kind, operations, nodes, choose, limits[kind]) for kind in CELL_KINDS}
    concat = tuple(range(INPUTS, INPUTS + nodes))
    return Genotype(normal=cells["normal"], normal_concat=concat, reduce=cells["reduce"], reduce_concat=concat).pruned()


def _compose_cell(
    kind: str, operations: Sequence[str], nodes: int, choose: Choose, max_skips: int | None
) -> list[GenotypeItem]:
    items: list[GenotypeItem] = []
    for to in range(INPUTS, INPUTS + nodes):
        sets = {_name(states): states for states in _input_sets(to)}
        chosen = choose(f"{kind}/{to}/inputs", list(sets))
        for place in range(MOST_INPUTS):
            enough = [name for name, states in sets.items() if len(states) > place]
            may_skip = None if max_skips is None else sum(item.op == SKIP for item in items) < max_skips
            given = ((f"{kind}/{to}/inputs", enough),)
            operation = choose_operation(choose, f"{kind}/{to}/operation_{place + 1}", operations, given, may_skip)
            if operation is not None and place < len(sets[chosen]):
                items.append(GenotypeItem(operation, to, sets[chosen][place]))
        items = list(reachable_items(items))
    return items


def _input_sets(to: int) -> list[tuple[int, ...]]:
    """Returns all sets of states that a node may read, the larger ones first; for the first node not the empty one."""
    fewest = 1 if to == INPUTS else 0
    sizes = range(MOST_INPUTS, fewest - 1, -1)
    return [states for size in sizes for states in itertools.combinations(range(to), size)]


def _name(states: tuple[int, ...]) -> str:
    return "+".join(map(str, states)) or "no"
