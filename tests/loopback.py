"""Several workers of one run, as processes of this machine that talk over its loopback device."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SECONDS = 400


def start(command: str, flags: Sequence[Sequence[str]], folder: Path) -> list[subprocess.Popen]:
    """Starts one worker for each list of flags; worker k writes what it says to ``folder/k.txt``."""
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(len(flags))]
    workers = []
    for index, of_worker in enumerate(flags):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {
            "TF_CONFIG": json.dumps(cluster),
            "PYTHONPATH": str(PROJECT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        with open(folder / f"{index}.txt", "w", encoding="utf-8") as output:
            program = [sys.executable, "-m", f"fairdarts_tf.cli.{command}", *of_worker]
            workers.append(subprocess.Popen(program, env=environment, stdout=output, stderr=output))
    return workers


def codes(workers: Sequence[subprocess.Popen]) -> list[int]:
    """Waits for all workers and returns their exit codes; none is left behind."""
    try:
        return [worker.wait(timeout=SECONDS) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


def said(folder: Path, count: int) -> str:
    """Returns what the workers said, for the message of a failed test."""
    return "\n".join((folder / f"{index}.txt").read_text(encoding="utf-8")[-3000:] for index in range(count))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
