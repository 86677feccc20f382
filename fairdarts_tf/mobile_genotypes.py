"""Genotypes of search space S2: which operation each layer of a mobile network has, and the layers' widths and strides.

A genotype says the whole layout, so that a network needs nothing else but the number of classes. It is read from JSON
alone; whatever is wrong with it, it is a `GenotypeError`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.genotype_base import GenotypeBase
from fairdarts_tf.genotype_text import brief, parse_json
from fairdarts_tf.genotypes import SKIP

SPACE = "mobile"
KINDS = ("layers",)

MAX_WIDTH = 8192
MAX_LAYERS = 256
MAX_KERNEL = 31
MAX_EXPANSION = 32

_OPERATION = re.compile(r"mbconv([1-9]\d?)_([1-9]\d?)x\2", re.ASCII)
_FIELDS = ("stem_width", "stem_stride", "first_width", "stages", "head_width")
_STAGE_FIELDS = ("width", "stride", "layers")
_WIDTHS = ("stem_width", "first_width", "head_width")


class Bottleneck(NamedTuple):
    """What an inverted bottleneck's name says.

    Attributes:
        expansion: The depthwise convolution has this many times the layer's input channels.
        kernel: Side of the depthwise kernel.
    """

    expansion: int
    kernel: int

    @property
    def name(self) -> str:
        """The operation's name, as in ``"mbconv6_5x5"``."""
        return f"mbconv{self.expansion}_{self.kernel}x{self.kernel}"


class LayerItem(NamedTuple):
    """The operation of a choice layer; layers count from 1."""

    op: str
    layer: int

    @property
    def place(self) -> str:
        """Where it is, as drawings and tables name it."""
        return str(self.layer)

    @property
    def coordinates(self) -> dict[str, str]:
        """The same, by what it is called."""
        return {"layer": str(self.layer)}


class MobileLayer(NamedTuple):
    """A choice layer with all that decides its shape.

    Attributes:
        number: Its place among all choice layers, from 1.
        operation: Its name.
        inputs: Channels that it reads.
        width: Channels that it gives.
        stride: 1 or 2.
    """

    number: int
    operation: str
    inputs: int
    width: int
    stride: int

    @property
    def keeps_shape(self) -> bool:
        """Whether its output has the shape of its input: only then it may be skipped, and has a residual connection."""
        return self.stride == 1 and self.inputs == self.width

    @property
    def item(self) -> LayerItem:
        """Its part of the genotype."""
        return LayerItem(self.operation, self.number)


@dataclasses.dataclass(frozen=True)
class MobileStage:
    """Choice layers of one width; the first of them has the stride.

    Args:
        width: Channels.
        stride: 1 or 2.
        layers: Names of operations: ``"mbconv6_5x5"`` (expansion 6, kernel 5) and the like, or ``"skip_connect"``.
    """

    width: int
    stride: int
    layers: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobileGenotype(GenotypeBase):
    """A network of search space S2. Compares by value and can be hashed.

    Args:
        stages: `MobileStage`, or plain ``(width, stride, layers)``.
        stem_width: Channels of the first convolution. Defaults to 32.
        stem_stride: Its stride, 1 or 2. Defaults to 2.
        first_width: Channels of the fixed block after it. Defaults to 16.
        head_width: Channels of the last 1x1 convolution. Defaults to 1280.
        space: The search space, ``"mobile"``.

    Raises:
        GenotypeError: When a number is outside its range, an operation is unknown, or a layer that changes the shape is
            skipped.

    Example:
        >>> genotype = fd.MobileGenotype(stages=[(24, 2, ["mbconv3_3x3", "skip_connect"]), (40, 1, ["mbconv6_5x5"])])
        >>> [item.op for item in genotype.items()], genotype.skips()
        (['mbconv3_3x3', 'skip_connect', 'mbconv6_5x5'], 1)
    """

    kinds: ClassVar[tuple[str, ...]] = KINDS

    space: str = SPACE
    stem_width: int = 32
    stem_stride: int = 2
    first_width: int = 16
    stages: tuple[MobileStage, ...]
    head_width: int = 1280

    def __post_init__(self) -> None:
        if self.space != SPACE:
            raise GenotypeError(f"a genotype of the search space {brief(self.space)}. Expected {SPACE!r}.")
        for name in _WIDTHS:
            check_whole(name, getattr(self, name), 1, MAX_WIDTH)
        check_whole("stem_stride", self.stem_stride, 1, 2)
        object.__setattr__(self, "stages", _checked_stages(self.stages))
        for layer in self.layers():
            if layer.operation == SKIP and not layer.keeps_shape:
                raise GenotypeError(
                    f"layer {layer.number} is skipped, but changes the shape: it reads {layer.inputs} channels, gives "
                    f"{layer.width} and has stride {layer.stride}. Give it another operation."
                )

    def layers(self) -> Iterator[MobileLayer]:
        """Yields the choice layers in order."""
        inputs, number = self.first_width, 0
        for stage in self.stages:
            for place, operation in enumerate(stage.layers):
                number += 1
                yield MobileLayer(number, operation, inputs, stage.width, 1 if place else stage.stride)
                inputs = stage.width

    def items(self, kind: str = "layers") -> tuple[LayerItem, ...]:
        """Returns the operation of each choice layer; the only kind is ``"layers"``."""
        if kind != KINDS[0]:
            raise KeyError(kind)
        return tuple(layer.item for layer in self.layers())

    def skips(self, kind: str = "layers") -> int:
        """Returns how many layers are skipped."""
        return sum(item.op == SKIP for item in self.items(kind))

    def to_json(self) -> str:
        """Returns JSON text of a fixed form: two spaces of indentation, one stage a line, no newline at the end."""
        fields = [f'"space": {json.dumps(self.space)}']
        for name in _FIELDS:
            value = _stage_lines(self.stages) if name == "stages" else str(getattr(self, name))
            fields.append(f'"{name}": {value}')
        return "{\n  " + ",\n  ".join(fields) + "\n}"

    @classmethod
    def from_json(cls, text: str) -> MobileGenotype:
        """Reads the JSON form; fields beside the genotype's own are notes and are passed over.

        Raises:
            GenotypeError: Whatever is wrong with the text.
        """
        document = parse_json(text)
        if not isinstance(document, dict):
            raise GenotypeError(
                f"expected a JSON object with the fields space, {', '.join(_FIELDS)}, found {brief(document)}."
            )
        missing = [name for name in ("space", *_FIELDS) if name not in document]
        if missing:
            raise GenotypeError(f"a genotype without {', '.join(missing)}. Expected the fields {', '.join(_FIELDS)}.")
        fields = {name: document[name] for name in ("space", *_FIELDS)}
        return cls(**fields | {"stages": _json_stages(document["stages"])})


def bottleneck(operation: str) -> Bottleneck:
    """Returns what the name of an inverted bottleneck says.

    Raises:
        GenotypeError: When it is none.
    """
    match = _OPERATION.fullmatch(operation) if isinstance(operation, str) else None
    if match is None:
        raise GenotypeError(
            f"the operation {brief(operation)} is unknown. Expected {SKIP!r}, or an inverted bottleneck as "
            "'mbconv6_5x5': expansion 6, kernel 5."
        )
    found = Bottleneck(*map(int, match.groups()))
    check_whole(f"the expansion of {operation}", found.expansion, 1, MAX_EXPANSION)
    if found.kernel % 2 == 0 or found.kernel > MAX_KERNEL:
        raise GenotypeError(f"the kernel of {operation} has {found.kernel} pixels. Expected an odd number up to 31.")
    return found


def check_whole(name: str, value: Any, least: int, most: int) -> None:
    """Checks a whole number.

    Raises:
        GenotypeError: When it is none, or outside its range.
    """
    if type(value) is not int or not least <= value <= most:
        raise GenotypeError(f"{name} is {brief(value)}. Expected a whole number from {least} to {most}.")


def _checked_stages(stages: Any) -> tuple[MobileStage, ...]:
    if not isinstance(stages, tuple | list) or not stages:
        raise GenotypeError(f"the stages are {brief(stages)}. Expected a list of at least one.")
    checked = tuple(_checked_stage(number, stage) for number, stage in enumerate(stages, start=1))
    if sum(len(stage.layers) for stage in checked) > MAX_LAYERS:
        raise GenotypeError(f"the stages have more than {MAX_LAYERS} layers together. Leave some out.")
    return checked


def _checked_stage(number: int, stage: Any) -> MobileStage:
    if isinstance(stage, MobileStage):
        stage = (stage.width, stage.stride, stage.layers)
    if not isinstance(stage, tuple | list) or len(stage) != len(_STAGE_FIELDS):
        raise GenotypeError(f"stage {number} is {brief(stage)}. Expected width, stride and layers.")
    width, stride, layers = stage
    check_whole(f"the width of stage {number}", width, 1, MAX_WIDTH)
    check_whole(f"the stride of stage {number}", stride, 1, 2)
    if not isinstance(layers, tuple | list) or not 1 <= len(layers) <= MAX_LAYERS:
        raise GenotypeError(f"the layers of stage {number} are {brief(layers)}. Expected a list of operations.")
    for operation in layers:
        if not isinstance(operation, str) or operation != SKIP:
            bottleneck(operation)
    return MobileStage(width, stride, tuple(layers))


def _json_stages(stages: Any) -> Any:
    """Returns the stages of a JSON document as tuples, for the genotype's own checks."""
    if not isinstance(stages, list):
        return stages
    return [_json_stage(number, stage) for number, stage in enumerate(stages, start=1)]


def _json_stage(number: int, stage: Any) -> tuple[Any, ...]:
    if not isinstance(stage, Mapping) or set(stage) != set(_STAGE_FIELDS):
        expected = ", ".join(f'"{name}"' for name in _STAGE_FIELDS)
        raise GenotypeError(f"stage {number} is {brief(stage)}. Expected the fields {expected}.")
    return tuple(stage[name] for name in _STAGE_FIELDS)


def _stage_lines(stages: tuple[MobileStage, ...]) -> str:
    lines = [
        json.dumps({"width": stage.width, "stride": stage.stride, "layers": list(stage.layers)}) for stage in stages
    ]
    return "[\n    " + ",\n    ".join(lines) + "\n  ]"
