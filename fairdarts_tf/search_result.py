"""What a search came to, and how a notebook shows it. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairdarts_tf.early_stopping import Stop
from fairdarts_tf.epoch_report import describe_epoch, describe_genotype
from fairdarts_tf.errors import ConfigurationError, FairDartsError, GenotypeError, unknown_name
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import History
from fairdarts_tf.sensitivity import DerivationSettings
from fairdarts_tf.settings import SearchSettings

if TYPE_CHECKING:
    from fairdarts_tf.bilevel_search import Search
    from fairdarts_tf.derivation import Confidence

_OF_DERIVATION = ("method", "threshold", "max_skips", "average_last")


@dataclasses.dataclass(frozen=True, eq=False)
class Alphas(Mapping):
    """Tables of raw alphas by kind, (rows, operations): of S1 ``normal`` and ``reduce``, of S2 ``layers``.

    A notebook shows them as heat maps of their mixing weights.

    Args:
        tables: By kind.
        settings: What decides how they become a genotype.

    Example:
        >>> space = fd.DartsSpace(nodes=1)
        >>> tables = {kind: np.zeros(shape) for kind, shape in space.alpha_shapes.items()}
        >>> alphas = fd.Alphas(tables, fd.SearchSettings(nodes=1).derivation)
        >>> alphas["normal"].shape, float(alphas.mixing_weights()["normal"][0, 0])
        ((2, 7), 0.5)
    """

    tables: Mapping[str, np.ndarray]
    settings: DerivationSettings

    def __getitem__(self, kind: str) -> np.ndarray:
        """Returns the table of a kind."""
        return self.tables[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def mixing_weights(self, relaxation: str | None = None) -> dict[str, np.ndarray]:
        """Returns the mixing weights by kind, (rows, operations), float64.

        Args:
            relaxation: A name of `fairdarts_tf.relaxations.RELAXATIONS`. Defaults to None: the search's own.
        """
        return self.settings.relax(self.tables, relaxation)

    def _repr_html_(self) -> str:
        from fairdarts_tf.report.notebook import heat_maps_html

        return heat_maps_html(self.mixing_weights(), self.settings.space)


@dataclasses.dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search came to, or stands at. A notebook shows its cells, its heat maps and its curves.

    Attributes:
        genotype: The genotype that its method derives from the alphas, or None.
        history: Rows and alphas of all epochs.
        search: The searched model.
        settings: All that decided the search.
        workdir: Its directory.
        stopped_by: The signal that stopped it early, or None; its genotype is None then.
        asked_to_stop: The signal that asked for an end, or None; in the last epoch it finds the search complete, and
            stops only what was to follow.
        early_stop: The criterion that ended it before its last epoch, or None.
        underived: Why there is no genotype though the search is complete; empty where there is one.

    Example:
        >>> space = fd.DartsSpace(operations=("skip_connect", "sep_conv_3x3"), nodes=1, init_channels=2, layers=3)
        >>> search = fd.search(
        ...     "digits", space, workdir="runs/mine", epochs=1, steps_per_epoch=2, batch_size=50, method="darts",
        ...     on_epoch=lambda so_far: None,
        ... )
        >>> search.derive(method="darts").kinds
        ('normal', 'reduce')
        >>> search.alphas["normal"].shape
        (2, 2)
        >>> search._repr_html_()[:4]
        '<div'
    """

    genotype: AnyGenotype | None
    history: History
    search: Search
    settings: SearchSettings
    workdir: Path
    stopped_by: signal.Signals | None = None
    asked_to_stop: signal.Signals | None = None
    early_stop: Stop | None = None
    underived: str = ""

    @property
    def alphas(self) -> Alphas:
        """The raw alphas after the epoch that counts: the last, unless the search was stopped early.

        Raises:
            GenotypeError: When no epoch has ended yet.
        """
        if not self.history.alphas:
            raise GenotypeError("the search has not finished an epoch yet, so it has no alphas to show. Let it go on.")
        return Alphas(self.history.alphas[self._end - 1], self.settings.derivation)

    def derive(self, **changes: object) -> AnyGenotype:
        """Derives a genotype, as the search does or by another method.

        Args:
            changes: ``method``, ``threshold``, ``max_skips`` (None for no limit) and ``average_last``, in place of the
                search's own.

        Raises:
            ConfigurationError: When there is no such setting, or its value is out of range.
            GenotypeError: When no epoch has ended, or a cell would be empty.
        """
        derivation = self._derivation(changes)
        return derivation.derive(self._weights(derivation))

    def confidence(self, **changes: object) -> list[Confidence]:
        """Returns how sure each item of the genotype that `derive` gives is; arguments and errors are those."""
        derivation = self._derivation(changes)
        return derivation.confidence(self._weights(derivation))

    @property
    def _end(self) -> int:
        return self.early_stop.counts if self.early_stop else len(self.history.alphas)

    def _derivation(self, changes: Mapping[str, object]) -> DerivationSettings:
        for name in changes:
            if name not in _OF_DERIVATION:
                raise ConfigurationError(unknown_name("setting of a derivation", name, _OF_DERIVATION))
        average = changes.get("average_last", 1)
        if type(average) is not int or average < 1:
            raise ConfigurationError(f"average_last is {average!r}, but must be a whole number from 1.")
        return dataclasses.replace(self.settings.derivation, **changes)

    def _weights(self, derivation: DerivationSettings) -> dict[str, np.ndarray]:
        if not self.history.alphas:
            raise GenotypeError("the search has not finished an epoch yet. Let it go on.")
        return derivation.weights_after({kind: table[: self._end] for kind, table in self.history.tables().items()})

    def __repr__(self) -> str:
        rows, settings = self.history.rows, self.settings
        stands = describe_epoch(rows[-1], settings.epochs, settings.cost) if rows else "no epoch has ended yet"
        found = f"  no genotype: {self.underived}" if self.underived else describe_genotype(self.genotype)
        return f"search in {self.workdir}: {stands}\n{found}"

    def _repr_html_(self) -> str:
        from fairdarts_tf.report.notebook import search_html

        if not self.history.alphas:
            return "<div><p>The search has not finished an epoch yet.</p></div>"
        try:
            return search_html(self.history, self.settings, self.alphas, self.derive(), self.confidence())
        except FairDartsError as error:
            return search_html(self.history, self.settings, self.alphas, why_none=str(error))
