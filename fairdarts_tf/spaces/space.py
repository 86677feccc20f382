"""What every search space offers, so that search, derivation, training, export and report need to know none of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import learnable_operations

if TYPE_CHECKING:
    import keras
    import numpy as np

    from fairdarts_tf.cell_choices import Choose
    from fairdarts_tf.costs import NetworkSize, Part
    from fairdarts_tf.derivation import Confidence
    from fairdarts_tf.genotype_files import AnyGenotype
    from fairdarts_tf.prices import Price
    from fairdarts_tf.settings import SearchSettings
    from fairdarts_tf.spaces.expected_costs import ExpectedCost
    from fairdarts_tf.spaces.network_options import NetworkOptions


class SearchSpace(ABC):
    """A search space with the size of its supernet: a dataclass, of which every field is a setting of the same name.

    Alphas lie in tables, by kind. A row is a place where operations are mixed (an edge of a cell, a layer), a column an
    operation. A genotype holds items: operations at places.

    Attributes:
        name: The value of ``--space``, and of ``"space"`` in its genotypes.
        titles: What each table of alphas is of, by kind, as in ``"Normal cell"``.
        row_noun: What a row of a table is, as in ``"edge"``.
        noun: What its genotypes consist of, as in ``"cells"``.
        skip_kind: The table whose skip connections ``--max_skips`` limits and ``--early_stopping=skips`` counts.
        stem_kernel: Path of the supernet's first kernel, whose shape tells the channels of the images.
        no_auxiliary_head: Why a network of this space may have no auxiliary head, half a sentence.
        size_names: Fields of `NetworkOptions` that decide the size of its networks besides the genotype.
    """

    name: ClassVar[str]
    titles: ClassVar[Mapping[str, str]]
    row_noun: ClassVar[str]
    noun: ClassVar[str]
    skip_kind: ClassVar[str]
    stem_kernel: ClassVar[str]
    no_auxiliary_head: ClassVar[str]
    size_names: ClassVar[tuple[str, ...]]

    operations: tuple[str, ...]
    """Names of the columns of every table."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the tables of alphas."""
        return tuple(self.titles)

    @property
    @abstractmethod
    def alpha_shapes(self) -> dict[str, tuple[int, int]]:
        """The shape (rows, operations) of each table of alphas, by kind."""

    @property
    def in_play(self) -> dict[str, np.ndarray]:
        """Which entries of the tables exist, bool of a table's shape by kind; a kind that is left out has all.

        The others have a mixing weight of 0, and count nowhere: neither in the zero-one loss nor in a derivation, a
        count or a picture.
        """
        return {}

    @abstractmethod
    def row_names(self, kind: str) -> list[str]:
        """Returns the names of a table's rows, as `Item.place` has them."""

    @abstractmethod
    def chosen(self, genotype: AnyGenotype, kind: str) -> list[tuple[int, int]]:
        """Returns (row, column) in a table of alphas of each item of a genotype, in their order."""

    @abstractmethod
    def derive(
        self,
        values: Mapping[str, np.ndarray],
        method: str = "threshold_sparse",
        threshold: float = 0.85,
        max_skips: int | None = None,
    ) -> AnyGenotype:
        """Derives a genotype from relaxed alphas, by kind.

        Raises:
            ConfigurationError: When the method is none of this space's, or threshold or limit are out of range.
            GenotypeError: When the tables do not fit the space, or no network can be made of them.
        """

    @abstractmethod
    def confidence(
        self,
        values: Mapping[str, np.ndarray],
        method: str = "threshold_sparse",
        threshold: float = 0.85,
        max_skips: int | None = None,
    ) -> list[Confidence]:
        """Returns how sure each item of ``derive(values, ...)`` is, in the items' order; arguments as there."""

    @abstractmethod
    def compose(self, choose: Choose, max_skips: int | None = None) -> AnyGenotype:
        """Returns the genotype of a sequence of choices: whatever they are, it is valid and could be derived.

        Args:
            choose: Makes the choices; every one that the space may ask for is named to it, in the same order.
            max_skips: The most skip connections, as in `derive`. Defaults to None: no limit.
        """

    @abstractmethod
    def check_image_shape(self, image_shape: tuple[int, int, int]) -> None:
        """Checks that images (height, width, channels) are large enough.

        Raises:
            ConfigurationError: When they are not.
        """

    @abstractmethod
    def least_side(self, stem: str) -> int:
        """Returns the least side of the images of its networks, in pixels: that much becomes one pixel.

        Args:
            stem: Of the network, in S1: see `fairdarts_tf.costs.NetworkSize`.
        """

    def check_settings(self, settings: SearchSettings) -> None:
        """Checks that the space can do what the settings of a search ask for.

        Raises:
            ConfigurationError: When it cannot.
        """
        if "ranking" in settings.early_stopping and len(learnable_operations(self.operations)) < 2:
            raise ConfigurationError(
                "--early_stopping=ranking looks at the order of the operations with weights, and there are fewer than "
                "two. Add convolutions, or leave it out."
            )

    def supernet_options(self, settings: SearchSettings) -> dict[str, object]:
        """Returns what the settings of a search ask of the supernet beside the space."""
        return {}

    @abstractmethod
    def supernet(
        self, image_shape: tuple[int, int, int], num_classes: int, relaxation: str = "sigmoid", **kwargs: object
    ) -> keras.Model:
        """Builds the supernet: a model with `space`, `alphas`, `network_weights`, `mixing_weights` and `relaxation`.

        Args:
            image_shape: (height, width, channels).
            num_classes: Number of classes.
            relaxation: A name of `fairdarts_tf.relaxations.RELAXATIONS`.
            kwargs: Of the supernet and of `keras.Model`.
        """

    @abstractmethod
    def cost_parts(self, size: NetworkSize) -> Iterator[Part]:
        """Yields parts of networks among which is every part that a network of this space may have at a size."""

    @abstractmethod
    def expected_cost(self, size: NetworkSize, price: Price, method: str, relaxation: str = "sigmoid") -> ExpectedCost:
        """Returns the expected cost of the network that will be derived, a function of the mixing weights.

        Args:
            size: Of that network.
            price: The kind of cost.
            method: A name of `fairdarts_tf.derivation.METHODS`.
            relaxation: What the weights come of, a name of `fairdarts_tf.relaxations.RELAXATIONS`. Defaults to
                ``"sigmoid"``.
        """

    @abstractmethod
    def extreme_genotypes(self, size: NetworkSize, price: Price, method: str) -> tuple[AnyGenotype, AnyGenotype]:
        """Returns, of the genotypes that a method derives, one that costs least and one that costs most.

        Arguments are the first three of `expected_cost`.
        """

    @classmethod
    @abstractmethod
    def of_records(cls, settings: Mapping[str, str], tables: Mapping[str, tuple[int, ...]]) -> SearchSpace:
        """Returns the space of a search as its files have it.

        Args:
            settings: Its flags as text, by name; what is absent has its default.
            tables: The shapes (rows, operations) of its tables of alphas, by kind; empty if they are not known.

        Raises:
            ConfigurationError: When they say of no space what its operations are.
        """

    @classmethod
    @abstractmethod
    def unknown(cls, tables: Mapping[str, tuple[int, ...]]) -> SearchSpace:
        """Returns a space for tables of alphas of which nothing else is known: it names rows and columns.

        It derives no genotype: that raises a GenotypeError.

        Args:
            tables: The shapes (rows, operations), by kind.
        """

    @classmethod
    @abstractmethod
    def network(cls, genotype: AnyGenotype, num_classes: int, options: NetworkOptions, **kwargs: object) -> keras.Model:
        """Returns the network of a genotype, not yet built.

        Args:
            genotype: Of this space.
            num_classes: Number of classes.
            options: What else decides it.
            kwargs: Of `keras.Model`.

        Raises:
            ConfigurationError: When it cannot have these options.
        """

    @abstractmethod
    def inherit_weights(self, network: keras.Model, supernet: keras.Model) -> None:
        """Sets the weights of a network of this space to those that its supernet has for what the genotype keeps.

        Args:
            network: Built, with as many classes as the supernet.
            supernet: Built.

        Raises:
            RunError: When they do not fit. Nothing is set then.
        """

    @classmethod
    def describe_size(cls, size: NetworkSize) -> str:
        """Returns the size of a network in words."""
        side = f"{size.image_size} \N{MULTIPLICATION SIGN} {size.image_size}"
        return f"images of {side} pixels and {size.num_classes} classes"

    @classmethod
    @abstractmethod
    def network_parts(cls, genotype: AnyGenotype, size: NetworkSize) -> Iterator[Part]:
        """Yields every layer of the network of a genotype with its cost, in order; see `fairdarts_tf.costs`."""
