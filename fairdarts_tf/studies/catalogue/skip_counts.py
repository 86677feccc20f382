"""Skip connections of DARTS' cells and FairDARTS', over several seeds (FairDARTS, figures 1 and 3)."""

from fairdarts_tf.studies.figures import by_epoch, dominant_areas, points
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Picture, Study

COLUMNS = {
    "normal_skips": "skip connections of the normal cell",
    "reduce_skips": "skip connections of the reduction cell",
    "search_accuracy": "accuracy of the supernet on the search half",
}
SKIPS = Picture(
    "skips",
    "Skip connections per cell: points are seeds, lines means",
    points({"normal_skips": "skips, normal cell", "reduce_skips": "skips, reduction cell"}),
)
BY_EPOCH = Picture(
    "by_epoch",
    "Skip connections of the normal cell by epoch, a line for each search",
    by_epoch("normal_skips", "skips, normal cell"),
)
"""What all studies of skip connections tell and draw of them."""

STUDY = Study(
    name="skip_counts",
    question="Do skip connections collect in DARTS' cells, and less so in FairDARTS'?",
    configurations=(DARTS, FAIRDARTS),
    measures=("cells", "supernet", "competition"),
    columns=COLUMNS,
    claims=(
        Claim("FairDARTS' normal cell has fewer skip connections than DARTS'", "normal_skips", "fairdarts", "darts"),
    ),
    seeds=3,
    pictures=(
        SKIPS,
        Picture("dominant", "Dominant operations by epoch, first seed", dominant_areas),
    ),
)
