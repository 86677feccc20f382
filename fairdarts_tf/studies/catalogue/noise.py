"""Noise on skip connections against their advantage (NoisyDARTS, Chu et al., 2020; FairDARTS, discussion)."""

from fairdarts_tf.studies.figures import by_epoch, points
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Configuration, Picture, Study

_GAUSSIAN, _UNIFORM = (
    Configuration(f"darts_noise_{kind}", f"DARTS, {kind} noise", "darts", changes={"skip_noise": kind})
    for kind in ("gaussian", "uniform")
)

STUDY = Study(
    name="noise",
    question="Does noise on skip connections keep DARTS from choosing them?",
    configurations=(DARTS, _GAUSSIAN, _UNIFORM, FAIRDARTS),
    measures=("cells", "supernet", "competition"),
    columns={
        "normal_skips": "skip connections of the normal cell",
        "reduce_skips": "skip connections of the reduction cell",
        "search_accuracy": "accuracy of the supernet on the search half",
    },
    claims=(
        Claim("Gaussian noise leaves fewer skip connections", "normal_skips", _GAUSSIAN.name, "darts"),
        Claim("Uniform noise leaves fewer skip connections", "normal_skips", _UNIFORM.name, "darts"),
    ),
    pictures=(
        Picture(
            "skips",
            "Skip connections per cell: points are seeds, lines means",
            points({"normal_skips": "skips, normal cell", "reduce_skips": "skips, reduction cell"}),
        ),
        Picture(
            "by_epoch",
            "Skip connections of the normal cell by epoch, a line for each search",
            by_epoch("normal_skips", "skips, normal cell"),
        ),
    ),
    seeds=1,
)
