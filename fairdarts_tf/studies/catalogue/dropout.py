"""Dropout on skip connections and on all operations (P-DARTS, RobustDARTS; FairDARTS, discussion)."""

from fairdarts_tf.studies.catalogue.skip_counts import BY_EPOCH, COLUMNS, SKIPS
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Configuration, Study

_SKIPS = Configuration("darts_skip_dropout", "DARTS, skip dropout", "darts", changes={"skip_dropout": 0.3})
_ALL = Configuration("darts_operation_dropout", "DARTS, operation dropout", "darts", changes={"operation_dropout": 0.2})

STUDY = Study(
    name="dropout",
    question="Does dropout on skip connections, or on all operations, keep DARTS from choosing skips?",
    configurations=(DARTS, _SKIPS, _ALL, FAIRDARTS),
    measures=("cells", "supernet", "competition"),
    columns=COLUMNS,
    claims=(
        Claim("Dropout on skips leaves fewer of them", "normal_skips", _SKIPS.name, "darts"),
        Claim("Dropout on all operations leaves fewer skips", "normal_skips", _ALL.name, "darts"),
    ),
    pictures=(SKIPS, BY_EPOCH),
    seeds=1,
)
