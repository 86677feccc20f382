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
from fairdarts_tf.relaxations import competes
from fairdarts_tf.settings_checks import values_of
from fairdarts_tf.spaces.network_options import NetworkOptions
from fairdarts_tf.spaces.space import SearchSpace
from fairdarts_tf.value_types import set_types

if TYPE_CHECKING:
    from fairdarts_tf.cell_choices import Choose
    from fairdarts_tf.costs import NetworkSize, Part
    from fairdarts_tf.derivation import Confidence
    from fairdarts_tf.mobile_network import MobileNetwork
    from fairdarts_tf.prices import Price
    from fairdarts_tf.settings import SearchSettings
    from fairdarts_tf.spaces.expected_costs import ExpectedCost
    from fairdarts_tf.spaces.mobile_supernet import MobileSupernet

_STAGES = ("mobile_widths", "mobile_depths", "mobile_strides")
RANGES: dict[str, tuple[int, int]] = {
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

    Example:
        >>> space = fd.MobileSpace(
        ...     mobile_widths=(8, 16), mobile_depths=(1, 2), mobile_strides=(1, 2), mobile_kernels=(3,),
        ... )
        >>> space.operations, space.alpha_shapes
        (('mbconv3_3x3', 'mbconv6_3x3', 'skip_connect'), {'layers': (3, 3)})
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
        set_types(self)
        for name, bounds in RANGES.items():
            value = getattr(self, name)
            _check_numbers(name, value if isinstance(value, tuple) else (value,), *bounds)
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

    def compose(self, choose: Choose, max_skips: int | None = None) -> MobileGenotype:
        """Returns the genotype of a sequence of choices, an operation for each layer."""
        from fairdarts_tf.cell_choices import choose_operation

        items: list[LayerItem] = []
        for number, in_play in enumerate(self.in_play[KINDS[0]], start=1):
            names = [name for name, exists in zip(self.operations, in_play, strict=True) if exists]
            may_skip = None if max_skips is None else sum(item.op == SKIP for item in items) < max_skips
            operation = choose_operation(choose, f"{KINDS[0]}/{number}", names, (), may_skip)
            items.append(LayerItem(operation, number))
        return self.genotype(items)

    def uniform_genotype(self, column: int) -> MobileGenotype:
        """Returns the genotype with one operation in every layer, or with another where that does not exist there."""
        other = next(place for place, name in enumerate(self.operations) if name != SKIP)
        columns = [column if exists else other for exists in self.in_play[KINDS[0]][:, column]]
        return self.genotype([LayerItem(self.operations[place], row) for row, place in enumerate(columns, start=1)])

    def check_image_shape(self, image_shape: tuple[int, int, int]) -> None:
        """Checks that images (height, width, channels) survive the strides.

        Raises:
            ConfigurationError: When they are too small.
        """
        least = self.least_side()
        if min(image_shape[:2]) < least:
            raise ConfigurationError(
                f"images of {image_shape[0]} x {image_shape[1]} pixels are too small: {least.bit_length() - 1} strides "
                f"halve them, which needs at least {least} pixels a side. Enlarge them with --image_size, or use "
                "smaller --mobile_strides and --mobile_stem_stride=1."
            )

    def least_side(self, stem: str = "") -> int:
        """Returns the least side of the images, which the strides halve until it is one pixel."""
        return 2 ** sum(stride == 2 for stride in (self.mobile_stem_stride, *self.mobile_strides))

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

    def cost_parts(self, size: NetworkSize) -> Iterator[Part]:
        """Yields parts among which is every part that a network of this space may have."""
        from fairdarts_tf.mobile_costs import choice_parts, fixed_parts

        yield from fixed_parts(self, size)
        yield from (part for _, _, part in choice_parts(self, size))

    def expected_cost(self, size: NetworkSize, price: Price, method: str, relaxation: str = "sigmoid") -> ExpectedCost:
        """Returns the expected cost; see `fairdarts_tf.spaces.expected_costs.ExpectedLayerCost`."""
        from fairdarts_tf.mobile_costs import fixed_parts
        from fairdarts_tf.spaces.expected_costs import ExpectedLayerCost

        fixed = float(sum(map(price.of, fixed_parts(self, size))))
        return ExpectedLayerCost(fixed, {KINDS[0]: self._choice_prices(size, price)}, competes(relaxation))

    def extreme_genotypes(self, size: NetworkSize, price: Price, method: str) -> tuple[MobileGenotype, MobileGenotype]:
        """Returns the genotypes that cost least and most."""
        prices, in_play = self._choice_prices(size, price), self.in_play[KINDS[0]]
        cheapest = np.where(in_play, prices, np.inf).argmin(axis=1)
        dearest = np.where(in_play, prices, -np.inf).argmax(axis=1)
        items = [
            [LayerItem(self.operations[column], row) for row, column in enumerate(columns, start=1)]
            for columns in (cheapest, dearest)
        ]
        return self.genotype(items[0]), self.genotype(items[1])

    def _choice_prices(self, size: NetworkSize, price: Price) -> np.ndarray:
        """Returns what each choice costs, (layers, operations); 0 where it does not exist."""
        from fairdarts_tf.mobile_costs import choice_parts

        prices = np.zeros(self.alpha_shapes[KINDS[0]])
        for row, column, part in choice_parts(self, size):
            prices[row, column] = price.of(part)
        return prices

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


def _check_numbers(name: str, numbers: tuple[int, ...], least: int, most: int) -> None:
    if not numbers or not all(least <= number <= most for number in numbers):
        found = ",".join(map(str, numbers)) or "empty"
        raise ConfigurationError(f"--{name} is {found}. Expected whole numbers from {least} to {most}.")
