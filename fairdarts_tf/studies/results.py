"""What a study came to: a row for each run, tables by configuration, and the numbers in words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from fairdarts_tf.history import Row, rows_as_csv
from fairdarts_tf.report.run_data import RunData, read_run
from fairdarts_tf.studies.plan import Plan
from fairdarts_tf.studies.stages import Stages
from fairdarts_tf.studies.study import Claim, Study

RANDOM, RANDOM_LABEL = "random", "random cells"


@dataclasses.dataclass(frozen=True)
class Results:
    """All runs of a study.

    Attributes:
        study: The study.
        plan: Where, at which scale and on which data.
        stages: The searched runs, by configuration and then by seed.
        rows: A row for each of them, and for each random cell. Each has ``configuration``, ``seed`` (of a random cell
            its number) and what was measured.
    """

    study: Study
    plan: Plan
    stages: tuple[Stages, ...]
    rows: tuple[Row, ...]

    @property
    def labels(self) -> dict[str, str]:
        """What configurations are called, by name."""
        named = {configuration.name: configuration.label for configuration in self.study.configurations}
        return named | ({} if self.study.random_skips is None else {RANDOM: RANDOM_LABEL})

    def values(self, configuration: str, column: str) -> np.ndarray:
        """Returns what was measured of a configuration, (runs,), without runs that have no such number."""
        found = [row.get(column) for row in self.rows if row["configuration"] == configuration]
        return np.array([value for value in found if value is not None], np.float64)

    def first_runs(self) -> dict[str, RunData]:
        """Returns the search with the first seed of each configuration, by label; shared searches once."""
        found: dict[str, RunData] = {}
        for configuration in self.study.configurations:
            if configuration.search_of:
                continue
            first = next(stages for stages in self.stages if stages.configuration == configuration)
            found[configuration.label] = read_run(first.search_dir)
        return found

    def csv(self) -> str:
        """Returns the rows as CSV."""
        columns = dict.fromkeys(name for row in self.rows for name in row)
        return rows_as_csv(tuple(columns), self.rows)

    def markdown(self) -> str:
        """Returns the study as a page: question, scale, table, text, claims, figures."""
        head = [f"# {self.study.name}", self.study.question, self.scale_sentence(), self.table(), *self.sentences()]
        figures = [f"![{picture.caption}]({picture.name}.png)" for picture in self.study.pictures]
        return "\n\n".join([*head, *figures]) + "\n"

    def scale_sentence(self) -> str:
        """Returns one sentence about scale, data and seeds."""
        dataset = self.plan.dataset or self.plan.scale.dataset
        seeds = ", ".join(map(str, self.plan.seeds_of(self.study)))
        return f"At {self.plan.scale.description}; data set {dataset}; seeds {seeds}."

    def table(self) -> str:
        """Returns the means of the study's columns by configuration, as Markdown."""
        lines = [f"| configuration | {' | '.join(self.study.columns.values())} |"]
        lines.append("|---" * (len(self.study.columns) + 1) + "|")
        for name, label in self.labels.items():
            numbers = [spread(self.values(name, column), column) for column in self.study.columns]
            lines.append(f"| {label} | {' | '.join(numbers)} |")
        return "\n".join(lines)

    def sentences(self) -> list[str]:
        """Returns the numbers in words: one paragraph, and a line for each claim."""
        told = [self._sentence(column, what) for column, what in self.study.columns.items()]
        remarks = [remark(self) for remark in self.study.remarks]
        claims = [f"- {judge(self, claim)}" for claim in self.study.claims]
        return [" ".join([*told, *remarks]), *(["\n".join(claims)] if claims else [])]

    def _sentence(self, column: str, what: str) -> str:
        told = [f"{label} {spread(self.values(name, column), column)}" for name, label in self.labels.items()]
        return f"{what[0].upper()}{what[1:]}: {', '.join(told)}."


def is_accuracy(column: str) -> bool:
    """Returns whether a column holds shares that are told in per cent."""
    return column.endswith("accuracy") or column in ("gap", "decided")


def spread(values: Sequence[float], column: str) -> str:
    """Returns the mean of values and, of several, their sample standard deviation and number, as text."""
    if not len(values):
        return "-"
    factor, unit = (100, " %") if is_accuracy(column) else (1, "")
    mean = factor * float(np.mean(values))
    if len(values) == 1:
        return f"{_number(mean)}{unit}"
    return f"{_number(mean)} ± {_number(factor * float(np.std(values, ddof=1)))}{unit} (n={len(values)})"


def judge(results: Results, claim: Claim) -> str:
    """Returns a claim and whether the runs agree with it.

    They do if all values of the one configuration lie below all of the other, and speak against it if all lie above.
    Else, or with fewer than two of each, they are too few, or too close, to tell. Where nothing but chance orders m and
    n values, all m lie below all n in one of m + n over m cases, which is said.
    """
    less, more = (results.values(name, claim.column) for name in (claim.less, claim.more))
    one, other = (results.labels[name] for name in (claim.less, claim.more))
    numbers = f"{one} {spread(less, claim.column)}, {other} {spread(more, claim.column)}"
    return f"{claim.text}: **{_verdict(less, more)}** ({numbers})."


def _verdict(less: np.ndarray, more: np.ndarray) -> str:
    if not len(less) or not len(more):
        return "not measured"
    if min(len(less), len(more)) < 2:
        direction = np.sign(more.mean() - less.mean())
        return {1.0: "one run, points that way", -1.0: "one run, points the other way", 0.0: "one run, no difference"}[
            float(direction)
        ]
    chance = f"by chance, that is one case of {math.comb(len(less) + len(more), len(less))}"
    if less.max() < more.min():
        return f"supported: no value of the one reaches the other's; {chance}"
    if less.min() > more.max():
        return f"contradicted: every value lies the other way; {chance}"
    return "too close to tell: the values overlap"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
