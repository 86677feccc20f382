"""A benchmark as text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from fairdarts_tf.benchmarking.multiply_adds import COUNTED
from fairdarts_tf.benchmarking.results import BenchmarkResult, ProgramResult, Ratios
from fairdarts_tf.benchmarking.settings import BenchmarkSettings
from fairdarts_tf.profiling.tables import WIDTH, table

MEASURED = (
    "each program in a process of its own; two take turns, one waits while the other computes; medians over rounds. "
    "Start-up runs from the start of the process to the end of the first step. Peak memory is the most that the "
    "process had resident until the last round, without the halves, which are run on their own after that. Images are "
    "random and lie in memory; fairdarts_tf runs its own pipeline with augmentation, the peer takes batches that lie "
    "ready."
)
_TITLES = {
    "search": "a bilevel step of a supernet",
    "train": "a training step of {genotype}",
    "inference": "inference of {genotype}, from uint8 images to probabilities",
}


def benchmark_text(settings: BenchmarkSettings, result: BenchmarkResult) -> str:
    """Returns what was measured, a table of the programs, a table of the ratios, and how it was measured."""
    title = _TITLES[settings.what].format(genotype=settings.genotype)
    names, programs = list(result.programs), list(result.programs.values())
    lines = [
        f"{title}: {settings.init_channels} channels, {settings.layers} cells, batch {settings.batch_size}, images of "
        f"{settings.image_size} x {settings.image_size} pixels",
        f"{result.device}, {result.cores} CPU cores, float32 matrices at "
        f"{result.matmul_operations_per_second / 1e9:.0f} GFLOP/s",
        "",
        *table(["", *names], _rows(programs)),
    ]
    if result.ratios:
        ratios = list(result.ratios.values())
        lines += ["", *table(["fairdarts_tf beside", *result.ratios], _ratio_rows(ratios))]
    how = f"Measured: {MEASURED} {settings.rounds} rounds, {settings.starts} start(s) each."
    return "\n".join([*lines, "", *textwrap.wrap(how, WIDTH), *textwrap.wrap(f"Counted: {COUNTED}", WIDTH)])


def _rows(programs: list[ProgramResult]) -> Iterator[list[str]]:
    yield ["s/step", *(f"{program.seconds_per_step:.4g}" for program in programs)]
    yield ["  least of the rounds", *(f"{min(program.seconds_per_step_by_round):.4g}" for program in programs)]
    yield ["  most of the rounds", *(f"{max(program.seconds_per_step_by_round):.4g}" for program in programs)]
    for half in programs[0].seconds_per_half:
        yield [f"  half of the {half} alone", *(f"{program.seconds_per_half[half]:.4g}" for program in programs)]
    yield ["images/s", *(f"{program.images_per_second:.4g}" for program in programs)]
    yield ["share of the matmul peak", *(f"{program.share_of_matmul_peak:.1%}" for program in programs)]
    yield ["s to the end of the first step", *(f"{program.seconds_to_first_step:.1f}" for program in programs)]
    for phase in dict.fromkeys(phase for program in programs for phase in program.startup_seconds):
        found = [program.startup_seconds.get(phase) for program in programs]
        yield [f"  {phase}", *("" if seconds is None else f"{seconds:.1f}" for seconds in found)]
    yield ["peak memory (GB)", *(f"{program.peak_memory_bytes / 1e9:.2f}" for program in programs)]
    if programs[0].peak_device_memory_bytes is not None:
        found = [program.peak_device_memory_bytes or 0 for program in programs]
        yield ["peak memory of the GPU (GB)", *(f"{size / 1e9:.2f}" for size in found)]


def _ratio_rows(ratios: list[Ratios]) -> Iterator[list[str]]:
    yield ["times as fast", *(f"{ratio.times_as_fast:.2f}" for ratio in ratios)]
    yield ["  least of the rounds", *(f"{min(ratio.times_as_fast_by_round):.2f}" for ratio in ratios)]
    yield ["  most of the rounds", *(f"{max(ratio.times_as_fast_by_round):.2f}" for ratio in ratios)]
    yield ["times as quick to the first step", *(f"{ratio.times_as_quick_to_start:.2f}" for ratio in ratios)]
    yield ["share of its memory", *(f"{ratio.share_of_memory:.2f}" for ratio in ratios)]
