"""Searches that aim at three numbers of multiply-adds, beside one that aims at none: accuracy against cost."""

from fairdarts_tf.studies.figures import against, by_epoch, points
from fairdarts_tf.studies.study import FAIRDARTS, Claim, Configuration, Picture, Study

_LOW, _MIDDLE, _HIGH = (
    Configuration(f"macs_{name}", f"{name} target", cost_target=place)
    for place, name in enumerate(("low", "middle", "high"))
)

STUDY = Study(
    name="cost_aware",
    question="Do searches that aim at more multiply-adds find networks that have more, and are these more accurate?",
    configurations=(_LOW, _MIDDLE, _HIGH, FAIRDARTS),
    measures=("cells", "supernet", "training", "cost"),
    columns={
        "target_macs": "multiply-adds aimed at",
        "expected_macs": "multiply-adds expected of the last alphas",
        "derived_macs": "multiply-adds of the derived network, as it is trained",
        "validation_accuracy": "accuracy of the trained network on the images held back",
        "test_accuracy": "accuracy on the test images",
    },
    claims=(
        Claim("The low target's networks cost less than the middle one's", "derived_macs", _LOW.name, _MIDDLE.name),
        Claim("The middle target's networks cost less than the high one's", "derived_macs", _MIDDLE.name, _HIGH.name),
        Claim("The high target's networks are better than the low one's", "test_accuracy", _LOW.name, _HIGH.name),
    ),
    pictures=(
        Picture(
            "accuracy",
            "Accuracy on the test images against multiply-adds: points are seeds; dashed lines are targets",
            against("derived_macs", "test_accuracy", "multiply-adds", "test images", lines="target_macs"),
        ),
        Picture(
            "costs",
            "Multiply-adds expected and derived: points are seeds, lines means",
            points({"expected_macs": "expected", "derived_macs": "derived"}),
        ),
        Picture("by_epoch", "Expected multiply-adds by epoch", by_epoch("expected_cost", "expected multiply-adds")),
    ),
)
