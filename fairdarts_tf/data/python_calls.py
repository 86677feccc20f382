"""Python functions in pipelines, whose threads must be out of Python before the interpreter ends.

A thread that wants to run Python by then is stopped for good, and the process waits for it at its very end: for ever.
"""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_QUIET_SECONDS = 0.1
"""Once no call has come for so long, a pipeline's buffers are full, if only of errors."""
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.01


class PythonCalls:
    """Counts calls under way, and refuses new ones once the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._last = 0.0
        self._ended = False

    def guarded(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """Returns a function that counts."""

        @functools.wraps(function)
        def counted(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
            self._begin()
            try:
                return function(*arguments, **options)
            finally:
                self._end()

        return counted

    def finish(self) -> None:
        """Refuses calls from now on, and waits until no more come."""
        self._ended = True
        until = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_quiet() and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)

    def _begin(self) -> None:
        with self._lock:
            self._last = time.monotonic()
            if self._ended:
                raise RuntimeError("no image is read any more: the process ends")
            self._under_way += 1

    def _end(self) -> None:
        with self._lock:
            self._under_way -= 1
            self._last = time.monotonic()

    def _is_quiet(self) -> bool:
        with self._lock:
            return not self._under_way and time.monotonic() - self._last > _QUIET_SECONDS


CALLS = PythonCalls()
atexit.register(CALLS.finish)
