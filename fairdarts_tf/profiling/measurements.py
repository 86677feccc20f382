"""What was measured of a network on a device."""

from __future__ import annotations

import dataclasses

MEASURED = (
    "one image at a time, from uint8 pixels to probabilities; median and 90th percentile of {runs} runs, after "
    "{warm_up} that are not counted; random weights. Each form ran in a process of its own. Keras and SavedModel ran "
    "in TensorFlow as all commands here set it: one thread inside an operation, and no rewriting of the graph, which "
    "makes single images many times slower on CPUs with oneDNN. Peak memory is the most that the process had resident, "
    "that of the runtime library without a network included."
)
FORMS = ("Keras", "SavedModel", "TFLite")
WARM_UP = 5
"""Runs that are not counted."""


@dataclasses.dataclass(frozen=True)
class Latency:
    """One form of a network, run one image at a time.

    Attributes:
        form: One of `FORMS`.
        file_bytes: Size of its files.
        device: What computed it.
        median_ms: Median time of an image, in ms.
        p90_ms: 90th percentile, in ms.
        peak_memory_bytes: The most memory that its process had resident.
        library_memory_bytes: The most that it had when the runtime library was loaded, but not yet the network.
    """

    form: str
    file_bytes: int
    device: str
    median_ms: float
    p90_ms: float
    peak_memory_bytes: int
    library_memory_bytes: int


@dataclasses.dataclass(frozen=True)
class Measurements:
    """All forms of a network on this machine.

    Attributes:
        runs: How many runs were timed.
        cores: The machine's CPU cores.
        forms: One row for each form.
    """

    runs: int
    cores: int
    forms: tuple[Latency, ...]

    def describe(self) -> str:
        """Returns, for people, how it was measured."""
        return f"Measured on {self.cores} CPU cores: {MEASURED.format(runs=self.runs, warm_up=WARM_UP)}"
