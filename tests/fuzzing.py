"""Many hostile inputs to one reader, which may run nothing, and take neither long nor much.

`FAST_AND_SLOW` gives a test its number of examples: a few, always the same, and with ``--slow`` many, always others.
"""

from __future__ import annotations

import contextlib
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MANY = 5_000
FAST_AND_SLOW = pytest.mark.parametrize("examples", [100, pytest.param(MANY, marks=pytest.mark.slow)])

MOST_SECONDS = 20.0
MOST_BYTES = 256 * 2**20

_WHAT_RUNS_CODE = {
    "exec",
    "import",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "pickle.find_class",
    "socket.connect",
    "subprocess.Popen",
}
_seen: list[str] | None = None


def fuzz(check: Callable[[object], object], strategy: st.SearchStrategy, examples: int) -> None:
    """Calls ``check`` with so many values of a strategy."""

    @settings(
        max_examples=examples,
        derandomize=examples < MANY,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def run(value: object) -> None:
        check(value)

    run()


@contextlib.contextmanager
def nothing_runs() -> Iterator[None]:
    """Fails where Python executes code, unpickles, imports, starts a program or connects to another machine.

    Code that is there runs as ever: only what was made from data shows in Python's own audit of these events.
    """
    global _seen
    _seen = []
    try:
        yield
    finally:
        seen, _seen = _seen, None
    assert not seen, seen


@contextlib.contextmanager
def little_is_taken() -> Iterator[None]:
    """Fails where more than 20 seconds of processor time or 256 MiB of memory are taken."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
    finally:
        seconds = time.process_time() - began
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert seconds < MOST_SECONDS and peak < MOST_BYTES, (seconds, peak)


def _record(event: str, arguments: tuple) -> None:
    if _seen is not None and event in _WHAT_RUNS_CODE:
        _seen.append(f"{event}{arguments!r:.200}")


sys.addaudithook(_record)
