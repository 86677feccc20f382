"""What a benchmark found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import median

OURS = "fairdarts_tf"


@dataclasses.dataclass(frozen=True)
class ProgramResult:
    """What one program took.

    Attributes:
        seconds_per_step: Median over the rounds.
        seconds_per_step_by_round: The mean of the steps of each round.
        steps_per_round: How many those are.
        seconds_per_half: Medians of the halves ``alphas`` and ``weights`` of a search's step, each run on its own;
            empty where they were not measured.
        images_per_second: At that median; of a search the images of both halves.
        share_of_matmul_peak: Operations a second as a share of the best that the machine makes of float32 matrices.
        seconds_to_first_step: From the start of the process to the end of the first step; median over the starts.
        startup_seconds: The same by phase.
        peak_memory_bytes: The most memory that the process had resident, start-up included.
        peak_device_memory_bytes: The most that it had on its GPU; None without one.
        about: Device and versions.
    """

    seconds_per_step: float
    seconds_per_step_by_round: tuple[float, ...]
    steps_per_round: int
    seconds_per_half: Mapping[str, float]
    images_per_second: float
    share_of_matmul_peak: float
    seconds_to_first_step: float
    startup_seconds: Mapping[str, float]
    peak_memory_bytes: int
    peak_device_memory_bytes: int | None
    about: Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class Ratios:
    """This library beside a peer, in the rounds that they took turns in.

    Attributes:
        times_as_fast: The peer's seconds of a step, divided by ours; medians over these rounds.
        times_as_fast_by_round: The same within each round.
        times_as_quick_to_start: The peer's seconds to the end of the first step, divided by ours.
        share_of_memory: Our peak memory, divided by the peer's.
    """

    times_as_fast: float
    times_as_fast_by_round: tuple[float, ...]
    times_as_quick_to_start: float
    share_of_memory: float

    @classmethod
    def of(cls, ours: ProgramResult, peer: ProgramResult, our_rounds: Sequence[float]) -> Ratios:
        """Compares two results.

        Args:
            ours: This library's.
            peer: The peer's.
            our_rounds: This library's seconds of a step in the rounds of that peer.
        """
        rounds = zip(our_rounds, peer.seconds_per_step_by_round, strict=True)
        return cls(
            times_as_fast=peer.seconds_per_step / median(our_rounds),
            times_as_fast_by_round=tuple(theirs / our for our, theirs in rounds),
            times_as_quick_to_start=peer.seconds_to_first_step / ours.seconds_to_first_step,
            share_of_memory=ours.peak_memory_bytes / peer.peak_memory_bytes,
        )


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """All programs on this machine.

    Attributes:
        device: What computed: ``"CPU"`` or ``"GPU"``.
        cores: CPU cores that the process may use.
        matmul_operations_per_second: The best of the rounds.
        multiply_adds_per_step: What a step counts; see `fairdarts_tf.benchmarking.multiply_adds.COUNTED`.
        programs: Results by name, ours first, whose rounds are those with all peers, in their order.
        ratios: This library beside each peer, by the peer's name.
    """

    device: str
    cores: int
    matmul_operations_per_second: float
    multiply_adds_per_step: int
    programs: Mapping[str, ProgramResult]
    ratios: Mapping[str, Ratios]


def medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the median of each field over rows that have the same fields."""
    return {name: median(row[name] for row in rows) for name in rows[0]}
