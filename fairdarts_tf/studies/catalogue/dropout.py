"""Dropout on skip connections and on all operations (P-DARTS, RobustDARTS; FairDARTS, discussion)."""

from fairdarts_tf.studies.figures import by_epoch, points
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Configuration, Picture, Study

_SKIPS = Configuration("darts_skip_dropout", "DARTS, skip dropout", "darts", changes={"skip_dropout": 0.3})
_ALL = Configuration("darts_operation_dropout", "DARTS, operation dropout", "darts", changes={"operation_dropout": 0.2})

STUDY = Study(
    name="dropout",
    question="Does dropout on skip connections, or on all operations, keep DARTS from choosing skips?",
    configurations=(DARTS, _SKIPS, _ALL, FAIRDARTS),
    measures=("cells", "supernet", "competition"),
    columns={
        "normal_skips": "skip connections of the normal cell",
        "reduce_skips": "skip connections of the reduction cell",
        "search_accuracy": "accuracy of the supernet on the search half",
    },
    claims=(
        Claim("Dropout on skips leaves fewer of them", "normal_skips", _SKIPS.name, "darts"),
        Claim("Dropout on all operations leaves fewer skips", "normal_skips", _ALL.name, "darts"),
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
