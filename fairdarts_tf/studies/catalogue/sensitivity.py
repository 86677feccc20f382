"""The weight w01 of the zero-one loss over a grid (FairDARTS, figure 5)."""

from fairdarts_tf.studies.catalogue.zero_one import NONE
from fairdarts_tf.studies.figures import points, trajectories
from fairdarts_tf.studies.study import FAIRDARTS, Claim, Configuration, Picture, Study

_OTHERS = tuple(
    Configuration(f"weight_{weight}", f"w01 = {weight}", changes={"zero_one_weight": float(weight)})
    for weight in (1, 5, 20)
)

STUDY = Study(
    name="sensitivity",
    question="How much does the weight w01 of the zero-one loss decide?",
    configurations=(NONE, *_OTHERS[:2], FAIRDARTS, _OTHERS[2]),
    measures=("cells", "supernet"),
    columns={
        "decided": "decided mixing weights (at most 0.15 or at least 0.85)",
        "operations_on": "operations that are on",
        "normal_skips": "skip connections of the normal cell",
        "search_accuracy": "accuracy of the supernet on the search half",
    },
    claims=(
        Claim("A larger w01 decides more weights: 20 more than 1", "decided", "weight_1", "weight_20"),
        Claim("w01 = 10, the default, decides more weights than 1", "decided", "weight_1", "fairdarts"),
    ),
    pictures=(
        Picture(
            "decided",
            "Decided weights and the supernet's accuracy by w01; FairDARTS has 10",
            points({"decided": "decided weights", "search_accuracy": "accuracy, search half"}),
        ),
        Picture("trajectories", "Every mixing weight by epoch, first seed; FairDARTS has w01 = 10", trajectories),
    ),
    seeds=1,
)
