"""Differentiable architecture search, FairDARTS and its family, for TensorFlow 2 and Keras 3.

Names are loaded when they are first used, so that what needs no TensorFlow starts at once.
"""

from __future__ import annotations

import os
from importlib import import_module

# TensorFlow reads this when it loads. Left alone, it uses oneDNN only on processors with AVX512-VNNI or better, yet
# oneDNN's depthwise convolutions, poolings and BatchNorm make a supernet more than twice as fast on AVX2 as well.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"

_HOMES = {
    "DartsSpace": "fairdarts_tf.spaces.darts",
    "DartsNetwork": "fairdarts_tf.network",
    "FairDartsError": "fairdarts_tf.errors",
    "FoundNetwork": "fairdarts_tf.found_network",
    "Genotype": "fairdarts_tf.genotypes",
    "MixedOp": "fairdarts_tf.mixed_op",
    "Search": "fairdarts_tf.bilevel_search",
    "RandomSearchSettings": "fairdarts_tf.random_search.settings",
    "SearchResult": "fairdarts_tf.search_run",
    "SearchSettings": "fairdarts_tf.settings",
    "TrainResult": "fairdarts_tf.training.run",
    "TrainSettings": "fairdarts_tf.training.settings",
    "evaluate": "fairdarts_tf.evaluation.run",
    "export_network": "fairdarts_tf.export.network",
    "MobileGenotype": "fairdarts_tf.mobile_genotypes",
    "MobileNetwork": "fairdarts_tf.mobile_network",
    "MobileSpace": "fairdarts_tf.spaces.mobile",
    "load_dataset": "fairdarts_tf.data",
    "load_genotype": "fairdarts_tf.genotype_files",
    "load_found_network": "fairdarts_tf.found_network",
    "network_cost": "fairdarts_tf.costs",
    "open_model": "fairdarts_tf.runtimes",
    "run_random_search": "fairdarts_tf.random_search.run",
    "run_search": "fairdarts_tf.search_run",
    "run_training": "fairdarts_tf.training.run",
}

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fairdarts_tf' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
