"""What genotypes of every search space do alike: they are saved, shown in a notebook and built as networks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fairdarts_tf import files

if TYPE_CHECKING:
    from fairdarts_tf.image_classifier import ImageClassifier


class GenotypeBase:
    """Base of the genotypes of every search space; a subclass has `space` and `to_json`.

    What draws and what builds is loaded when it is asked for: a genotype by itself needs NumPy alone.
    """

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the genotype as JSON, atomically.

        Raises:
            OSError: When the file cannot be written; an older one is then untouched.
        """
        files.write_text_atomically(path, self.to_json() + "\n")

    def build(self, images: object, **options: object) -> ImageClassifier:
        """Returns the network of this genotype for images like these, with new weights.

        Args:
            images: Training images, which say shape, classes and normalisation: what `load_dataset` returned or takes.
            options: Of `fairdarts_tf.image_classifier.build_classifier`: ``init_channels``, ``layers``, ``stem`` and
                ``dtype``.

        Returns:
            A Keras model that takes pixels, (batch, height, width, channels), from 0 to 255, and returns the
            probabilities of the classes, (batch, classes).

        Raises:
            ConfigurationError: When the images are too small for it, there is no such option, or its value is out of
                range.
            DataError: When there are no such images.
        """
        from fairdarts_tf.image_classifier import build_classifier

        return build_classifier(self, images, **options)

    def _repr_svg_(self) -> str | None:
        from fairdarts_tf.report.cells_svg import svg
        from fairdarts_tf.report.graphviz_layout import LayoutError

        try:
            return svg(self)
        except LayoutError:
            return None

    def _repr_html_(self) -> str:
        from fairdarts_tf.report.notebook import genotype_html

        return genotype_html(self)
