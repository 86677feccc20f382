"""A decision that holds for all that is built within a ``with``: code deep down asks for it, no caller passes it on."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator


class ScopedSwitch:
    """Off, but within `within`; each thread has its own.

    Args:
        name: For debuggers.
    """

    def __init__(self, name: str) -> None:
        self._on = contextvars.ContextVar(name, default=False)

    @contextlib.contextmanager
    def within(self, wanted: bool = True) -> Iterator[None]:
        """Within, the switch is on.

        Args:
            wanted: Defaults to True. False leaves it as it is.
        """
        token = self._on.set(wanted or self._on.get())
        try:
            yield
        finally:
            self._on.reset(token)

    def is_on(self) -> bool:
        """Returns whether code runs within."""
        return self._on.get()
