"""The values that each setting of a search may have."""

from __future__ import annotations

from collections.abc import Collection

from fairdarts_tf.costs import STEM_NAMES
from fairdarts_tf.derivation import METHODS
from fairdarts_tf.latency_table import FORMS
from fairdarts_tf.perturbation_schedules import DROPOUT_SCHEDULES, NOISES
from fairdarts_tf.prices import UNITS
from fairdarts_tf.relaxations import RELAXATIONS
from fairdarts_tf.settings_checks import CROPS, ON_NAN, PRECISIONS, STORAGES, STRATEGIES
from fairdarts_tf.spaces.mobile import RANGES as MOBILE_RANGES
from fairdarts_tf.spaces.mobile import MobileSpace

ZERO_ONE_NAMES = ("l2", "l1", "none")
STOP_CRITERIA = ("skips", "ranking", "eigenvalue")

CHOICES: dict[str, Collection[str]] = {
    "storage": STORAGES,
    "crop": CROPS,
    "relaxation": RELAXATIONS,
    "zero_one": ZERO_ONE_NAMES,
    "early_stopping": STOP_CRITERIA,
    "cost": ("none", *UNITS),
    "cost_network": STEM_NAMES,
    "latency_form": FORMS,
    "method": tuple(METHODS),
    "skip_dropout_schedule": tuple(DROPOUT_SCHEDULES),
    "operation_dropout_schedule": tuple(DROPOUT_SCHEDULES),
    "skip_noise": NOISES,
    "precision": PRECISIONS,
    "strategy": STRATEGIES,
    "on_nan": ON_NAN,
}
"""Names that a setting, or each item of one that lists several, may have."""

RANGES: dict[str, tuple[float, float]] = {
    "image_size": (0, 4096),
    "resize_size": (0, 4096),
    "train_portion": (0.001, 0.999),
    "search_portion": (0, 0.999),
    "color_jitter": (0, 1),
    "cutout": (0, 4096),
    "nodes": (1, 16),
    "init_channels": (2, 4096),
    "layers": (3, 1000),
    "stem_multiplier": (1, 100),
    **{name: bounds for name, bounds in MOBILE_RANGES.items() if isinstance(getattr(MobileSpace, name), int)},
    "zero_one_weight": (0, 1e6),
    "node_penalty": (0, 1e6),
    "cost_weight": (0, 1e6),
    "cost_channels": (2, 4096),
    "cost_layers": (3, 1000),
    "cost_image_size": (0, 4096),
    "cost_classes": (0, 1_000_000),
    "epochs": (1, 100_000),
    "steps_per_epoch": (0, 10_000_000),
    "batch_size": (1, 1_000_000),
    "accumulate": (1, 1_000_000),
    "sampled_paths": (0, 1000),
    "warmup_epochs": (0, 100_000),
    "learning_rate": (0, 1e3),
    "learning_rate_min": (0, 1e3),
    "momentum": (0, 1),
    "weight_decay": (0, 1e3),
    "gradient_clip": (0, 1e9),
    "alpha_learning_rate": (0, 1e3),
    "alpha_beta_1": (0, 0.999999),
    "alpha_weight_decay": (0, 1e3),
    "alpha_noise": (0, 1e3),
    "skip_dropout": (0, 0.99),
    "operation_dropout": (0, 0.99),
    "skip_noise_scale": (0, 1e3),
    "skip_noise_epochs": (1, 100_000),
    "stop_skips": (1, 1000),
    "stop_ranking_epochs": (2, 100_000),
    "stop_eigenvalue_ratio": (0, 1),
    "stop_eigenvalue_epochs": (1, 100_000),
    "eigenvalue_images": (2, 1_000_000),
    "threshold": (0, 1),
    "max_skips": (-1, 1000),
    "average_last": (1, 100_000),
    "seed": (0, 2**31 - 1),
    "checkpoint_steps": (0, 10_000_000),
}
"""The least and the greatest value of each number."""
