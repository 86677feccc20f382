"""Softmax and sigmoid at the end of a search: what lives beside a skip connection (FairDARTS, figure 2)."""

from fairdarts_tf.studies.figures import heat_maps_of, points
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim, Picture, Study

STUDY = Study(
    name="coexistence",
    question="Do other operations live beside skip connections with the sigmoid, and not with the softmax?",
    configurations=(DARTS, FAIRDARTS),
    measures=("cells", "competition", "supernet"),
    columns={
        "largest": "largest mixing weight of an edge, mean over edges",
        "second": "second largest mixing weight of an edge, mean over edges",
        "skip_edges": "edges with a dominant skip connection",
        "skip_edges_shared": "those of them with another dominant operation",
    },
    claims=(
        Claim("The softmax's largest weights are smaller than the sigmoid's", "largest", "darts", "fairdarts"),
        Claim("An edge's second weight is larger with the sigmoid", "second", "darts", "fairdarts"),
    ),
    pictures=(
        Picture("heat_maps_darts", "DARTS, mixing weights (softmax), first seed", heat_maps_of("DARTS")),
        Picture("heat_maps_fairdarts", "FairDARTS, mixing weights (sigmoid), first seed", heat_maps_of("FairDARTS")),
        Picture(
            "edges",
            "Largest and second largest weight of an edge, means over edges",
            points({"largest": "largest weight", "second": "second weight"}),
        ),
    ),
)
