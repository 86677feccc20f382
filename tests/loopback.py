"""Several workers of one run, as processes of this machine that talk over its loopback device.

TensorFlow is loaded once, by a program of its own (`main`). Each worker is a fork of it, made before TensorFlow runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import tiny_search

PROJECT = Path(__file__).resolve().parents[1]
SECONDS = 400


@dataclasses.dataclass(frozen=True)
class Signal:
    """A signal that one of the workers gets.

    Attributes:
        number: Which.
        worker: Who.
        step: After which of the steps that it takes.
    """

    number: signal.Signals
    worker: int
    step: int


class Workers:
    """The program that the workers are forks of."""

    def __init__(self) -> None:
        self._program = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            env=os.environ | {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def codes(
        self, command: str, flags: Sequence[Sequence[str]], folder: Path, sent: Signal | None = None
    ) -> list[int]:
        """Starts one worker for each list of flags, waits for all and returns their exit codes; none is left behind.

        Args:
            command: Name of the command.
            flags: By worker.
            folder: What worker k says goes to ``folder/k.txt`` there.
            sent: Defaults to none.
        """
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(len(flags))]
        orders = [
            {
                "config": {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}},
                "arguments": [command, *of_worker],
                "output": str(folder / f"{index}.txt"),
                "signal": [sent.number, sent.step] if sent and sent.worker == index else None,
            }
            for index, of_worker in enumerate(flags)
        ]
        print(json.dumps(orders), file=self._program.stdin, flush=True)
        return json.loads(self._program.stdout.readline())

    def close(self) -> None:
        """Ends the program."""
        self._program.communicate()


@contextlib.contextmanager
def workers() -> Iterator[Workers]:
    """Yields workers to be started, and ends what they are forks of."""
    started = Workers()
    try:
        yield started
    finally:
        started.close()


def said(folder: Path, count: int) -> str:
    """Returns what the workers said, for the message of a failed test."""
    return "\n".join((folder / f"{index}.txt").read_text(encoding="utf-8")[-3000:] for index in range(count))


def main() -> None:
    """Reads a list of orders a line, works them off together, and writes their exit codes."""
    import fairdarts_tf.search_run
    import fairdarts_tf.training.run

    # Pictures take longer than the steps.
    fairdarts_tf.search_run._write_report = lambda run: None
    for runs in (fairdarts_tf.search_run, fairdarts_tf.training.run):
        runs.TensorBoardLog = tiny_search.NoLog
    for line in sys.stdin:
        print(json.dumps(_wait_for([_start(order) for order in json.loads(line)])), flush=True)


def _start(order: dict) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        descriptor = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.environ["TF_CONFIG"] = json.dumps(order["config"])
        if order["signal"]:
            _arm(*order["signal"])
        command = importlib.import_module(f"fairdarts_tf.cli.{order['arguments'][0]}")
        code = command.COMMAND.execute(command.main, order["arguments"])
        sys.stderr.flush()
    finally:
        os._exit(code)


def _arm(number: int, step: int) -> None:
    """Lets this process get a signal after so many steps."""
    from fairdarts_tf.recorder import Recorder

    count_step, taken = Recorder.on_train_batch_end, []

    def counted(recorder: Recorder, batch: int, logs: dict[str, float] | None = None) -> None:
        count_step(recorder, batch, logs)
        taken.append(batch)
        if len(taken) == step:
            os.kill(os.getpid(), number)

    Recorder.on_train_batch_end = counted


def _wait_for(children: list[int]) -> list[int]:
    """Returns the exit codes of all; who takes too long is killed."""
    codes: dict[int, int] = {}
    until = time.monotonic() + SECONDS
    while len(codes) < len(children):
        for child in set(children) - set(codes):
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                codes[child] = os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return [codes[child] for child in children]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


if __name__ == "__main__":
    main()
