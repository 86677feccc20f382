"""When DARTS' search would stop early, by each of three criteria (DARTS+; RobustDARTS; FairDARTS, discussion)."""

from fairdarts_tf.studies.catalogue.skip_counts import BY_EPOCH
from fairdarts_tf.studies.figures import points
from fairdarts_tf.studies.study import DARTS, Claim, Configuration, Picture, Study

_BY_SKIPS, _BY_RANKING, _BY_EIGENVALUE = (
    Configuration(f"darts_stop_{criterion}", f"stop by {criterion}", "darts", changes={"early_stopping": (criterion,)})
    for criterion in ("skips", "ranking", "eigenvalue")
)

STUDY = Study(
    name="early_stopping",
    question="When do the criteria of early stopping end DARTS' search, and with how many skip connections?",
    configurations=(DARTS, _BY_SKIPS, _BY_RANKING, _BY_EIGENVALUE),
    measures=("cells", "supernet", "stopping", "curvature"),
    columns={
        "stopped_after": "epochs done",
        "counted_epoch": "epoch whose alphas count",
        "normal_skips": "skip connections of the normal cell",
        "search_accuracy": "accuracy of the supernet on the search half",
    },
    claims=(
        Claim("Stopped by two skips, DARTS' cell has fewer than at the end", "normal_skips", _BY_SKIPS.name, "darts"),
    ),
    pictures=(
        Picture(
            "stops",
            "Epochs done and skip connections of the normal cell",
            points({"stopped_after": "epochs done", "normal_skips": "skips, normal cell"}),
        ),
        BY_EPOCH,
    ),
    seeds=1,
)
