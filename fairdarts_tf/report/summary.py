"""A run in a few numbers and words, as pages print them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

import numpy as np

from fairdarts_tf.costs import AUXILIARY_HEAD, NetworkSize, network_cost, network_parts
from fairdarts_tf.derivation import COIN_FLIP_MARGIN
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.report.evolution import Evolution
from fairdarts_tf.report.run_data import RunData
from fairdarts_tf.report.run_flags import whole_number
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import search_space

UNKNOWN = "–"


@dataclasses.dataclass(frozen=True)
class Fact:
    """A number with its name and a line of explanation, which may be empty."""

    name: str
    value: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag as the run recorded it, and whether that is a search's default."""

    name: str
    value: str
    is_default: bool


@dataclasses.dataclass(frozen=True)
class NetworkSummary:
    """The size of the network that a genotype makes.

    Args:
        size: What decides it besides the genotype, in words.
        params: Its parameters.
        macs: Its multiply-adds for one image.
        head_params: Parameters of the auxiliary head, which only training has; None where there is none.
    """

    size: str
    params: str
    macs: str
    head_params: str | None


def facts(run: RunData, evolution: Evolution) -> list[Fact]:
    """Returns the numbers at the head of a run's page; what is not known is left out."""
    found = [
        Fact("Search accuracy", percent(last(run, "search_accuracy")), "half that trains the alphas"),
        Fact("Train accuracy", percent(last(run, "train_accuracy")), "half that trains the weights"),
        Fact("Time in epochs", duration(total_seconds(run)), _when(run)),
        Fact("Images per second", speed(run), "median over the epochs"),
        Fact("Skip connections", skips(run.genotype or _derived(evolution)), _kinds_text(run)),
        Fact("Coin flips", coin_flips(evolution), f"choices with a margin below {COIN_FLIP_MARGIN:g}"),
    ]
    return [fact for fact in found if fact.value != UNKNOWN]


def describe_state(run: RunData, now: float | None = None) -> str:
    """Returns how far a run is, in words."""
    state = run.state(now)
    if state.planned is None:
        return f"{count(state.epochs, 'epoch')} recorded"
    done = f"{state.epochs} of {count(state.planned, 'epoch')}"
    if state.name == "finished" and run.stop is not None:
        return f"Stopped early after {count(state.epochs, 'epoch')}: {run.stop.reason}"
    if state.name == "finished":
        return f"Finished: {done}"
    if state.name == "unknown":
        return f"{done} known"
    # Whether it still goes on no file tells; a page also grows older than what it says.
    if state.written is None:
        # A start that an event file tells is true of a copy too, but beside this it would not seem so.
        is_worth_saying = state.copied and state.started is None
        return f"Unfinished: {done}" + (", and its files have the dates of a copy" if is_worth_saying else "")
    return f"Unfinished: {done}, last written {moment(state.written)}, {duration(state.silence)} before this page"


def flags_of(run: RunData) -> list[Flag]:
    """Returns all recorded flags in their order."""
    defaults = SearchSettings().as_flags()
    return [Flag(name, value, defaults.get(name) == value) for name, value in run.settings.items()]


def network_summary(genotype: AnyGenotype, settings: Mapping[str, str]) -> NetworkSummary:
    """Returns the size of a genotype's network.

    It is that of the papers' final network for CIFAR-10, but with images of the side that the search enlarged them to.

    Args:
        genotype: What was found.
        settings: The flags of its search as text, by name.
    """
    space = search_space(genotype.space)
    side = whole_number(settings.get("image_size", "")) if "init_channels" not in space.size_names else None
    size = dataclasses.replace(NetworkSize(), image_size=side or NetworkSize.image_size)
    bare = network_cost(genotype, size)
    head = next((part.cost for part in network_parts(genotype, size) if part.place == AUXILIARY_HEAD), None)
    return NetworkSummary(
        space.describe_size(size),
        in_millions(bare.params),
        in_millions(bare.macs, 1),
        in_millions(head.params) if head else None,
    )


def last(run: RunData, column: str) -> float | None:
    """Returns the newest value that a column of the history has."""
    values = run.columns.get(column, np.empty(0))
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else None


def total_seconds(run: RunData) -> float | None:
    """Returns the time that all recorded epochs took."""
    seconds = run.columns.get("seconds", np.empty(0))
    return float(np.nansum(seconds)) if np.isfinite(seconds).any() else None


def speed(run: RunData) -> str:
    """Returns the median of the epochs' images per second."""
    rates = run.columns.get("images_per_second", np.empty(0))
    rates = rates[np.isfinite(rates)]
    return f"{np.median(rates):,.0f}" if len(rates) else UNKNOWN


def skips(genotype: AnyGenotype | None) -> str:
    """Returns the skip connections of each kind, as in ``"2 + 0"``."""
    if genotype is None:
        return UNKNOWN
    return " + ".join(str(genotype.skips(kind)) for kind in genotype.kinds)


def coin_flips(evolution: Evolution) -> str:
    """Returns how many of the last epoch's choices are coin flips."""
    rows = evolution.confidence
    return f"{sum(row.coin_flip for row in rows)} of {len(rows)}" if rows else UNKNOWN


def percent(share: float | None) -> str:
    """Returns a share in per cent."""
    return UNKNOWN if share is None else f"{100 * share:.1f} %"


def count(number: int, noun: str) -> str:
    """Returns a number with its noun in the right form, as in ``"1 epoch"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def in_millions(number: int, digits: int = 2) -> str:
    """Returns a count in millions, as in ``"3.21 M"``."""
    return f"{number / 1e6:.{digits}f} M"


def duration(seconds: float | None) -> str:
    """Returns a time in its two largest units."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def moment(seconds: float | None) -> str:
    """Returns a time of the clock, or nothing where it is not known or no time at all."""
    if not seconds:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):
        return ""


def items_text(genotype: AnyGenotype, kind: str) -> str:
    """Returns a kind's items in one line, as in ``"0>2 skip_connect, 1>2 sep_conv_3x3"``."""
    return ", ".join(f"{item.place} {item.op}" for item in genotype.items(kind))


def share_of_equal_items(first: AnyGenotype, second: AnyGenotype) -> float:
    """Returns the share of items that both genotypes have, of all items that either has; 1 for equal ones."""
    one, other = _all_items(first), _all_items(second)
    return len(one & other) / len(one | other)


def differing_flags(runs: Mapping[str, RunData]) -> list[str]:
    """Returns the flags that not all runs have alike, but for the directory, in the first run's order."""
    names = dict.fromkeys(name for run in runs.values() for name in run.settings if name != "workdir")
    return [name for name in names if len({run.settings.get(name) for run in runs.values()}) > 1]


def _all_items(genotype: AnyGenotype) -> set[tuple]:
    return {(kind, item) for kind in genotype.kinds for item in genotype.items(kind)}


def _kinds_text(run: RunData) -> str:
    """Returns the tables of alphas in one line, as in ``"normal + reduction cell"``."""
    return " + ".join(title.lower() for title in run.derivation.space.titles.values()).replace(" cell +", " +")


def _derived(evolution: Evolution) -> AnyGenotype | None:
    return evolution.last.genotype if evolution.last else None


def _when(run: RunData) -> str:
    # The end is not told: a file's date is that of its copy.
    started = moment(run.state().started)
    return f"began {started}" if started else ""
