"""A worker's end of the pipes to the benchmark: phases of its start, then requests and replies, one JSON text a line.

Between requests a worker waits in a read, so that it costs the program that is being measured nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from fairdarts_tf.profiling.measure_file import peak_memory

FIRST_STEP = "first step"
"""The last phase of a start."""


class Channel:
    """Reports phases and answers requests.

    Args:
        replies: Where to write.
        requests: Where to read.

    Attributes:
        device_memory: Returns the most memory that the program had on its accelerator, in bytes, or None for none.
    """

    def __init__(self, replies: TextIO, requests: TextIO) -> None:
        self._replies = replies
        self._requests = requests
        self._phases: set[str] = set()
        self.device_memory: Callable[[], int | None] = lambda: None

    def phase(self, name: str) -> None:
        """Reports that a phase of the start has ended; a second time is passed over."""
        if name not in self._phases:
            self._phases.add(name)
            self._send(phase=name)

    def describe(self, **fields: object) -> None:
        """Reports what the program is: its device and versions."""
        self._send(about=fields)

    def fail(self, message: str) -> None:
        """Reports bad input."""
        self._send(error=message)

    def request(self) -> dict[str, object] | None:
        """Waits for a request to run steps, ``{"part": "step", "steps": 3}``, or returns None when all is done.

        Requests for peak memory, ``{"part": "memory"}``, are answered here.
        """
        while line := self._requests.readline():
            request = json.loads(line)
            if request["part"] != "memory":
                return request
            self._send(peak_memory_bytes=peak_memory(), peak_device_memory_bytes=self.device_memory())
        return None

    def reply(self, seconds: float) -> None:
        """Answers what the requested steps took together."""
        self._send(seconds=seconds)

    def _send(self, **fields: object) -> None:
        self._replies.write(json.dumps(fields) + "\n")
        self._replies.flush()


def serve(
    channel: Channel,
    parts: Mapping[str, Callable[[], object]],
    synchronize: Callable[[], object],
    first: Mapping[str, object] | None = None,
) -> None:
    """Runs steps as they are requested, until there are no more requests.

    Args:
        channel: Where requests come from.
        parts: Functions that run one step, by what may be requested.
        synchronize: Waits until the device has computed all.
        first: A request that was received before. Defaults to None.
    """
    while request := first or channel.request():
        first = None
        step = parts[request["part"]]
        start = time.perf_counter()
        for _ in range(request["steps"]):
            step()
        synchronize()
        channel.reply(time.perf_counter() - start)
