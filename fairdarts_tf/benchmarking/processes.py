"""The benchmark's end of the pipes to its workers: one process for each program, measured one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairdarts_tf.benchmarking.channel import FIRST_STEP
from fairdarts_tf.errors import ConfigurationError, RunError

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout, or the folder that packages are installed in."""


class Worker:
    """A program in a process of its own, started and past its first step.

    Use it as a context manager: the process ends with it.

    Args:
        name: The program's name, for messages.
        module: Its `main` takes a channel and the arguments.
        arguments: Texts.

    Attributes:
        startup: Seconds of each phase, from the start of the process to the end of the first step, in order.
        about: What the program says of itself.

    Raises:
        ConfigurationError: When the program refuses its settings.
        RunError: When its process ends before it should.
    """

    def __init__(self, name: str, module: str, arguments: Sequence[str] = ()) -> None:
        self.name = name
        self.startup: dict[str, float] = {}
        self.about: dict[str, object] = {}
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (closed by `close`)
        before = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fairdarts_tf.benchmarking.worker", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=_environment(),
            # Ctrl-C is for the benchmark, which ends its workers itself.
            start_new_session=True,
        )
        try:
            self._follow_start(before)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seconds(self, part: str, steps: int = 1) -> float:
        """Runs steps now and returns what they took together."""
        self._ask(part=part, steps=steps)
        return float(self._receive()["seconds"])

    def peak_memory(self) -> dict[str, int | None]:
        """Returns the most memory that the process has had until now, in bytes: resident, and on an accelerator."""
        self._ask(part="memory")
        return self._receive()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                stream.close()
            except BrokenPipeError:  # an unsent request of a process that is gone
                continue

    def _follow_start(self, before: float) -> None:
        """Times the phases by when their reports arrive, so that one clock measures all of them."""
        while FIRST_STEP not in self.startup:
            message = self._receive()
            if "about" in message:
                self.about = message["about"]
                continue
            now = time.perf_counter()
            self.startup[message["phase"]] = now - before
            before = now

    def _ask(self, **request: object) -> None:
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self) -> dict[str, object]:
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        message = json.loads(line)
        if "error" in message:
            raise ConfigurationError(str(message["error"]))
        return message

    def _ended(self) -> RunError:
        code = self._process.wait()
        if code == -9:
            return RunError(f"{self.name} was killed, probably since memory ran out. Try a smaller size.")
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        reason = lines[-1] if lines else f"its process ended with code {code}"
        return RunError(f"{self.name} cannot be measured: {reason}")


def _environment() -> Mapping[str, str]:
    """Lets workers find this package, and programs share a GPU, of whose memory TensorFlow else takes all."""
    places = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return (
        {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "TF_CPP_MIN_LOG_LEVEL": "2"}
        | os.environ
        | {"PYTHONPATH": os.pathsep.join(places)}
    )
