"""Tuning with KerasTuner: flags of a search or of a training, or the genotype itself.

Names are loaded when they are first used: KerasTuner loads TensorFlow.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "GenotypeHyperModel": "fairdarts_tf.tuning.genotype_hypermodel",
    "SearchHyperModel": "fairdarts_tf.tuning.search_hypermodel",
    "TrainHyperModel": "fairdarts_tf.tuning.train_hypermodel",
    "Tuned": "fairdarts_tf.tuning.tuned",
    "TuningResult": "fairdarts_tf.tuning.run",
    "TuningSettings": "fairdarts_tf.tuning.settings",
    "genotype_space": "fairdarts_tf.tuning.genotype_choices",
    "run_tuning": "fairdarts_tf.tuning.run",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fairdarts_tf.tuning' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
