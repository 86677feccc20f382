"""Drawing genotypes uniformly from all that keep to bounds of parameters and multiply-adds."""

from __future__ import annotations

import numpy as np

from fairdarts_tf.costs import Cost, network_cost
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.random_genotypes import random_genotype
from fairdarts_tf.random_search.settings import RandomSearchSettings

MILLION = 1e6
TRIES_PER_CANDIDATE = 1000


def draw_candidates(settings: RandomSearchSettings) -> list[Genotype]:
    """Returns different genotypes within the bounds, all such genotypes being equally likely.

    Genotypes are drawn without regard to the bounds and dropped where they break them, which keeps the rest uniform.

    Raises:
        ConfigurationError: When too few of many draws keep to the bounds, or a number does not fit the others.
    """
    # NumPy promises that this generator's draws never change.
    generator = np.random.RandomState(settings.draw_seed)
    found: dict[Genotype, None] = {}
    costs: list[Cost] = []
    while len(found) < settings.candidates:
        if len(costs) == TRIES_PER_CANDIDATE * settings.candidates:
            raise _too_narrow(settings, len(found), costs)
        genotype = random_genotype(
            int(generator.randint(2**31)),
            settings.operations,
            settings.nodes,
            settings.edges_per_node,
            None if settings.skips < 0 else settings.skips,
        )
        costs.append(network_cost(genotype))
        if _is_within(settings, costs[-1]):
            found[genotype] = None
    return list(found)


def _is_within(settings: RandomSearchSettings, cost: Cost) -> bool:
    return all(
        getattr(settings, f"min_{what}")
        <= getattr(cost, what) / MILLION
        <= (getattr(settings, f"max_{what}") or np.inf)
        for what in ("params", "macs")
    )


def _too_narrow(settings: RandomSearchSettings, found: int, costs: list[Cost]) -> ConfigurationError:
    params, macs = ([getattr(cost, what) / MILLION for cost in costs] for what in ("params", "macs"))
    return ConfigurationError(
        f"of {len(costs)} genotypes drawn only {found} different ones keep to the bounds, not {settings.candidates}. "
        f"They had {min(params):.2f} to {max(params):.2f} million parameters and {min(macs):.0f} to "
        f"{max(macs):.0f} million multiply-adds. Widen the bounds, or lower --candidates."
    )
