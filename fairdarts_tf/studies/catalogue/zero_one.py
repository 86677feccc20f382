"""Zero-one loss L2, L1 and none: how far weights are decided, and the discretisation gap (FairDARTS, figure 5)."""

from fairdarts_tf.studies.figures import histograms, points, trajectories
from fairdarts_tf.studies.study import FAIRDARTS, Claim, Configuration, Picture, Study

NONE = Configuration("zero_one_none", "no zero-one loss", changes={"zero_one": "none"})

STUDY = Study(
    name="zero_one",
    question="Does the zero-one loss drive sigmoids to 0 or 1, and does that close the discretisation gap?",
    configurations=(FAIRDARTS, Configuration("zero_one_l1", "L1", changes={"zero_one": "l1"}), NONE),
    measures=("cells", "supernet", "gap"),
    columns={
        "decided": "decided mixing weights (at most 0.15 or at least 0.85)",
        "supernet_accuracy": "accuracy of the supernet on test images",
        "derived_accuracy": "accuracy of the derived network with inherited weights",
        "gap": "discretisation gap, the first minus the second",
    },
    claims=(
        Claim("The L2 zero-one loss decides more weights than none", "decided", "zero_one_none", "fairdarts"),
        Claim("The L2 zero-one loss makes the discretisation gap smaller", "gap", "fairdarts", "zero_one_none"),
        Claim("L1 decides weights too, more than none", "decided", "zero_one_none", "zero_one_l1"),
    ),
    pictures=(
        Picture("trajectories", "Every mixing weight by epoch, first seed", trajectories),
        Picture("histograms", "Final mixing weights, first seed", histograms),
        Picture(
            "gap",
            "Supernet, derived network, and the gap between them",
            points({"supernet_accuracy": "supernet", "derived_accuracy": "derived network", "gap": "gap"}),
        ),
    ),
)
