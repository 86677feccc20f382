"""A whole benchmark: every program in a process of its own, in turns."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from statistics import median

from fairdarts_tf.benchmarking import matmul
from fairdarts_tf.benchmarking.multiply_adds import step_multiply_adds
from fairdarts_tf.benchmarking.processes import PROJECT, Worker
from fairdarts_tf.benchmarking.results import OURS, BenchmarkResult, ProgramResult, Ratios, medians
from fairdarts_tf.benchmarking.settings import PEERS, BenchmarkSettings
from fairdarts_tf.errors import ConfigurationError

SECONDS_OF_A_TURN = 1.0
"""About how long the steps of a turn take, where their number is free."""

_PEER_MODULE = "benchmarks.torch_worker"
_MATMUL = "the matrix product"


@dataclasses.dataclass
class _Program:
    """A program under measurement: how to start it, and what was measured so far."""

    name: str
    module: str
    arguments: tuple[str, ...]
    starts: list[dict[str, float]] = dataclasses.field(default_factory=list)
    turns: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    steps: dict[str, int] = dataclasses.field(default_factory=dict)
    memory: dict[str, int | None] = dataclasses.field(default_factory=dict)
    about: dict[str, object] = dataclasses.field(default_factory=dict)

    def start(self) -> Worker:
        """Starts it and notes how long that took."""
        worker = Worker(self.name, self.module, self.arguments)
        self.starts.append(worker.startup)
        self.about = worker.about
        return worker

    def take_turn(self, worker: Worker, part: str) -> float:
        """Runs the steps of a turn and returns what one took."""
        seconds = worker.seconds(part, self.steps[part]) / self.steps[part]
        self.turns.setdefault(part, []).append(seconds)
        return seconds


def run_benchmark(settings: BenchmarkSettings, say: Callable[[str], None] = lambda text: None) -> BenchmarkResult:
    """Measures this library, and its peers beside it.

    This library and a peer take turns, round by round, so that a change of the machine's speed meets both; while one
    computes the other waits. With several peers it does so with one after the other: no more than two programs hold
    memory at a time. The first step after the start, which may still fill caches, counts in no turn.

    Args:
        settings: What to measure.
        say: Is told how far the benchmark is, line by line. Defaults to nothing.

    Raises:
        ConfigurationError: When a peer cannot run here, or a size is unfit.
        RunError: When a program ends before it should.
    """
    check_peers(settings.peers)
    ours, peers = _ours(settings), [_peer(name, settings) for name in settings.peers]
    for _ in range(settings.starts - 1):
        for program in (ours, *peers):
            program.start().close()
    with _Session(settings, say, ours) as session:
        for peer in peers:
            session.compare(peer)
        session.finish()
        best = matmul.operations(session.device) / min(session.products)
    programs = {program.name: _result(program, settings, best) for program in (ours, *peers)}
    # Each peer has met its own rounds of ours.
    turns, count = ours.turns["step"], settings.rounds
    rounds = [turns[start : start + count] for start in range(0, len(turns), count)]
    return BenchmarkResult(
        device=session.device,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        matmul_operations_per_second=best,
        multiply_adds_per_step=step_multiply_adds(settings),
        programs=programs,
        ratios={
            peer.name: Ratios.of(programs[OURS], programs[peer.name], met)
            for peer, met in zip(peers, rounds, strict=False)
        },
    )


class _Session:
    """This library's process and the yardstick's, through the whole benchmark.

    Attributes:
        device: What this library computes on.
        products: Seconds of a matrix product, the best of each round.
    """

    def __init__(self, settings: BenchmarkSettings, say: Callable[[str], None], ours: _Program) -> None:
        self.products: list[float] = []
        self._settings = settings
        self._say = say
        self._ours = ours
        self._workers = ExitStack()

    def __enter__(self) -> _Session:
        with ExitStack() as workers:
            self._worker = workers.enter_context(self._start(self._ours))
            self.device = str(self._ours.about["device"])
            self._yardstick = workers.enter_context(Worker(_MATMUL, matmul.__name__, (self.device,)))
            self._workers = workers.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.close()

    def compare(self, peer: _Program) -> None:
        """Measures whole steps of this library and of a peer in turns, then the peer's halves."""
        with self._start(peer) as worker:
            self._take_turns("step", [(self._ours, self._worker), (peer, worker)])
            self._end(peer, worker)

    def finish(self) -> None:
        """Measures what is left of this library: whole steps, where no peer was there, and its halves."""
        if not self._ours.turns:
            self._take_turns("step", [(self._ours, self._worker)])
        self._end(self._ours, self._worker)

    def _start(self, program: _Program) -> Worker:
        worker = program.start()
        self._say(f"{program.name}: first step done after {sum(worker.startup.values()):.1f} s")
        return worker

    def _end(self, program: _Program, worker: Worker) -> None:
        # Memory of whole steps only: running the halves on their own takes more.
        program.memory = worker.peak_memory()
        for half in self._settings.halves_to_time:
            self._take_turns(half, [(program, worker)])

    def _take_turns(self, part: str, running: Sequence[tuple[_Program, Worker]]) -> None:
        for program, worker in running:
            steps = _warm_up(worker, part, self._settings.steps)
            program.steps.setdefault(part, steps)
        for number in range(self._settings.rounds):
            self.products.append(min(self._yardstick.seconds("step") for _ in range(3)))
            for program, worker in running:
                seconds = program.take_turn(worker, part)
                self._say(f"{part}, round {number + 1} of {self._settings.rounds}: {program.name} {seconds:.4g} s")


def check_peers(peers: tuple[str, ...]) -> None:
    """Checks that peers can run here.

    Raises:
        ConfigurationError: When PyTorch is not installed, or this is an installation without the peer's code.
    """
    if not peers:
        return
    if find_spec("torch") is None:
        raise ConfigurationError(
            f"--peer={','.join(peers)} needs PyTorch, which is not installed: pip install 'fairdarts_tf[torch]'. Or "
            "measure without a peer: --peer=none."
        )
    if not (PROJECT / "benchmarks" / "torch_worker.py").is_file():
        raise ConfigurationError(
            f"--peer={','.join(peers)} needs the folder benchmarks, which is part of a checkout, not of an "
            "installed package. Start bin/benchmark in a checkout, or measure without a peer: --peer=none."
        )


def _ours(settings: BenchmarkSettings) -> _Program:
    return _Program(OURS, "fairdarts_tf.benchmarking.tensorflow_worker", (settings.to_json(),))


def _peer(name: str, settings: BenchmarkSettings) -> _Program:
    return _Program(name, _PEER_MODULE, (settings.to_json(), PEERS[name]))


def _warm_up(worker: Worker, part: str, steps: int) -> int:
    """Runs what counts in no turn, and returns how many steps a turn has: so many, or about a second's if 0."""
    seconds = worker.seconds(part)
    if steps:
        return steps
    if part != "step":
        seconds = worker.seconds(part)  # The one before has traced the half, as the start had the whole step.
    return max(1, round(SECONDS_OF_A_TURN / seconds))


def _result(program: _Program, settings: BenchmarkSettings, best: float) -> ProgramResult:
    seconds = median(program.turns["step"])
    operations = 2 * step_multiply_adds(settings) / seconds
    return ProgramResult(
        seconds_per_step=seconds,
        seconds_per_step_by_round=tuple(program.turns["step"]),
        steps_per_round=program.steps["step"],
        seconds_per_half={part: median(turns) for part, turns in program.turns.items() if part != "step"},
        images_per_second=settings.images_per_step / seconds,
        share_of_matmul_peak=operations / best,
        seconds_to_first_step=median(sum(start.values()) for start in program.starts),
        startup_seconds=medians(program.starts),
        about=program.about,
        **program.memory,
    )
