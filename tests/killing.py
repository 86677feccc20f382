"""Runs a tiny search or training whole, and again with SIGKILLs in it, as a program: see `main`.

TensorFlow is loaded once; each start is a fork of this process before TensorFlow does anything, and dies or ends.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tiny_search

import fairdarts_tf.search_run
import fairdarts_tf.training.run
from fairdarts_tf import files
from fairdarts_tf.checkpoints import list_checkpoints, load_checkpoint
from fairdarts_tf.recorder import Recorder
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.training.settings import TrainSettings

STAGES = ("half written", "synced, not renamed", "renamed, not synced")


@dataclasses.dataclass(frozen=True)
class Kill:
    """When a start is killed.

    Attributes:
        seconds: After its first step, or after its begin where `from_begin`; None: in a write.
        from_begin: See there.
        write: In which of its writes of a file, counted from 1.
        stage: Of that write, one of `STAGES`.
        share: Of the bytes of what is half written.
    """

    seconds: float | None = None
    from_begin: bool = False
    write: int = 0
    stage: str = ""
    share: float = 0.0


def main(folder: str, plans: str) -> None:
    """Works off plans, JSON by kind of run (``search``, ``train``), each in FOLDER/KIND; see `_work_off`."""
    for kind, plan in json.loads(plans).items():
        _work_off(_search if kind == "search" else _train, Path(folder, kind), plan)


def _work_off(run: Callable[[dict, Path], None], folder: Path, plan: dict) -> None:
    """Runs once whole in FOLDER/whole, then with kills in FOLDER/killed until it is complete.

    Args:
        run: What runs.
        folder: Where to.
        plan: ``settings``, ``kills`` (how many), ``seed`` (of their moments) and ``most_writes``: a kill in a write is
            in one of the first so many of its start. What each start came to goes to FOLDER/outcomes.json.
    """
    chance = random.Random(plan["seed"])
    began = time.monotonic()
    status, first_step = _start(run, plan["settings"], folder / "whole", None)
    assert os.waitstatus_to_exitcode(status) == 0
    to_first_step, steps_take = first_step - began, time.monotonic() - first_step
    killed = folder / "killed"
    outcomes = []
    for number in range(plan["kills"]):
        kill = _choose(chance, number, to_first_step, steps_take, plan["most_writes"])
        status, _ = _start(run, plan["settings"], killed, kill)
        steps = _check_checkpoints(killed, outcomes[-1]["steps"] if outcomes else [])
        outcomes.append(dataclasses.asdict(kill) | {"code": os.waitstatus_to_exitcode(status), "steps": steps})
    status, _ = _start(run, plan["settings"], killed, None)
    outcomes.append({"code": os.waitstatus_to_exitcode(status)})
    (folder / "outcomes.json").write_text(json.dumps(outcomes))


def _choose(chance: random.Random, number: int, to_first_step: float, steps_take: float, most_writes: int) -> Kill:
    """Returns a random moment: of every four, two in a write, one among the first steps, one on the way to them."""
    match number % 4:
        case 0 | 2:
            stage = STAGES[number // 2 % len(STAGES)]
            return Kill(write=chance.randint(2, most_writes), stage=stage, share=chance.random())
        case 1:
            return Kill(seconds=chance.uniform(0, steps_take / 10))
    return Kill(seconds=chance.uniform(0, 1.2 * to_first_step), from_begin=True)


def _check_checkpoints(workdir: Path, before: list[int]) -> list[int]:
    """Checks that each checkpoint is whole, and that no kill cost the newest one; returns their steps."""
    steps = [int(load_checkpoint(path)["step"]) for path in list_checkpoints(workdir / "checkpoints")]
    assert max(steps, default=0) >= max(before, default=0), (before, steps)
    assert len(steps) >= min(len(before), 2), (before, steps)
    return steps


def _start(run: Callable[[dict, Path], None], settings: dict, workdir: Path, kill: Kill | None) -> tuple[int, float]:
    """Starts a run in a child and returns the status that it ended with, and when it had done its first step."""
    first_step, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
            _tell_first_step(tell)
            if kill and kill.write:
                _arm(kill)
            run(settings, workdir)
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  (a child must never go on as the parent)
            print(repr(error), file=sys.stderr)
            os._exit(1)
    os.close(tell)
    if kill and kill.from_begin:
        time.sleep(kill.seconds)
        os.kill(child, signal.SIGKILL)
    # Returns at the child's end, where that comes before.
    os.read(first_step, 1)
    first_step_at = time.monotonic()
    if kill and kill.seconds is not None and not kill.from_begin:
        time.sleep(kill.seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(first_step)
    return status, first_step_at


def _search(settings: dict, workdir: Path) -> None:
    fairdarts_tf.search_run._write_report = lambda run: None
    fairdarts_tf.search_run.TensorBoardLog = tiny_search.NoLog
    fairdarts_tf.search_run.run_search(SearchSettings(**settings), workdir)


def _train(settings: dict, workdir: Path) -> None:
    fairdarts_tf.training.run.TensorBoardLog = tiny_search.NoLog
    fairdarts_tf.training.run.run_training(TrainSettings(**settings), workdir)


def _tell_first_step(pipe: int) -> None:
    count_step = Recorder.on_train_batch_end

    def counted(recorder: Recorder, batch: int, logs: dict[str, float] | None = None) -> None:
        count_step(recorder, batch, logs)
        os.write(pipe, b".")

    Recorder.on_train_batch_end = counted


def _arm(kill: Kill) -> None:
    """Lets this process kill itself in one of its writes."""
    write_atomically, replace = files.write_atomically, os.replace
    count = 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def die_before(source: str, target: str) -> None:
        die()

    def die_after(source: str, target: str) -> None:
        replace(source, target)
        die()

    def write(path: Path, content: Callable[[io.BufferedIOBase], object]) -> None:
        nonlocal count
        count += 1
        if count < kill.write:
            write_atomically(path, content)
            return
        if kill.stage == STAGES[1]:
            os.replace = die_before
        elif kill.stage == STAGES[2]:
            os.replace = die_after
        else:
            content = _half(content, kill.share, die)
        write_atomically(path, content)

    for module in list(sys.modules.values()):
        if getattr(module, "write_atomically", None) is write_atomically:
            module.write_atomically = write


def _half(content: Callable[[io.BufferedIOBase], object], share: float, die: Callable[[], None]) -> Callable:
    def write(file: io.BufferedIOBase) -> None:
        whole = io.BytesIO()
        content(whole)
        file.write(whole.getvalue()[: int(share * len(whole.getvalue()))])
        file.flush()
        die()

    return write


if __name__ == "__main__":
    main(*sys.argv[1:])
