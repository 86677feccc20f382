"""Skip connections of DARTS' cells and FairDARTS', over several seeds (FairDARTS, figures 1 and 3)."""

from fairdarts_tf.studies.figures import dominant_areas, points
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Picture, Study

STUDY = Study(
    name="skip_counts",
    question="Do skip connections collect in DARTS' cells, and less so in FairDARTS'?",
    configurations=(DARTS, FAIRDARTS),
    measures=("cells", "supernet", "competition"),
    columns={
        "normal_skips": "skip connections of the normal cell",
        "reduce_skips": "skip connections of the reduction cell",
        "search_accuracy": "accuracy of the supernet on the search half",
    },
    claims=(
        Claim("FairDARTS' normal cell has fewer skip connections than DARTS'", "normal_skips", "fairdarts", "darts"),
    ),
    seeds=3,
    pictures=(
        Picture(
            "skips",
            "Skip connections per cell: points are seeds, lines means",
            points({"normal_skips": "skips, normal cell", "reduce_skips": "skips, reduction cell"}),
        ),
        Picture("dominant", "Dominant operations by epoch, first seed", dominant_areas),
    ),
)
