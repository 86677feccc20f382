"""Which flags are tuned, and between which bounds: tables for a search and for a training, and the flag ``--tune``."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.settings_checks import values_of
from fairdarts_tf.value_types import set_types

if TYPE_CHECKING:
    import keras_tuner

SCALES = ("linear", "log")
DIGITS = 4
"""Significant digits of a tuned number: enough for any of these flags, short in a flagfile, and the same whether a
tuner's chief sends the number in 32 bits or it was drawn here in 64."""
_MOST_CORNERS = 4096

_FORM = "NAME, NAME:LEAST:MOST, NAME:LEAST:MOST:log, NAME:LEAST:MOST:STEP or NAME:VALUE|VALUE"


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A flag that is tuned.

    Args:
        name: Of the flag, without dashes.
        least: Its lower bound, itself included.
        most: Its upper bound, itself included.
        scale: ``"linear"``, or ``"log"``: as many trials from 1 to 10 as from 10 to 100. Defaults to linear.
        step: Distance between values on the linear scale. Defaults to 0: any number, or whole number, between.
        values: In place of bounds, the values that it may have, as a flag has them. Defaults to none.
        source: Where the bounds are from. Defaults to none: the user.

    Raises:
        ConfigurationError: When there are no values and the bounds are none, or something has another type.
    """

    name: str
    least: float = 0.0
    most: float = 0.0
    scale: str = "linear"
    step: float = 0.0
    values: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.values, list | tuple):
            object.__setattr__(self, "values", tuple(map(str, self.values)))
        set_types(self, f"Tuned({self.name!r:.80}): ")
        if self.scale not in SCALES:
            raise ConfigurationError(f"--tune={self}: {unknown_name('scale', self.scale, SCALES)}")
        wrong = "" if self.values else self._what_is_wrong()
        if wrong:
            raise ConfigurationError(f"--tune={self}: {wrong}.")

    def _what_is_wrong(self) -> str:
        """Returns what is wrong with the bounds, if anything is."""
        if not all(map(math.isfinite, (self.least, self.most, self.step))):
            return f"expected {_FORM}"
        if self.least >= self.most:
            return f"the least, {self.least:g}, is not below the most, {self.most:g}"
        if self.scale == "log" and self.least <= 0:
            return "a logarithmic scale has no zero: begin above it"
        if not 0 <= self.step <= self.most - self.least:
            return f"the step, {self.step:g}, does not fit between the bounds"
        return ""

    @property
    def ends(self) -> tuple[str, ...]:
        """Its extreme values as a flag has them, or all values where it has no bounds."""
        return self.values or (f"{self.least:.{DIGITS}g}", f"{self.most:.{DIGITS}g}")

    def declare(self, hp: keras_tuner.HyperParameters, is_whole: bool) -> float | int | str:
        """Tells KerasTuner of it and returns the value that is tried."""
        if self.values:
            return hp.Choice(self.name, list(self.values))
        if is_whole:
            step = int(self.step) or None
            return hp.Int(self.name, int(self.least), int(self.most), step=step, sampling=self.scale)
        return hp.Float(self.name, self.least, self.most, step=self.step or None, sampling=self.scale)

    def __str__(self) -> str:
        if self.values:
            return f"{self.name}:{'|'.join(self.values)}"
        rest = [self.scale] if self.scale != SCALES[0] else [f"{self.step:g}"] if self.step else []
        return ":".join([self.name, *self.ends, *rest])


SEARCH_TUNED = (
    Tuned("zero_one_weight", 1, 30, "log", source="FairDARTS searches with 10; 3 times as much, and a tenth"),
    Tuned("learning_rate", 0.0025, 0.05, "log", source="FairDARTS' cells: 0.0025, its code: 0.005; twice DARTS' 0.025"),
    Tuned("alpha_learning_rate", 3e-4, 0.03, "log", source="DARTS: 3e-4, FairDARTS: 3e-3; 10 times that"),
    Tuned("threshold", 0.6, 0.95, source="FairDARTS: 0.85 in S1, 0.75 in S2; below 0.6 it decides little"),
    Tuned("warmup_epochs", 0, 10, source="FairDARTS: none; later methods: up to 15 of 50 epochs"),
    Tuned("init_channels", 8, 24, step=8, source="DARTS and FairDARTS: 16; half as many more and less"),
)
"""What of a search is tuned where ``--tune`` names nothing."""

TRAIN_TUNED = (
    Tuned("learning_rate", 0.01, 0.1, "log", source="DARTS and FairDARTS: 0.025; on ImageNet 0.1"),
    Tuned("drop_path", 0.0, 0.4, source="DARTS and FairDARTS: 0.2; none, and twice that"),
    Tuned("cutout", 0, 16, step=4, source="DARTS and FairDARTS: 16 of 32 pixels; less, and none"),
    Tuned("init_channels", 16, 48, step=4, source="DARTS and FairDARTS: 36; the search's 16, and ImageNet's 48"),
)
"""What of a training is tuned where ``--tune`` names nothing."""


def read_tuned(texts: Sequence[str], table: Sequence[Tuned], settings: type) -> tuple[Tuned, ...]:
    """Returns what ``--tune`` says.

    Args:
        texts: One for each flag: a name, whose bounds are the table's, or with bounds or values of its own. Empty: the
            whole table.
        table: Of the bounds that are known.
        settings: The dataclass whose fields are tuned.

    Raises:
        ConfigurationError: When something is no flag of it, or no bounds.
    """
    known = {tuned.name: tuned for tuned in table}
    found = tuple(_read(text.strip(), known, settings) for text in texts) or tuple(table)
    names = [tuned.name for tuned in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"--tune names {name} twice. Name each flag once.")
    return found


def check_corners(
    tuned: Sequence[Tuned], settings: type, make: Callable[[Mapping[str, object]], object]
) -> tuple[Tuned, ...]:
    """Checks that settings can be made of the tuned flags' extreme values, in every combination.

    Args:
        tuned: What is tuned. With too many for all combinations each is checked by itself.
        settings: The dataclass whose fields are tuned.
        make: Makes settings of values of these fields; raises a ConfigurationError.

    Returns:
        What is tuned.

    Raises:
        ConfigurationError: When they cannot, or something is no flag of them; it names flag and bounds.
    """
    if not isinstance(tuned, Sequence) or not all(isinstance(one, Tuned) for one in tuned):
        raise ConfigurationError(f"tuned is {tuned!r:.80}, but must be a list, as [Tuned('threshold', 0.6, 0.95)].")
    for one in tuned:
        _check_flag(one.name, settings)
    ends = [[(one.name, end) for end in one.ends] for one in tuned]
    combined = math.prod(map(len, ends)) <= _MOST_CORNERS
    corners = itertools.product(*ends) if combined else ([end] for end in itertools.chain(*ends))
    for values in map(dict, corners):
        try:
            make(values_of(settings, values))
        except ConfigurationError as error:
            tried = ", ".join(f"--{name}={value}" for name, value in values.items())
            raise ConfigurationError(f"within the bounds of --tune, as with {tried}: {error}") from error
    return tuple(tuned)


def tuned_values(
    tuned: Sequence[Tuned], hp: keras_tuner.HyperParameters, settings: type
) -> dict[str, float | int | str | bool]:
    """Returns what the flags are in a trial, as settings have them; numbers have `DIGITS` significant digits."""
    whole = whole_fields(settings)
    drawn = {one.name: one.declare(hp, one.name in whole) for one in tuned}
    texts = {name: f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value) for name, value in drawn.items()}
    return values_of(settings, texts)


def whole_fields(settings: type) -> Collection[str]:
    """Returns the names of the fields of a dataclass that are whole numbers."""
    return {field.name for field in dataclasses.fields(settings) if type(field.default) is int}


def _check_flag(name: str, settings: type, hint: str = "") -> None:
    kinds = [field.name for field in dataclasses.fields(settings)]
    if name not in kinds:
        near = unknown_name("flag", name, kinds).partition(" Known:")[0]
        raise ConfigurationError(f"--tune: {near}{hint} --help lists all flags.")


def _read(text: str, known: Mapping[str, Tuned], settings: type) -> Tuned:
    name, *rest = text.split(":")
    kinds = {field.name: type(field.default) for field in dataclasses.fields(settings)}
    _check_flag(name, settings, f" Bounds are known of {', '.join(known)};")
    if not rest:
        if name not in known:
            raise ConfigurationError(
                f"--tune={name}: no bounds are known of this flag. Give some: {name}:LEAST:MOST, or {name}:VALUE|VALUE."
            )
        return known[name]
    if len(rest) == 1:
        return _read_values(text, name, rest[0], kinds[name], settings)
    if kinds[name] not in (int, float):
        raise ConfigurationError(f"--tune={text}: --{name} is no number. Give values: {name}:VALUE|VALUE.")
    return _read_bounds(text, name, rest, kinds[name])


def _read_values(text: str, name: str, listed: str, kind: type, settings: type) -> Tuned:
    values = tuple(value.strip() for value in listed.split("|"))
    if len(values) < 2 or len(set(values)) < len(values) or not all(values) or kind is tuple:
        raise ConfigurationError(f"--tune={text}: expected {_FORM}.")
    for value in values:
        values_of(settings, {name: value})
    return Tuned(name, values=values)


def _read_bounds(text: str, name: str, rest: Sequence[str], kind: type) -> Tuned:
    scale = rest[2] if len(rest) > 2 and rest[2] in SCALES else SCALES[0]
    numbers = [*rest[:2], *(part for part in rest[2:] if part not in SCALES)]
    try:
        least, most, step = (*map(float, numbers), 0.0)[:3]
    except ValueError:
        raise ConfigurationError(f"--tune={text}: expected {_FORM}.") from None
    if len(rest) > 3 or len(numbers) > 3:
        raise ConfigurationError(f"--tune={text}: expected {_FORM}.")
    found = Tuned(name, least, most, scale, step)
    if kind is int and not all(map(float.is_integer, (least, most, step))):
        raise ConfigurationError(f"--tune={text}: --{name} is a whole number.")
    return found
