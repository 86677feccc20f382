"""Noise on skip connections against their advantage (NoisyDARTS, Chu et al., 2020; FairDARTS, discussion)."""

from fairdarts_tf.studies.catalogue.skip_counts import BY_EPOCH, COLUMNS, SKIPS
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Configuration, Study

_GAUSSIAN, _UNIFORM = (
    Configuration(f"darts_noise_{kind}", f"DARTS, {kind} noise", "darts", changes={"skip_noise": kind})
    for kind in ("gaussian", "uniform")
)

STUDY = Study(
    name="noise",
    question="Does noise on skip connections keep DARTS from choosing them?",
    configurations=(DARTS, _GAUSSIAN, _UNIFORM, FAIRDARTS),
    measures=("cells", "supernet", "competition"),
    columns=COLUMNS,
    claims=(
        Claim("Gaussian noise leaves fewer skip connections", "normal_skips", _GAUSSIAN.name, "darts"),
        Claim("Uniform noise leaves fewer skip connections", "normal_skips", _UNIFORM.name, "darts"),
    ),
    pictures=(SKIPS, BY_EPOCH),
    seeds=1,
)
