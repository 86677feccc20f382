"""A table of latencies: how long every layer of a space's networks takes on one device, in a JSON file."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.files import open_file, write_text_atomically
from fairdarts_tf.layer_shapes import LayerShape

FORMS = ("TFLite", "Keras")
"""What runs the layers: LiteRT, or TensorFlow with a function of Keras layers."""

MAX_BYTES = 16 * 2**20
_FORMAT = "fairdarts_tf latencies 1"
_SHAPE_FIELDS = LayerShape._fields
_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Device:
    """Where and with what latencies were measured.

    Attributes:
        processor: Model name of the CPU.
        cores: CPU cores that the process might use.
        threads: Threads that a layer was computed with.
        versions: Of the libraries, by name.
    """

    processor: str
    cores: int
    threads: int
    versions: Mapping[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.processor}, {self.cores} cores, {self.threads} threads, {versions}"


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long a layer takes, without what every call costs.

    Attributes:
        median_ms: Median of the runs.
        p10_ms: Tenth percentile, which other programs on the machine disturb less.
        runs: How many there were.
    """

    median_ms: float
    p10_ms: float
    runs: int


@dataclasses.dataclass
class LatencyTable:
    """Latencies of layers by form and shape.

    Attributes:
        device: Where they were measured.
        timings: By form (see `FORMS`) and shape.
    """

    device: Device
    timings: dict[str, dict[LayerShape, Timing]] = dataclasses.field(default_factory=dict)

    def missing(self, form: str, shapes: Iterable[LayerShape]) -> list[LayerShape]:
        """Returns the shapes that are not in the table, each once."""
        known = self.timings.get(form, {})
        return [shape for shape in dict.fromkeys(shapes) if shape not in known]

    def milliseconds(self, form: str, shape: LayerShape) -> float:
        """Returns the median time of a layer that is in the table."""
        return self.timings[form][shape].median_ms

    def check_complete(self, form: str, shapes: Iterable[LayerShape], where: str) -> None:
        """Checks that every shape is there.

        Args:
            form: One of `FORMS`.
            shapes: Any.
            where: What the table is called.

        Raises:
            ConfigurationError: When some are not.
        """
        missing = self.missing(form, shapes)
        if missing:
            named = "; ".join(map(str, missing[:_NAMED])) + ("; ..." if len(missing) > _NAMED else "")
            raise ConfigurationError(
                f"{where} has no {form} latency of {len(missing)} layers that networks of this space and size may have "
                f"({named}). Measure them: bin/measure_latency --table={where} with the flags of the space and its "
                "--cost_ flags, on the device that the table is of."
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the table as JSON, atomically, one layer a line.

        Raises:
            OSError: When it cannot be written; an older one is then untouched.
        """
        head = {"format": _FORMAT, "device": dataclasses.asdict(self.device)}
        forms = []
        for form, timings in self.timings.items():
            rows = [
                json.dumps(shape._asdict() | dataclasses.asdict(timing)) for shape, timing in sorted(timings.items())
            ]
            forms.append(f"{json.dumps(form)}: [\n    " + ",\n    ".join(rows) + "\n  ]")
        fields = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
        write_text_atomically(path, "{\n  " + ",\n  ".join(fields + forms) + "\n}\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LatencyTable:
        """Reads a table.

        Raises:
            RunError: When it is absent, broken, or something else.
        """
        try:
            with open_file(path) as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
            return _table_of(json.loads(content))
        except OSError as error:
            reason = error.strerror or str(error)
        except RecursionError:
            reason = "it is nested too deeply"
        except (ValueError, KeyError, TypeError) as error:
            reason = f"it holds something else: {str(error)[:200]}"
        raise RunError(f"{path} is no table of latencies that can be read ({reason}). bin/measure_latency makes one.")


def _table_of(document: object) -> LatencyTable:
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"no format {_FORMAT!r}")
    device = Device(**document["device"])
    if not isinstance(device.versions, dict) or not isinstance(device.processor, str):
        raise ValueError("its device has no processor or no versions")
    timings = {form: dict(map(_row_of, document[form])) for form in FORMS if form in document}
    return LatencyTable(device, timings)


def _row_of(row: dict[str, object]) -> tuple[LayerShape, Timing]:
    shape = LayerShape(*(row[name] for name in _SHAPE_FIELDS))
    timing = Timing(row["median_ms"], row["p10_ms"], row["runs"])
    numbers = (*shape[1:], timing.runs)
    if not isinstance(shape.kind, str) or any(type(number) is not int or number < 1 for number in numbers):
        raise ValueError(f"a layer {str(row)[:100]}")
    if not all(isinstance(value, int | float) and 0 <= value < math.inf for value in (timing.median_ms, timing.p10_ms)):
        raise ValueError(f"no time of {shape}")
    return shape, timing


def load_or_new(path: Path, device: Device) -> LatencyTable:
    """Returns the table in a file, to be gone on with on a device, or a new one.

    Raises:
        RunError: When the file is no table, or one that was measured elsewhere or with other versions.
    """
    if not os.path.lexists(path):
        return LatencyTable(device)
    table = LatencyTable.load(path)
    if table.device != device:
        raise RunError(
            f"{path} was measured on {table.device}; here is {device}. Times of both do not belong into one table: "
            "name a new file, or give the same --threads."
        )
    return table
