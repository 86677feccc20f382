"""Whatever a test registers is forgotten again, so that no other test meets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fairdarts_tf.costs import OPERATION_COSTS
from fairdarts_tf.genotypes import OWN_OPERATIONS
from fairdarts_tf.layer_operation import LAYERS
from fairdarts_tf.operations import OPERATIONS
from fairdarts_tf.relaxations import RELAXATIONS
from fairdarts_tf.spaces import SPACES


@contextmanager
def forgotten() -> Iterator[None]:
    """Puts all tables back at its end."""
    tables = (OPERATION_COSTS, LAYERS, OPERATIONS, RELAXATIONS, SPACES)
    before = [dict(table) for table in tables]
    own = list(OWN_OPERATIONS)
    try:
        yield
    finally:
        OWN_OPERATIONS[:] = own
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
