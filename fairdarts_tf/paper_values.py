"""What the papers' own searches and trainings have as settings, for ``--help`` beside our defaults.

Of FairDARTS (Chu et al., ECCV 2020) and DARTS (Liu et al., ICLR 2019), as the papers state them or their authors' code
has them. ``configs/cifar10.flags``, ``darts_second.flags``, ``train_cifar10.flags`` and ``train_imagenet.flags`` have
the same values, but for S2's; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping

from fairdarts_tf.genotypes import DARTS_OPERATIONS, FAIRDARTS_OPERATIONS

Papers = Mapping[str, Mapping[str, object]]
"""By the name of a paper: values of settings by field."""

_BOTH_SEARCHES: Mapping[str, object] = {
    "dataset": "cifar10",
    "train_portion": 0.5,
    "crop": "padded",
    "cutout": 0,
    "init_channels": 16,
    "layers": 8,
    "nodes": 4,
    "stem_multiplier": 3,
    "epochs": 50,
    "learning_rate_min": 0.001,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
    "alpha_weight_decay": 1e-3,
}

SEARCHES: Papers = {
    "FairDARTS": {
        **_BOTH_SEARCHES,
        "relaxation": "sigmoid",
        "operations": FAIRDARTS_OPERATIONS,
        "zero_one": "l2",
        "zero_one_weight": 10.0,
        "batch_size": 128,
        "learning_rate": 0.005,
        "unrolled": False,
        "alpha_learning_rate": 3e-3,
        "alpha_beta_1": 0.9,
        "alpha_noise": 0.0,
        "threshold": 0.85,
        "method": "threshold_sparse",
        "mobile_widths": (32, 40, 80, 96, 192, 320),
        "mobile_depths": (4, 4, 4, 4, 4, 1),
        "mobile_strides": (2, 2, 2, 1, 2, 1),
        "mobile_kernels": (3, 5, 7),
        "mobile_expansions": (3, 6),
        "mobile_skip": True,
        "mobile_stem_width": 32,
        "mobile_stem_stride": 2,
        "mobile_first_width": 16,
        "mobile_head_width": 1280,
    },
    "DARTS": {
        **_BOTH_SEARCHES,
        "relaxation": "softmax",
        "operations": DARTS_OPERATIONS,
        "zero_one": "none",
        "batch_size": 64,
        "learning_rate": 0.025,
        "unrolled": True,
        "alpha_learning_rate": 3e-4,
        "alpha_beta_1": 0.5,
        "alpha_noise": 1e-3,
        "method": "darts",
    },
}
"""Searches on CIFAR-10 in S1, and FairDARTS' S2 on ImageNet, which is ProxylessNAS' space."""

_BOTH_TRAININGS: Mapping[str, object] = {
    "momentum": 0.9,
    "gradient_clip": 5.0,
    "auxiliary_weight": 0.4,
    # They choose the best epoch by the test images; no configuration of ours does.
    "validation_portion": 0.0,
}

TRAININGS: Papers = {
    "CIFAR-10": {
        **_BOTH_TRAININGS,
        "dataset": "cifar10",
        "network": "cifar",
        "init_channels": 36,
        "layers": 20,
        "epochs": 600,
        "batch_size": 96,
        "schedule": "cosine",
        "learning_rate": 0.025,
        "learning_rate_min": 0.0,
        "weight_decay": 3e-4,
        "label_smoothing": 0.0,
        "drop_path": 0.2,
        "drop_path_at": "node",
        "crop": "padded",
        "cutout": 16,
    },
    "ImageNet": {
        **_BOTH_TRAININGS,
        "dataset": "imagenet2012",
        "image_size": 224,
        "resize_size": 256,
        "network": "imagenet",
        "init_channels": 48,
        "layers": 14,
        "epochs": 250,
        "batch_size": 128,
        "schedule": "exponential",
        "learning_rate": 0.1,
        "learning_rate_decay": 0.97,
        "weight_decay": 3e-5,
        "label_smoothing": 0.1,
        "drop_path": 0.0,
        "crop": "resized",
        "color_jitter": 0.4,
        "cutout": 0,
    },
}
"""The recipes of both papers, which FairDARTS took from DARTS but for the place of drop path: on a node's sum, where
DARTS has it on each operation."""


def papers_values(papers: Papers, name: str) -> dict[str, object]:
    """Returns the value that a setting has in each paper that has one, by the paper's name."""
    return {paper: values[name] for paper, values in papers.items() if name in values}
