"""A profile as text for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from fairdarts_tf.costs import Cost
from fairdarts_tf.profiling.counts import COUNTED, Counts, Profile
from fairdarts_tf.profiling.measurements import Measurements
from fairdarts_tf.quantities import write_quantity

WIDTH = 100


def counts_text(counts: Counts) -> str:
    """Returns totals, a table by cell, a table by operation, and what is counted."""
    total = counts.total
    with_head = counts.params_with_auxiliary_head
    head = f"- ({counts.no_auxiliary_head})" if with_head is None else f"{with_head:15,}"
    cells = [
        [f"{cell.name} ({cell.kind})" if cell.kind else cell.name, *_cost_fields(cell.cost, total)]
        for cell in counts.cells
    ]
    operations = [[group.name, f"{len(group.parts)}", *_cost_fields(group.cost, total)] for group in counts.operations]
    return "\n".join(
        [
            f"parameters                      {total.params:15,}",
            f"parameters with auxiliary head  {head}",
            f"multiply-adds of one image      {total.macs:15,}",
            "",
            *table(["place", *_COST_NAMES], cells),
            "",
            *table(["operation", "count", *_COST_NAMES], operations),
            "",
            *textwrap.wrap(f"Counted: {COUNTED} {_ALIGNMENTS}", WIDTH),
        ]
    )


def limit_text(profile: Profile) -> str:
    """Returns how a network's multiply-adds stand to the limit."""
    macs, limit = profile.counts.total.macs, profile.limit
    state = "within" if profile.is_within_limit else f"{write_quantity(macs - limit)} over"
    return (
        f"{profile.size.stem} network of {profile.size.init_channels} channels: {state} the limit of "
        f"{write_quantity(limit)} multiply-adds"
    )


def comparison_text(profiles: Sequence[Profile]) -> str:
    """Returns a table of several networks: channels, parameters, multiply-adds, and how these stand to the limit."""
    rows = [
        [
            profile.name,
            f"{profile.size.init_channels}",
            f"{profile.counts.total.params:,}",
            f"{profile.counts.total.macs:,}",
            *([] if profile.limit is None else ["within" if profile.is_within_limit else "over"]),
        ]
        for profile in profiles
    ]
    limit = profiles[0].limit
    names = ["genotype", "channels", "parameters", "multiply-adds"]
    return "\n".join(table([*names, *([] if limit is None else [f"limit {write_quantity(limit)}"])], rows))


def latency_text(measured: Measurements) -> str:
    """Returns a table of latency and memory, and how they were measured."""
    names = ["form", "median (ms)", "p90 (ms)", "file (MB)", "peak memory (MB)", "of it library (MB)", "device"]
    rows = [
        [
            form.form,
            f"{form.median_ms:.2f}",
            f"{form.p90_ms:.2f}",
            f"{form.file_bytes / 1e6:.2f}",
            f"{form.peak_memory_bytes / 1e6:.0f}",
            f"{form.library_memory_bytes / 1e6:.0f}",
            form.device,
        ]
        for form in measured.forms
    ]
    return "\n".join([*table(names, rows), "", *textwrap.wrap(measured.describe(), WIDTH)])


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a table: the first column to the left, all others to the right."""
    cells = [names, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    ]


_ALIGNMENTS = "align_older and align_newer bring the two inputs of a cell to its channels and size."
_COST_NAMES = ("params", "share", "macs", "share")


def _cost_fields(cost: Cost, total: Cost) -> list[str]:
    params, macs = cost.params / total.params, cost.macs / total.macs
    return [f"{cost.params:,}", f"{params:.1%}", f"{cost.macs:,}", f"{macs:.1%}"]
