"""Genotypes: which operation joins which nodes of a normal and of a reduction cell.

A genotype is read from JSON (what a search writes), from the literal that DARTS and FairDARTS print, or by the name of
a published cell. Whatever the source, it passes the same checks; whatever is wrong with it, it is a `GenotypeError`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from fairdarts_tf.errors import GenotypeError, unknown_name
from fairdarts_tf.genotype_base import GenotypeBase
from fairdarts_tf.genotype_text import brief, parse_json, parse_literal, shorten

FAIRDARTS_OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The seven candidates of FairDARTS' search space S1, in the order of the alphas' columns."""

DARTS_OPERATIONS = ("none", *FAIRDARTS_OPERATIONS)
"""DARTS' candidates: the same, with the absent edge first."""

ALL_OPERATIONS = (*DARTS_OPERATIONS, "sep_conv_7x7", "conv_7x1_1x7")
"""Every operation of the papers. A genotype may hold all of them but ``none``."""

OWN_OPERATIONS: list[str] = []
"""One's own besides, which `fairdarts_tf.registration.register_operation` adds."""

SKIP = "skip_connect"
"""The operation of which the papers count how many a cell has."""

SPACE = "darts"
CELL_KINDS = ("normal", "reduce")
INPUTS = 2
"""A cell's inputs are nodes 0 (the cell before the last) and 1 (the last cell); intermediate nodes count from 2."""
MAX_NODES = 64

_PUBLISHED_FILE = Path(__file__).with_name("published_genotypes.json")
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")


class GenotypeItem(NamedTuple):
    """One operation of a cell, on the edge from node ``source`` to node ``to``.

    JSON calls the fields ``op``, ``to`` and ``from``.
    """

    op: str
    to: int
    source: int

    @property
    def place(self) -> str:
        """Its edge, as drawings and tables name it."""
        return f"{self.source}>{self.to}"

    @property
    def coordinates(self) -> dict[str, str]:
        """The same, number by number, by what each is called."""
        return {"to": str(self.to), "from": str(self.source)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genotype(GenotypeBase):
    """The two cells of a network in the DARTS search space. Compares by value and can be hashed.

    Args:
        space: The search space, ``"darts"``.
        normal: Operations of the normal cell: `GenotypeItem`, or plain ``(op, to, source)``.
        normal_concat: The nodes whose concatenation is the normal cell's output.
        reduce: Operations of the reduction cell.
        reduce_concat: The nodes whose concatenation is the reduction cell's output.

    Raises:
        GenotypeError: When an operation is unknown or ``none``, an edge does not lead forwards, an item or a node is
            repeated, or no node of an output can be reached from the cell's inputs.

    Example:
        >>> genotype = fd.Genotype(
        ...     normal=[("sep_conv_3x3", 2, 0), ("skip_connect", 2, 1)], normal_concat=[2],
        ...     reduce=[("max_pool_3x3", 2, 0)], reduce_concat=[2],
        ... )
        >>> genotype.items("normal")[0].op, genotype.skips("normal"), genotype.nodes("reduce")
        ('sep_conv_3x3', 1, (2,))
        >>> fd.Genotype.from_json(genotype.to_json()) == genotype
        True
        >>> digits = fd.load_dataset("digits")
        >>> network = genotype.build(digits, init_channels=2, layers=3)
        >>> network(digits.images[:5]).shape
        TensorShape([5, 10])
    """

    kinds: ClassVar[tuple[str, ...]] = CELL_KINDS

    space: str = SPACE
    normal: tuple[GenotypeItem, ...]
    normal_concat: tuple[int, ...]
    reduce: tuple[GenotypeItem, ...]
    reduce_concat: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_space(self.space)
        for kind in CELL_KINDS:
            items = _checked_items(kind, self.items(kind))
            concat = _checked_concat(kind, self.concat(kind))
            if not set(concat) & set(existing_nodes(items)):
                raise GenotypeError(
                    f"the {kind} cell is empty: none of its output's nodes {_list(concat)} can be reached from the "
                    "cell's inputs 0 and 1. Give at least one of them an operation that reads from there."
                )
            object.__setattr__(self, kind, items)
            object.__setattr__(self, f"{kind}_concat", concat)

    def items(self, kind: str) -> tuple[GenotypeItem, ...]:
        """Returns the operations of the ``"normal"`` or the ``"reduce"`` cell."""
        return getattr(self, kind)

    def skips(self, kind: str) -> int:
        """Returns how many skip connections the ``"normal"`` or the ``"reduce"`` cell has."""
        return sum(item.op == SKIP for item in self.items(kind))

    def concat(self, kind: str) -> tuple[int, ...]:
        """Returns the nodes that make the output of the ``"normal"`` or the ``"reduce"`` cell."""
        return getattr(self, f"{kind}_concat")

    def nodes(self, kind: str) -> tuple[int, ...]:
        """Returns the intermediate nodes of a cell that exist: see `existing_nodes`."""
        return existing_nodes(self.items(kind))

    def pruned(self) -> Genotype:
        """Returns this genotype without nodes that do not exist, in its items and in its outputs."""
        return Genotype(
            space=self.space,
            normal=reachable_items(self.normal),
            normal_concat=_intersection(self.normal_concat, self.nodes("normal")),
            reduce=reachable_items(self.reduce),
            reduce_concat=_intersection(self.reduce_concat, self.nodes("reduce")),
        )

    def to_json(self) -> str:
        """Returns JSON text of a fixed form: two spaces of indentation, one item a line, no newline at the end."""
        fields = [f'"space": {json.dumps(self.space)}']
        for kind in CELL_KINDS:
            fields.append(f'"{kind}": [\n    {_item_lines(self.items(kind))}\n  ]')
            fields.append(f'"{kind}_concat": {_list(self.concat(kind))}')
        return "{\n  " + ",\n  ".join(fields) + "\n}"

    @classmethod
    def from_json(cls, text: str) -> Genotype:
        """Reads the JSON form; fields beside the genotype's own are notes and are passed over.

        Raises:
            GenotypeError: Whatever is wrong with the text.
        """
        document = parse_json(text)
        if not isinstance(document, dict):
            raise GenotypeError(
                f"expected a JSON object with the fields {', '.join(_FIELDS)}, found {brief(document)}."
            )
        return _from_mapping(document)

    @classmethod
    def from_literal(cls, text: str) -> Genotype:
        """Reads the literal that DARTS and FairDARTS print, with or without ``NAME =`` before it.

        DARTS' items are ``(operation, from)``, two for each node in order. FairDARTS' are ``(operation, to, from)``.
        The text is parsed, never evaluated.

        Raises:
            GenotypeError: Whatever is wrong with the text.
        """
        fields = parse_literal(text, "Genotype", _FIELDS)
        return cls(**fields | {kind: _literal_items(kind, fields[kind]) for kind in CELL_KINDS})

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str]) -> Genotype:
        """Reads a genotype of this search space; see `fairdarts_tf.genotype_files.load_genotype`.

        Raises:
            GenotypeError: When there is none, it cannot be read, or it is of another search space.
        """
        from fairdarts_tf.genotype_files import load_genotype

        found = load_genotype(name_or_path)
        if not isinstance(found, cls):
            raise GenotypeError(
                f"{os.fspath(name_or_path)}: a genotype of the search space {found.space!r}. Expected {SPACE!r}; "
                "load_genotype reads those of every space."
            )
        return found


def existing_nodes(items: Iterable[GenotypeItem]) -> tuple[int, ...]:
    """Returns the intermediate nodes that exist, in ascending order.

    A node without inputs does not exist, and an item that reads it is no input: FairDARTS' threshold may leave a node
    with none.
    """
    existing: set[int] = set()
    for item in sorted(items, key=lambda item: item.to):
        if item.source < INPUTS or item.source in existing:
            existing.add(item.to)
    return tuple(sorted(existing))


def reachable_items(items: Sequence[GenotypeItem]) -> tuple[GenotypeItem, ...]:
    """Returns the items that read one of the cell's inputs or a node that exists, in their order."""
    sources = {*range(INPUTS), *existing_nodes(items)}
    return tuple(item for item in items if item.source in sources)


def published_names() -> tuple[str, ...]:
    """Returns the names of the published genotypes that are known."""
    return tuple(_published())


def published(name: str) -> Genotype:
    """Returns a published genotype.

    Raises:
        GenotypeError: When the name is unknown.
    """
    if name not in _published():
        raise GenotypeError(unknown_name("genotype", shorten(name), published_names()))
    return _published()[name]


@functools.cache
def _published() -> dict[str, Genotype]:
    documents = json.loads(_PUBLISHED_FILE.read_text(encoding="utf-8"))
    return {name: _from_mapping(document) for name, document in documents.items()}


def known_operations() -> tuple[str, ...]:
    """Returns the names of all operations that a search may use."""
    return (*ALL_OPERATIONS, *OWN_OPERATIONS)


def check_operations(operations: Sequence[str]) -> None:
    """Checks a list of candidate operations, the columns of a table of alphas.

    Raises:
        GenotypeError: When one is unknown or repeated, or there is none but ``none``.
    """
    for operation in operations:
        if operation not in known_operations():
            raise GenotypeError(unknown_name("operation", shorten(operation), known_operations()))
        if operations.count(operation) > 1:
            raise GenotypeError(f"operation {operation!r} is listed twice. List each candidate once.")
    if not set(operations) - {"none"}:
        raise GenotypeError("the list of operations holds no candidate. Name at least one besides 'none'.")


def learnable_operations(operations: Sequence[str]) -> list[int]:
    """Returns the places of the operations that have weights of their own at stride 1: the convolutions."""
    return [place for place, operation in enumerate(operations) if "conv" in operation]


def absent(name_or_path: str | os.PathLike[str]) -> str:
    """Returns what is said of a name that is neither published nor that of a file or directory."""
    if not isinstance(name_or_path, str) or os.sep in name_or_path:
        return f"there is no file or directory {name_or_path}. Name a genotype's file, or the directory of a search."
    unknown = unknown_name("genotype", shorten(name_or_path), published_names())
    return f"{unknown} There is no such file or directory either."


def _check_space(space: Any) -> None:
    if space != SPACE:
        raise GenotypeError(f"a genotype of the search space {brief(space)}. Expected {SPACE!r}.")


def _checked_items(kind: str, items: Any) -> tuple[GenotypeItem, ...]:
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise GenotypeError(f"the {kind} cell is no list of items but {brief(items)}.")
    checked: dict[GenotypeItem, None] = {}
    for fields in items:
        item = _checked_item(kind, fields)
        if item in checked:
            raise GenotypeError(f"the {kind} cell holds {item.op} from {item.source} to {item.to} twice. Remove one.")
        checked[item] = None
    return tuple(checked)


def _checked_item(kind: str, fields: Any) -> GenotypeItem:
    if not isinstance(fields, tuple | list) or len(fields) != len(GenotypeItem._fields):
        raise GenotypeError(f"the {kind} cell has the item {brief(fields)}. Expected (operation, to, from).")
    item = GenotypeItem(*fields)
    if not isinstance(item.op, str):
        raise GenotypeError(f"the {kind} cell has the operation {brief(item.op)}. Expected the name of one.")
    known = set(known_operations()) - {"none"}
    if item.op not in known:
        raise GenotypeError(f"the {kind} cell has the {unknown_name('operation', shorten(item.op), known)}")
    _check_node(f"the {kind} cell has an item to", item.to, INPUTS, INPUTS + MAX_NODES - 1)
    _check_node(f"the {kind} cell has an item to node {item.to} from", item.source, 0, item.to - 1)
    return item


def _checked_concat(kind: str, concat: Any) -> tuple[int, ...]:
    if isinstance(concat, str) or not isinstance(concat, Iterable):
        raise GenotypeError(f"{kind}_concat is no list of nodes but {brief(concat)}.")
    nodes = tuple(concat)
    for node in nodes:
        _check_node(f"{kind}_concat holds", node, INPUTS, INPUTS + MAX_NODES - 1)
    if not nodes or len(set(nodes)) < len(nodes):
        raise GenotypeError(f"{kind}_concat is {brief(list(nodes))}. Expected at least one node, and each node once.")
    return nodes


def _check_node(subject: str, node: Any, lowest: int, highest: int) -> None:
    if type(node) is not int or not lowest <= node <= highest:
        raise GenotypeError(f"{subject} node {brief(node)}. Expected a whole number from {lowest} to {highest}.")


def _from_mapping(document: Mapping[str, Any]) -> Genotype:
    missing = [field for field in _FIELDS if field not in document]
    if missing:
        raise GenotypeError(f"a genotype without {', '.join(missing)}. Expected the fields {', '.join(_FIELDS)}.")
    return Genotype(
        space=document.get("space", SPACE),
        normal=_json_items("normal", document["normal"]),
        normal_concat=_json_list("normal_concat", document["normal_concat"]),
        reduce=_json_items("reduce", document["reduce"]),
        reduce_concat=_json_list("reduce_concat", document["reduce_concat"]),
    )


def _json_items(kind: str, value: Any) -> tuple[GenotypeItem, ...]:
    items = []
    for item in _json_list(kind, value):
        if not isinstance(item, dict) or set(item) != {"op", "to", "from"}:
            raise GenotypeError(f'the {kind} cell has the item {brief(item)}. Expected the fields "op", "to", "from".')
        items.append(GenotypeItem(item["op"], item["to"], item["from"]))
    return tuple(items)


def _json_list(field: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise GenotypeError(f"{field} is {brief(value)}. Expected a list.")
    return tuple(value)


def _literal_items(kind: str, items: Any) -> list[tuple[Any, ...]]:
    """Returns items as (operation, to, from); DARTS leaves the to-node out, since each node has two."""
    lengths = {len(item) if isinstance(item, tuple | list) else 0 for item in items} if _is_list(items) else {0}
    if lengths <= {3}:
        return list(items)
    if lengths == {2} and len(items) % 2 == 0:
        return [(op, INPUTS + index // 2, source) for index, (op, source) in enumerate(items)]
    raise GenotypeError(
        f"the {kind} cell's items are neither all (operation, to, from) nor (operation, from), two for each node."
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple | list)


def _item_lines(items: Iterable[GenotypeItem]) -> str:
    return ",\n    ".join(json.dumps({"op": item.op, "to": item.to, "from": item.source}) for item in items)


def _list(nodes: Iterable[int]) -> str:
    return json.dumps(list(nodes))


def _intersection(nodes: Iterable[int], existing: Sequence[int]) -> tuple[int, ...]:
    return tuple(node for node in nodes if node in existing)
