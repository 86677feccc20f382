"""All studies by name. A new one is a file here, which defines `STUDY`, and a line in `STUDIES`."""

from __future__ import annotations

from fairdarts_tf.errors import ConfigurationError, unknown_name
from fairdarts_tf.studies.catalogue import (
    coexistence,
    cost_aware,
    dropout,
    early_stopping,
    noise,
    random_control,
    sensitivity,
    skip_counts,
    stability,
    without_skip,
    zero_one,
)
from fairdarts_tf.studies.study import Study

STUDIES: dict[str, Study] = {
    "skip_counts": skip_counts.STUDY,
    "coexistence": coexistence.STUDY,
    "zero_one": zero_one.STUDY,
    "sensitivity": sensitivity.STUDY,
    "without_skip": without_skip.STUDY,
    "random_control": random_control.STUDY,
    "noise": noise.STUDY,
    "dropout": dropout.STUDY,
    "early_stopping": early_stopping.STUDY,
    "stability": stability.STUDY,
    "cost_aware": cost_aware.STUDY,
}


def study_of(name: str) -> Study:
    """Returns the study called ``name``.

    Raises:
        ConfigurationError: When there is no such study.
    """
    if name not in STUDIES:
        raise ConfigurationError(unknown_name("study", name, STUDIES))
    return STUDIES[name]
