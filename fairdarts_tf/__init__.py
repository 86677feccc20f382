"""Differentiable architecture search, FairDARTS and its family, for TensorFlow 2 and Keras 3.

A search, the network that it found, an ordinary training and a file for a phone:

    import fairdarts_tf as fd

    images, test = fd.load_dataset("digits"), fd.load_dataset("digits", "test")
    search = fd.search(images, fd.DartsSpace(init_channels=8, layers=3), epochs=20, batch_size=25)
    network = search.derive().build(images, init_channels=8, layers=3)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(images.images, images.labels, epochs=20)
    fd.export_classifier(network, "exported", held_back=test)

Names are loaded when they are first used, so that what needs no TensorFlow starts at once.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

# TensorFlow reads this when it loads. Left alone, it uses oneDNN only on processors with AVX512-VNNI or better, yet
# oneDNN's depthwise convolutions, poolings and BatchNorm make a supernet more than twice as fast on AVX2 as well.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"

_HOMES = {
    "Alphas": "fairdarts_tf.search_result",
    "Augmentation": "fairdarts_tf.data",
    "Cost": "fairdarts_tf.costs",
    "DartsNetwork": "fairdarts_tf.network",
    "DartsSpace": "fairdarts_tf.spaces.darts",
    "FairDartsError": "fairdarts_tf.errors",
    "FoundNetwork": "fairdarts_tf.found_network",
    "Genotype": "fairdarts_tf.genotypes",
    "ImageClassifier": "fairdarts_tf.image_classifier",
    "LabelledImages": "fairdarts_tf.data",
    "LiveView": "fairdarts_tf.live_view",
    "MixedOp": "fairdarts_tf.mixed_op",
    "MobileGenotype": "fairdarts_tf.mobile_genotypes",
    "MobileNetwork": "fairdarts_tf.mobile_network",
    "MobileSpace": "fairdarts_tf.spaces.mobile",
    "RandomSearchSettings": "fairdarts_tf.random_search.settings",
    "Search": "fairdarts_tf.bilevel_search",
    "SearchResult": "fairdarts_tf.search_result",
    "SearchSettings": "fairdarts_tf.settings",
    "TimeEstimate": "fairdarts_tf.time_estimate",
    "TrainResult": "fairdarts_tf.training.run",
    "TrainSettings": "fairdarts_tf.training.settings",
    "TuningSettings": "fairdarts_tf.tuning.settings",
    "augmented_batches": "fairdarts_tf.data.batches",
    "estimate_search": "fairdarts_tf.time_estimate",
    "evaluate": "fairdarts_tf.evaluation.run",
    "evaluate_run": "fairdarts_tf.evaluation.run",
    "export_classifier": "fairdarts_tf.export.classifier",
    "export_network": "fairdarts_tf.export.network",
    "export_run": "fairdarts_tf.export.run",
    "load_dataset": "fairdarts_tf.data",
    "load_found_network": "fairdarts_tf.found_network",
    "load_genotype": "fairdarts_tf.genotype_files",
    "network_cost": "fairdarts_tf.costs",
    "open_model": "fairdarts_tf.runtimes",
    "register_operation": "fairdarts_tf.registration",
    "register_relaxation": "fairdarts_tf.registration",
    "register_space": "fairdarts_tf.registration",
    "run_random_search": "fairdarts_tf.random_search.run",
    "run_search": "fairdarts_tf.search_run",
    "run_training": "fairdarts_tf.training.run",
    "run_tuning": "fairdarts_tf.tuning.run",
    "search": "fairdarts_tf.python_search",
    "write_report": "fairdarts_tf.report.page",
}
_ROOMS = ("tuning",)
"""Packages that are used as a whole, as in ``fd.tuning.genotype_space``."""

__all__ = [
    "Alphas",
    "Augmentation",
    "Cost",
    "DartsNetwork",
    "DartsSpace",
    "FairDartsError",
    "FoundNetwork",
    "Genotype",
    "ImageClassifier",
    "LabelledImages",
    "LiveView",
    "MixedOp",
    "MobileGenotype",
    "MobileNetwork",
    "MobileSpace",
    "RandomSearchSettings",
    "Search",
    "SearchResult",
    "SearchSettings",
    "TimeEstimate",
    "TrainResult",
    "TrainSettings",
    "TuningSettings",
    "__version__",
    "augmented_batches",
    "estimate_search",
    "evaluate",
    "evaluate_run",
    "export_classifier",
    "export_network",
    "export_run",
    "load_dataset",
    "load_found_network",
    "load_genotype",
    "network_cost",
    "open_model",
    "register_operation",
    "register_relaxation",
    "register_space",
    "run_random_search",
    "run_search",
    "run_training",
    "run_tuning",
    "search",
    "tuning",
    "write_report",
]

if TYPE_CHECKING:
    # What editors and type checkers see; a test holds it to the tables above.
    from fairdarts_tf import tuning
    from fairdarts_tf.bilevel_search import Search
    from fairdarts_tf.costs import Cost, network_cost
    from fairdarts_tf.data import Augmentation, LabelledImages, load_dataset
    from fairdarts_tf.data.batches import augmented_batches
    from fairdarts_tf.errors import FairDartsError
    from fairdarts_tf.evaluation.run import evaluate, evaluate_run
    from fairdarts_tf.export.classifier import export_classifier
    from fairdarts_tf.export.network import export_network
    from fairdarts_tf.export.run import export_run
    from fairdarts_tf.found_network import FoundNetwork, load_found_network
    from fairdarts_tf.genotype_files import load_genotype
    from fairdarts_tf.genotypes import Genotype
    from fairdarts_tf.image_classifier import ImageClassifier
    from fairdarts_tf.live_view import LiveView
    from fairdarts_tf.mixed_op import MixedOp
    from fairdarts_tf.mobile_genotypes import MobileGenotype
    from fairdarts_tf.mobile_network import MobileNetwork
    from fairdarts_tf.network import DartsNetwork
    from fairdarts_tf.python_search import search
    from fairdarts_tf.random_search.run import run_random_search
    from fairdarts_tf.random_search.settings import RandomSearchSettings
    from fairdarts_tf.registration import register_operation, register_relaxation, register_space
    from fairdarts_tf.report.page import write_report
    from fairdarts_tf.runtimes import open_model
    from fairdarts_tf.search_result import Alphas, SearchResult
    from fairdarts_tf.search_run import run_search
    from fairdarts_tf.settings import SearchSettings
    from fairdarts_tf.spaces.darts import DartsSpace
    from fairdarts_tf.spaces.mobile import MobileSpace
    from fairdarts_tf.time_estimate import TimeEstimate, estimate_search
    from fairdarts_tf.training.run import TrainResult, run_training
    from fairdarts_tf.training.settings import TrainSettings
    from fairdarts_tf.tuning.run import run_tuning
    from fairdarts_tf.tuning.settings import TuningSettings


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'fairdarts_tf' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_ROOMS])
