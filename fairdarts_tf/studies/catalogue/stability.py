"""Seven searches by FairDARTS: mean and spread of what they find (FairDARTS: 97.46 +- 0.049 % over seven searches)."""

from fairdarts_tf.sensitivity import agreement
from fairdarts_tf.studies.figures import points
from fairdarts_tf.studies.results import Results
from fairdarts_tf.studies.study import FAIRDARTS, Picture, Study


def _agreement(results: Results) -> str:
    genotypes = [stages.genotype()[0] for stages in results.stages]
    if len(genotypes) < 2:
        return "One run has nothing to agree with."
    found = agreement(genotypes)
    return (
        f"Agreement of the {len(genotypes)} genotypes (mean Jaccard index of their items, 1: the same cells): "
        f"{found['both']:.3f}, normal cell {found['normal']:.3f}, reduction cell {found['reduce']:.3f}."
    )


STUDY = Study(
    name="stability",
    question="How far do seven searches that differ in the seed alone agree?",
    configurations=(FAIRDARTS,),
    measures=("cells", "supernet", "training"),
    columns={
        "normal_skips": "skip connections of the normal cell",
        "operations_on": "operations that are on",
        "search_accuracy": "accuracy of the supernet on the search half",
        "validation_accuracy": "accuracy of the trained network on the images held back",
        "test_accuracy": "accuracy on the test images",
        "params": "parameters at the papers' size",
    },
    remarks=(_agreement,),
    pictures=(
        Picture(
            "spread",
            "Seven searches: points are seeds, the line their mean",
            points(
                {
                    "search_accuracy": "supernet, search half",
                    "validation_accuracy": "images held back",
                    "test_accuracy": "test images",
                }
            ),
        ),
    ),
    seeds=7,
)
