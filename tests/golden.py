"""Reading the reference values of the authors' code."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam
from fairdarts_tf.reference_weights import load_reference_state
from fairdarts_tf.spaces.darts import DartsSpace


class Golden:
    """One file of reference values of a supernet and its bilevel search."""

    def __init__(self, path: Path) -> None:
        self.arrays = np.load(path)
        self.config = ast.literal_eval(str(self.arrays["config"]))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): self[name] for name in self.arrays.files if name.startswith(prefix)}

    def batch(self, step: int, half: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        return self[f"step{step}/{half}_images"].astype(dtype), self[f"step{step}/{half}_labels"].astype(np.int32)

    def search(self, dtype: str) -> Search:
        """Returns a compiled search that stands where the reference's stood before its first step."""
        shape = self["eval/images"].shape[1:]
        space = DartsSpace(init_channels=self.config["channels"], layers=self.config["layers"])
        search = Search(space.supernet(shape, self.config["classes"], dtype=dtype))
        search.compile(MomentumSGD(0.005), ReferenceAdam(), zero_one=self.config["zero_one"])
        load_reference_state(search.supernet, self.under("state/"))
        for kind, table in search.supernet.alphas.items():
            table.assign(self[f"alphas/{kind}"])
        return search


def relative_error(found: object, expected: np.ndarray) -> float:
    """Returns the largest difference as a share of the largest expected value."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.abs(found - expected).max() / np.abs(expected).max())
