"""A search space the other way: KerasTuner chooses the genotype itself, without a supernet."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairdarts_tf.cell_choices import Condition
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.spaces import SearchSpace
from fairdarts_tf.spaces.darts import DartsSpace

if TYPE_CHECKING:
    import keras_tuner


def genotype_space(
    hp: keras_tuner.HyperParameters, space: SearchSpace | None = None, max_skips: int | None = None
) -> AnyGenotype:
    """Returns the genotype of a trial; all that can be chosen of it becomes a hyperparameter.

    Every choice leads to a valid genotype, and all that could be derived can be chosen: in S1 up to two inputs a node,
    with an operation each; in S2 an operation for each layer. Of S1's first node one input is certain, so that no cell
    is empty. Random search with it is the control that a search by gradients has to beat.

    Args:
        hp: KerasTuner's hyperparameters of the trial.
        space: The search space. Defaults to None: S1 with FairDARTS' operations and 4 nodes.
        max_skips: The most skip connections: of the normal cell, or of S2's layers. Defaults to None: no limit.

    Raises:
        ConfigurationError: When there is a limit, and no operation but the skip connection.
    """
    return (space or DartsSpace()).compose(_Chooser(hp), max_skips)


class _Chooser:
    """Hands each choice to KerasTuner, with the choices that it depends on as conditions."""

    def __init__(self, hp: keras_tuner.HyperParameters) -> None:
        self._hp = hp

    def __call__(self, name: str, options: Sequence[str], given: Sequence[Condition] = ()) -> str | None:
        with contextlib.ExitStack() as scopes:
            for parent, values in given:
                scopes.enter_context(self._hp.conditional_scope(parent, list(values)))
            return self._hp.Choice(name, list(options))
