"""Search space S2: a chain of inverted bottlenecks, as ProxylessNAS and FairDARTS search it directly on ImageNet."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotypes import SKIP
from fairdarts_tf.mobile_derivation import check_method, choose_operations
from fairdarts_tf.mobile_genotypes import (
    KINDS,
    MAX_EXPANSION,
    MAX_KERNEL,
    MAX_LAYERS,
    MAX_WIDTH,
    Bottleneck,
    LayerItem,
    MobileGenotype,
    MobileLayer,
    MobileStage,
)
from fairdarts_tf.settings_checks import values_of
from fairdarts_tf.spaces.network_options import NetworkOptions
from fairdarts_tf.spaces.space import SearchSpace

if TYPE_CHECKING:
    from fairdarts_tf.costs import NetworkSize, Part
    from fairdarts_tf.derivation import Confidence
    from fairdarts_tf.mobile_costs import ChoiceCosts
    from fairdarts_tf.mobile_network import MobileNetwork
    from fairdarts_tf.settings import SearchSettings
    from fairdarts_tf.spaces.mobile_supernet import MobileSupernet

_STAGES = ("mobile_widths", "mobile_depths", "mobile_strides")
_RANGES = {
    "mobile_widths": (1, MAX_WIDTH),
    "mobile_depths": (1, MAX_LAYERS),
    "mobile_strides": (1, 2),
    "mobile_kernels": (1, MAX_KERNEL),
    "mobile_expansions": (1, MAX_EXPANSION),
    "mobile_stem_width": (1, MAX_WIDTH),
    "mobile_stem_stride": (1, 2),
    "mobile_first_width": (1, MAX_WIDTH),
    "mobile_head_width": (1, MAX_WIDTH),
}


@dataclasses.dataclass(frozen=True)
class MobileSpace(SearchSpace):
    """Search space S2 and the size of its supernet. Defaults are those of the papers for ImageNet: 21 choice layers.

    A network is a 3x3 convolution, a fixed block (depthwise 3x3, then 1x1), stages of choice layers, a 1x1 convolution,
    global average pooling and a linear classifier. A choice is an inverted bottleneck of one of the kernels and
    expansions (MobileNetV2, Sandler et al., CVPR 2018), or a skip where the layer keeps the shape of its input.

    Args:
        mobile_widths: Channels of each stage. Defaults to 32, 40, 80, 96, 192, 320.
        mobile_depths: Choice layers of each stage, the most that it can have. Defaults to 4, 4, 4, 4, 4, 1.
        mobile_strides: Stride of the first layer of each stage. Defaults to 2, 2, 2, 1, 2, 1.
        mobile_kernels: Sides of the depthwise kernels to choose from, odd. Defaults to 3, 5, 7.
        mobile_expansions: Expansions to choose from. Defaults to 3, 6.
        mobile_skip: Whether a layer that keeps the shape may be skipped. Defaults to True.
        mobile_stem_width: Channels of the first convolution. Defaults to 32.
        mobile_stem_stride: Its stride; 1 for images of 32 pixels. Defaults to 2.
        mobile_first_width: Channels of the fixed block. Defaults to 16.
        mobile_head_width: Channels of the last 1x1 convolution. Defaults to 1280.

    Raises:
        ConfigurationError: When a value is outside its range, or the stages' lists differ in length.
    """

    name: ClassVar[str] = "mobile"
    titles: ClassVar[Mapping[str, str]] = {KINDS[0]: "Chain of layers"}
    row_noun: ClassVar[str] = "layer"
    noun: ClassVar[str] = "layers"
    skip_kind: ClassVar[str] = KINDS[0]
    stem_kernel: ClassVar[str] = "stem/kernel"
    no_auxiliary_head: ClassVar[str] = "networks of the space mobile have none"
    size_names: ClassVar[tuple[str, ...]] = ()

    mobile_widths: tuple[int, ...] = (32, 40, 80, 96, 192, 320)
    mobile_depths: tuple[int, ...] = (4, 4, 4, 4, 4, 1)
    mobile_strides: tuple[int, ...] = (2, 2, 2, 1, 2, 1)
    mobile_kernels: tuple[int, ...] = (3, 5, 7)
    mobile_expansions: tuple[int, ...] = (3, 6)
    mobile_skip: bool = True
    mobile_stem_width: int = 32
    mobile_stem_stride: int = 2
    mobile_first_width: int = 16
    mobile_head_width: int = 1280

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, tuple | list):
                object.__setattr__(self, name, tuple(value))
            numbers = value if isinstance(value, tuple | list) else (value,)
            if not numbers or not all(type(number) is int and least <= number <= most for number in numbers):
                raise ConfigurationError(
                    f"--{name} is {','.join(map(str, numbers)) or 'empty'}. Expected whole numbers from {least} to "
                    f"{most}."
                )
        lengths = {name: len(getattr(self, name)) for name in _STAGES}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"--{name} has {count}" for name, count in lengths.items())
            raise ConfigurationError(f"every stage has a width, a depth and a stride, but {counts}. Give as many.")
        if sum(self.mobile_depths) > MAX_LAYERS:
            raise ConfigurationError(f"--mobile_depths has {sum(self.mobile_depths)} layers, more than {MAX_LAYERS}.")
        if any(kernel % 2 == 0 for kernel in self.mobile_kernels):
            raise ConfigurationError(f"--mobile_kernels={','.join(map(str, self.mobile_kernels))}: sides must be odd.")
        for name in ("mobile_kernels", "mobile_expansions"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ConfigurationError(f"--{name} holds a number twice. Name each once.")

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of the choices: bottlenecks by expansion and then by kernel, and the skip last."""
        pairs = itertools.product(self.mobile_expansions, self.mobile_kernels)
        return (*(Bottleneck(*pair).name for pair in pairs), *((SKIP,) if self.mobile_skip else ()))

    @property
    def layers(self) -> tuple[MobileLayer, ...]:
        """The choice layers, in order, with an empty name for the operation that is to be chosen."""
        layers, inputs = [], self.mobile_first_width
        for width, depth, stride in zip(self.mobile_widths, self.mobile_depths, self.mobile_strides, strict=True):
            for place in range(depth):
                layers.append(MobileLayer(len(layers) + 1, "", inputs, width, 1 if place else stride))
                inputs = width
        return tuple(layers)

    @property
    def alpha_shapes(self) -> dict[str, tuple[int, int]]:
        """One table, ``"layers"``: (choice layers, operations)."""
        return {KINDS[0]: (sum(self.mobile_depths), len(self.operations))}

    @property
    def in_play(self) -> dict[str, np.ndarray]:
        """False where a layer that changes the shape would be skipped: no supernet has that."""
        layers = [[name != SKIP or layer.keeps_shape for name in self.operations] for layer in self.layers]
        return {KINDS[0]: np.array(layers)}

    def row_names(self, kind: str) -> list[str]:
        """Returns the numbers of the layers, from 1."""
        return [str(layer.number) for layer in self.layers]

    def chosen(self, genotype: MobileGenotype, kind: str) -> list[tuple[int, int]]:
        """Returns (row, column) in the table of alphas of the operation of each layer."""
        return [(item.layer - 1, self.operations.index(item.op)) for item in genotype.items(kind)]

    def derive(
        self,
        values: Mapping[str, np.ndarray],
        method: str = "threshold_sparse",
        threshold: float = 0.85,
        max_skips: int | None = None,
    ) -> MobileGenotype:
        """Derives a genotype from relaxed alphas: of each layer the operation with the largest value.

        See `fairdarts_tf.mobile_derivation.choose_operations` for arguments and errors.
        """
        return self.genotype([row.item for row in self.confidence(values, method, threshold, max_skips)])

    def confidence(
        self,
        values: Mapping[str, np.ndarray],
        method: str = "threshold_sparse",
        threshold: float = 0.85,
        max_skips: int | None = None,
    ) -> list[Confidence]:
        """Returns how sure the choice of each layer is; see `fairdarts_tf.mobile_derivation.choose_operations`."""
        kind = KINDS[0]
        return choose_operations(values[kind], self.operations, self.in_play[kind], method, threshold, max_skips)

    def genotype(self, items: list[LayerItem]) -> MobileGenotype:
        """Returns the genotype of an operation for each layer, in order."""
        names = iter([item.op for item in items])
        return MobileGenotype(
            stem_width=self.mobile_stem_width,
            stem_stride=self.mobile_stem_stride,
            first_width=self.mobile_first_width,
            stages=tuple(
                MobileStage(width, stride, tuple(itertools.islice(names, depth)))
                for width, depth, stride in zip(
                    self.mobile_widths, self.mobile_depths, self.mobile_strides, strict=True
                )
            ),
            head_width=self.mobile_head_width,
        )

    def layer_shapes(self, image_shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """Returns the shape (height, width, channels) of what each choice layer reads, for images of a shape."""
        sides = [_strided(side, self.mobile_stem_stride) for side in image_shape[:2]]
        shapes = []
        for layer in self.layers:
            shapes.append((*sides, layer.inputs))
            sides = [_strided(side, layer.stride) for side in sides]
        return shapes

    def check_image_shape(self, image_shape: tuple[int, int, int]) -> None:
        """Checks that images (height, width, channels) survive the strides.

        Raises:
            ConfigurationError: When they are too small.
        """
        halvings = sum(stride == 2 for stride in (self.mobile_stem_stride, *self.mobile_strides))
        if min(image_shape[:2]) < 2**halvings:
            raise ConfigurationError(
                f"images of {image_shape[0]} x {image_shape[1]} pixels are too small: {halvings} strides halve them, "
                f"which needs at least {2**halvings} pixels a side. Enlarge them with --image_size, or use smaller "
                "--mobile_strides and --mobile_stem_stride=1."
            )

    def check_settings(self, settings: SearchSettings) -> None:
        """Checks that a chain of layers can do what a search asks for.

        Raises:
            ConfigurationError: When it cannot.
        """
        super().check_settings(settings)
        check_method(settings.method)
        if settings.node_penalty:
            raise ConfigurationError("--node_penalty is of cells, whose nodes may lack inputs. Leave it out.")
        if settings.rematerialize and settings.xla:
            raise ConfigurationError("--xla would merge what --rematerialize computes twice. Leave one of them out.")
        if not settings.sampled_paths:
            return
        if not 2 <= settings.sampled_paths <= len(self.operations):
            raise ConfigurationError(
                f"--sampled_paths is {settings.sampled_paths}, but must be 0, for all operations, or from 2 to "
                f"{len(self.operations)}, which a layer has at most: one path alone says nothing of the others."
            )
        for name, asked in (
            ("unrolled", settings.unrolled),
            ("single_level", settings.single_level),
            ("log_eigenvalue", settings.measures_eigenvalue),
            ("rematerialize", settings.rematerialize),
            *((name, True) for name in settings.perturbations),
        ):
            if asked:
                raise ConfigurationError(
                    f"--{name} needs all operations of a layer, of which --sampled_paths={settings.sampled_paths} "
                    "computes only some. Leave one of them out."
                )

    def supernet_options(self, settings: SearchSettings) -> dict[str, object]:
        """Returns how the supernet keeps within the memory."""
        return {
            "rematerialize": settings.rematerialize,
            "sampled_paths": settings.sampled_paths,
            "seed": settings.seed,
        }

    def supernet(
        self, image_shape: tuple[int, int, int], num_classes: int, relaxation: str = "sigmoid", **kwargs: object
    ) -> MobileSupernet:
        """Builds the supernet of this space.

        Args:
            image_shape: (height, width, channels).
            num_classes: Number of classes.
            relaxation: ``"sigmoid"`` (FairDARTS, the default) or ``"softmax"``.
            kwargs: See `fairdarts_tf.spaces.mobile_supernet.MobileSupernet`.
        """
        from fairdarts_tf.spaces.mobile_supernet import MobileSupernet

        self.check_image_shape(image_shape)
        supernet = MobileSupernet(num_classes=num_classes, relaxation=relaxation, **dataclasses.asdict(self), **kwargs)
        supernet.build((None, *image_shape))
        return supernet

    def choice_costs(self, size: NetworkSize) -> ChoiceCosts:
        """Returns what each choice costs, and what is fixed; see `fairdarts_tf.mobile_costs.choice_costs`."""
        from fairdarts_tf.mobile_costs import choice_costs

        return choice_costs(self, size)

    @classmethod
    def of_records(cls, settings: Mapping[str, str], tables: Mapping[str, tuple[int, ...]]) -> MobileSpace:
        """Returns the space of a search as its files have it."""
        found = cls(**values_of(cls, settings))
        shape = tables.get(KINDS[0], found.alpha_shapes[KINDS[0]])
        if tuple(shape) != found.alpha_shapes[KINDS[0]]:
            rows, columns = found.alpha_shapes[KINDS[0]]
            raise ConfigurationError(
                f"the alphas are of {shape[0]} layers and {shape[1]} operations, but the flags of --space=mobile make "
                f"{rows} layers and {columns} operations. Name the search's directory, with its flags.txt."
            )
        return found

    @classmethod
    def unknown(cls, tables: Mapping[str, tuple[int, ...]]) -> MobileSpace:
        """Returns a space whose layers and operations are not known, of which no genotype can be derived."""
        rows, columns = tables[KINDS[0]]
        return _UnknownSpace(mobile_widths=(1,), mobile_depths=(rows,), mobile_strides=(1,), columns=columns)

    def inherit_weights(self, network: MobileNetwork, supernet: MobileSupernet) -> None:
        """Sets a network's weights to the supernet's; see `fairdarts_tf.layer_inheritance`."""
        from fairdarts_tf.layer_inheritance import inherit_layers

        inherit_layers(network, supernet)

    @classmethod
    def network(
        cls, genotype: MobileGenotype, num_classes: int, options: NetworkOptions, **kwargs: object
    ) -> MobileNetwork:
        """Returns the network of a genotype, not yet built; see `fairdarts_tf.mobile_network.MobileNetwork`.

        Raises:
            ConfigurationError: When an auxiliary head is asked for.
        """
        if options.auxiliary:
            raise ConfigurationError("a network of --space=mobile has no auxiliary head. Pass --auxiliary_weight=0.")
        from fairdarts_tf.mobile_network import MobileNetwork

        return MobileNetwork(genotype, num_classes, **kwargs)

    @classmethod
    def network_parts(cls, genotype: MobileGenotype, size: NetworkSize) -> Iterator[Part]:
        """Yields every layer of the network with its cost; see `fairdarts_tf.mobile_costs.mobile_network_parts`."""
        from fairdarts_tf.mobile_costs import mobile_network_parts

        return mobile_network_parts(genotype, size)


@dataclasses.dataclass(frozen=True)
class _UnknownSpace(MobileSpace):
    """Layers of which only the table of alphas is known."""

    columns: int = 1

    @property
    def operations(self) -> tuple[str, ...]:
        """Invented names."""
        return tuple(f"operation {column}" for column in range(1, self.columns + 1))

    def confidence(self, *arguments: object, **kwargs: object) -> list[Confidence]:
        """Raises a GenotypeError."""
        raise GenotypeError(
            "what the layers of these alphas are is not known: flags.txt is absent or of another search. Restore it."
        )


def _strided(side: int, stride: int) -> int:
    return -(-side // stride)
