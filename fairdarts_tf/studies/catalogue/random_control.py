"""Random cells with two skips beside searched ones, and beside DARTS' cells limited to two (FairDARTS, discussion)."""

from fairdarts_tf.studies.figures import points
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Configuration, Picture, Study

_SKIPS = 2
_LIMITED = Configuration(
    "darts_two_skips", "DARTS, at most 2 skips", "darts", derivation={"max_skips": _SKIPS}, search_of=DARTS
)

STUDY = Study(
    name="random_control",
    question="Do searched cells beat random ones whose normal cell has exactly two skip connections?",
    configurations=(DARTS, _LIMITED, FAIRDARTS),
    measures=("cells", "training"),
    columns={
        "normal_skips": "skip connections of the normal cell",
        "validation_accuracy": "accuracy of the trained network on the images held back",
        "test_accuracy": "accuracy on the test images",
    },
    claims=(
        Claim("DARTS' cells are no better than random ones with two skips", "test_accuracy", "darts", "random"),
        Claim("FairDARTS' cells are better than random ones with two skips", "test_accuracy", "random", "fairdarts"),
    ),
    pictures=(
        Picture(
            "accuracies",
            "Trained networks: points are seeds or random cells, lines means",
            points({"validation_accuracy": "images held back", "test_accuracy": "test images"}),
        ),
    ),
    random_skips=_SKIPS,
)
