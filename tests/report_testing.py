"""What the tests of reports share: a search's directory made without searching, and a look into a page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from fairdarts_tf.derivation import derive
from fairdarts_tf.errors import FairDartsError
from fairdarts_tf.genotypes import CELL_KINDS
from fairdarts_tf.history import History, count_operations
from fairdarts_tf.relaxations import relaxation
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028&amp;"


def make_run(workdir: Path, recorded: int | None = None, seed: int = 0, **settings: object) -> Path:
    """Writes what a search leaves after ``recorded`` epochs (all of them if None); alphas drift apart from 0."""
    chosen = SearchSettings(**{"epochs": 12, **settings})
    with Run(workdir) as run:
        run.open(chosen.as_flags())
    random = np.random.default_rng(seed)
    shape = (chosen.nodes * (chosen.nodes + 3) // 2, len(chosen.operations))
    ends = {kind: random.normal(0, 3, shape) for kind in CELL_KINDS}
    relax = relaxation(chosen.relaxation).of_array
    history, genotype = History(), None
    for epoch in range(1, (chosen.epochs if recorded is None else recorded) + 1):
        wobble = {kind: random.normal(0, 0.3, shape) for kind in CELL_KINDS}
        alphas = {kind: epoch / chosen.epochs * ends[kind] + wobble[kind] for kind in CELL_KINDS}
        weights = {kind: relax(np.float32(table)) for kind, table in alphas.items()}
        try:
            genotype = derive(weights, chosen.operations, chosen.method, chosen.threshold)
        except FairDartsError:
            genotype = None
        row = {
            "epoch": epoch,
            "train_loss": 2.0 / epoch,
            "train_accuracy": 1 - 0.9 / epoch,
            "search_loss": 2.1 / epoch,
            "search_accuracy": 1 - 0.95 / epoch,
            "zero_one": -0.02 * epoch / chosen.epochs,
            "learning_rate": 0.005,
            "seconds": 2.0,
            "images_per_second": 700.0 + epoch,
        }
        history.append(row | count_operations(weights, {}, chosen.threshold, genotype), alphas)
    if history.rows:
        run.write_epoch(history, genotype)
    return workdir


def change_flag(workdir: Path, name: str, value: str) -> None:
    """Writes another value for a flag into a run's flags.txt."""
    path = workdir / "flags.txt"
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"--{name}=")]
    path.write_text("\n".join([*lines, f"--{name}={value}", ""]))


class Elements(HTMLParser):
    """Collects a page's elements and the text of its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self.text = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = "data" if ("id", "page-data") in attrs else tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.text += data
