"""What a study is: configurations that are searched, what is measured of each, what is claimed, and what is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fairdarts_tf.studies.results import Results

RECIPES: dict[str, Mapping[str, object]] = {
    "fairdarts": {},
    "darts": {
        "relaxation": "softmax",
        "zero_one": "none",
        "alpha_beta_1": 0.5,
        "alpha_noise": 1e-3,
        "method": "darts",
    },
}
"""Settings of a search by recipe, at every scale. DARTS' has the operation ``none`` besides."""


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A kind of search; studies whose configurations have the same name share its runs.

    Args:
        name: Of its runs and of its rows.
        label: What figures and text call it.
        recipe: A name of `RECIPES`.
        changes: Settings of the search in place of the recipe's.
        without: Operations that the search space lacks.
        derivation: Settings of the derivation alone, in place of the search's.
        search_of: The configuration whose searches it derives from. Defaults to None: its own.
        cost_target: Its place among the multiply-adds that the scale's searches aim at (see `Scale.cost_targets`), for
            a network as large as those that are trained. Defaults to None: it aims at none.
    """

    name: str
    label: str
    recipe: str = "fairdarts"
    changes: Mapping[str, object] = dataclasses.field(default_factory=dict)
    without: tuple[str, ...] = ()
    derivation: Mapping[str, object] = dataclasses.field(default_factory=dict)
    search_of: Configuration | None = None
    cost_target: int | None = None


DARTS = Configuration("darts", "DARTS", "darts")
FAIRDARTS = Configuration("fairdarts", "FairDARTS")


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a paper says that a study can test: of one configuration a quantity is less than of another.

    Args:
        text: The claim in words.
        column: Of the results.
        less: Name of the configuration that has less of it.
        more: Name of the one that has more.
    """

    text: str
    column: str
    less: str
    more: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure of a study.

    Args:
        name: Of its files, without a suffix.
        caption: What it shows.
        draw: From the results to a figure of Matplotlib.
    """

    name: str
    caption: str
    draw: Callable[[Results], Figure]


@dataclasses.dataclass(frozen=True)
class Study:
    """One comparison.

    Args:
        name: Its name.
        question: What it asks.
        configurations: What is searched.
        measures: Names of `fairdarts_tf.studies.measures.MEASURES`, by which each run becomes a row of the results.
        columns: Columns that its text tells, by a description; values from 0 to 1 of an accuracy are told in per cent.
        pictures: Its figures.
        claims: What it can test.
        remarks: Functions of the results to a further sentence.
        seeds: How many seeds it has at every scale. Defaults to None: as many as the scale.
        random_skips: Skip connections in the normal cells of the random cells that are its control. Defaults to None:
            it has no such control.
    """

    name: str
    question: str
    configurations: tuple[Configuration, ...]
    measures: tuple[str, ...]
    columns: Mapping[str, str]
    pictures: tuple[Picture, ...]
    claims: tuple[Claim, ...] = ()
    remarks: tuple[Callable[[Results], str], ...] = ()
    seeds: int | None = None
    random_skips: int | None = None
