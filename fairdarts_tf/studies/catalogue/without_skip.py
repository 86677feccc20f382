"""Searches in a space without skip connections: the unfair advantage taken away (FairDARTS, discussion)."""

from fairdarts_tf.genotypes import SKIP
from fairdarts_tf.studies.figures import points
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Configuration, Picture, Study

_WITHOUT = Configuration("darts_without_skip", "DARTS without skips", "darts", without=(SKIP,))

STUDY = Study(
    name="without_skip",
    question="Are cells better without skip connections in the space, and are FairDARTS' with them better still?",
    configurations=(DARTS, _WITHOUT, FAIRDARTS),
    measures=("cells", "supernet", "training"),
    columns={
        "normal_skips": "skip connections of the normal cell",
        "validation_accuracy": "accuracy of the trained network on the images held back",
        "test_accuracy": "accuracy on the test images",
        "params": "parameters at the papers' size",
    },
    claims=(
        Claim("FairDARTS' cells are better than DARTS' without skips", "test_accuracy", _WITHOUT.name, "fairdarts"),
        Claim("DARTS' cells without skips are better than with them", "test_accuracy", "darts", _WITHOUT.name),
        Claim("FairDARTS' cells are better than DARTS'", "test_accuracy", "darts", "fairdarts"),
    ),
    pictures=(
        Picture(
            "accuracies",
            "Trained networks: points are seeds, lines means",
            points({"validation_accuracy": "images held back", "test_accuracy": "test images"}),
        ),
    ),
)
