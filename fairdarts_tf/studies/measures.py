"""What is measured of a configuration with one seed: functions to columns of a row of results.csv."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairdarts_tf.costs import NetworkSize, network_cost
from fairdarts_tf.early_stopping import Stop
from fairdarts_tf.found_network import read_description
from fairdarts_tf.genotypes import CELL_KINDS, SKIP, Genotype
from fairdarts_tf.history import Row
from fairdarts_tf.quantities import read_quantity
from fairdarts_tf.report.evolution import dominance_threshold
from fairdarts_tf.report.run_data import RunData, read_run
from fairdarts_tf.studies.stages import Stages


def cells(stages: Stages) -> Row:
    """Returns skip connections and operations of the derived cells.

    ``derived_by`` is the method: DARTS' where the search's own leaves a cell empty.
    """
    genotype, method = stages.genotype()
    return {"derived_by": method} | count_cells(genotype)


def count_cells(genotype: Genotype) -> Row:
    """Returns skip connections and operations of both cells of a genotype."""
    skips = {f"{kind}_skips": genotype.skips(kind) for kind in CELL_KINDS}
    return skips | {f"{kind}_operations": len(genotype.items(kind)) for kind in CELL_KINDS}


def supernet(stages: Stages) -> Row:
    """Returns the last epoch's accuracy on the search half, in training mode, and how many operations are decided.

    ``decided`` is the share of mixing weights that are on or off: at least the threshold, or at most one minus it.
    """
    columns = read_run(stages.search_dir).columns
    on, off, undecided = (columns[f"operations_{state}"][-1] for state in ("on", "off", "undecided"))
    return {
        "search_accuracy": columns["search_accuracy"][-1],
        "operations_on": int(on),
        "decided": (on + off) / (on + off + undecided),
    }


def competition(stages: Stages) -> Row:
    """Returns how the mixing weights of an edge stand to each other, over the edges of both cells; `none` left out.

    ``largest`` and ``second`` are the means of an edge's two largest weights. ``skip_edges`` counts edges on which the
    skip connection is dominant, ``skip_edges_shared`` those of them with another operation that is dominant too: that
    reaches the threshold with the sigmoid, that has at least half of the largest weight with the softmax, which has no
    threshold.
    """
    run = read_run(stages.search_dir)
    operations = run.derivation.operations
    named = [column for column, name in enumerate(operations) if name != "none"]
    weights = np.concatenate([table[-1] for table in run.mixing_weights().values()])
    ordered = -np.sort(-weights[:, named], axis=1)
    found = {"largest": float(ordered[:, 0].mean())}
    if len(named) > 1:
        found["second"] = float(ordered[:, 1].mean())
    if SKIP not in operations:
        return found
    dominant = _dominant(run, weights[:, named])
    has_skip = dominant[:, named.index(operations.index(SKIP))]
    shared = has_skip & (dominant.sum(axis=1) > 1)
    return found | {"skip_edges": int(has_skip.sum()), "skip_edges_shared": int(shared.sum())}


def gap(stages: Stages) -> Row:
    """Returns the discretisation gap (see `fairdarts_tf.studies.gap`)."""
    return stages.gap()


def training(stages: Stages) -> Row:
    """Returns accuracies of the trained network, and its size as the papers state it, at 36 channels and 20 cells."""
    cost = network_cost(stages.genotype()[0])
    return stages.train() | {"params": cost.params, "macs": cost.macs}


def stopping(stages: Stages) -> Row:
    """Returns which criterion ended the search, after how many epochs, and the epoch whose alphas count."""
    stop = Stop.load(stages.search_dir)
    epochs = read_run(stages.search_dir).epochs_done
    if stop is None:
        return {"criterion": "none", "stopped_after": epochs, "counted_epoch": epochs}
    return {"criterion": stop.criterion, "stopped_after": stop.after, "counted_epoch": stop.counts}


def curvature(stages: Stages) -> Row:
    """Returns the last largest eigenvalue of the Hessian in the alphas; None where it was not measured."""
    values = read_run(stages.search_dir).columns.get("dominant_eigenvalue", np.array([np.nan]))
    return {"dominant_eigenvalue": float(values[-1]) if np.isfinite(values[-1]) else None}


def cost(stages: Stages) -> Row:
    """Returns the multiply-adds that a search aims at, if any, and those that its network has at the trained size.

    ``expected_macs`` is what the last epoch's alphas let expect, ``derived_macs`` what the derived network has.
    """
    settings, columns = stages.settings, read_run(stages.search_dir).columns
    trained = stages.plan.train_settings("any", stages.seed)
    side, _, channels = read_description(stages.place / "training")["image_shape"]
    size = NetworkSize(trained.init_channels, trained.layers, side, channels)
    row: Row = {"derived_macs": network_cost(stages.genotype()[0], size).macs}
    if settings.cost == "none":
        return row
    expected = float(columns["expected_cost"][-1])
    return {"target_macs": read_quantity("cost_target", settings.cost_target), "expected_macs": expected} | row


MEASURES: dict[str, Callable[[Stages], Row]] = {
    "cells": cells,
    "supernet": supernet,
    "competition": competition,
    "gap": gap,
    "training": training,
    "stopping": stopping,
    "curvature": curvature,
    "cost": cost,
}
"""Every measure by name."""


def _dominant(run: RunData, weights: np.ndarray) -> np.ndarray:
    threshold = dominance_threshold(run.derivation.relaxation, run.derivation.threshold)
    least = weights.max(axis=1, keepdims=True) / 2 if threshold is None else threshold
    return weights >= least
