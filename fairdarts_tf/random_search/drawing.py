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
    tries = TRIES_PER_CANDIDATE * settings.candidates
    for _ in range(tries):
        genotype = random_genotype(
            int(generator.randint(2**31)),
            settings.operations,
            settings.nodes,
            settings.edges_per_node,
            None if settings.skips < 0 else settings.skips,
        )
        if settings.has_bounds:
            costs.append(network_cost(genotype))
        if not settings.has_bounds or _is_within(settings, costs[-1]):
            found[genotype] = None
        if len(found) == settings.candidates:
            return list(found)
    raise ConfigurationError(
        f"of {tries} genotypes drawn only {len(found)} different ones keep to the bounds, not {settings.candidates}. "
        f"{_describe(costs)}Widen the bounds, or lower --candidates."
    )


def _is_within(settings: RandomSearchSettings, cost: Cost) -> bool:
    return all(
        getattr(settings, f"min_{what}")
        <= getattr(cost, what) / MILLION
        <= (getattr(settings, f"max_{what}") or np.inf)
        for what in ("params", "macs")
    )


def _describe(costs: list[Cost]) -> str:
    if not costs:
        return ""
    params, macs = ([getattr(cost, what) / MILLION for cost in costs] for what in ("params", "macs"))
    return (
        f"They had {min(params):.2f} to {max(params):.2f} million parameters and {min(macs):.0f} to {max(macs):.0f} "
        "million multiply-adds. "
    )
