"""The 1,797 handwritten digits, 8 x 8 pixels, that come with scikit-learn: real images without a download."""

from __future__ import annotations

import numpy as np

from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.resizing import resize_images
from fairdarts_tf.data.splitting import stratified_halves
from fairdarts_tf.data.storage import Form
from fairdarts_tf.errors import DataError, unknown_name

TRAIN_COUNT = 1500
BRIGHTEST = 16
# The split belongs to the data set, as a published test set does: it never follows a run's seed.
SPLIT_SEED = 0


def load_digits(split: str, form: Form) -> LabelledImages:
    """Loads 1,500 images for training or 297 for testing, with one channel.

    Args:
        split: ``train`` or ``test``: a fixed division, stratified by class.
        form: Sizes of the images; 0 keeps 8. They are in memory, whatever it says of that.

    Raises:
        DataError: When the split is another one, or scikit-learn is not installed.
    """
    if split not in ("train", "test"):
        raise DataError(unknown_name("split of digits", split, ("train", "test")))
    pixels, labels = _read()
    train, test = stratified_halves(labels, TRAIN_COUNT / len(labels), SPLIT_SEED)
    chosen = train if split == "train" else test
    images = np.rint(pixels[chosen] * (255 / BRIGHTEST)).astype(np.uint8)[..., np.newaxis]
    scaled = resize_images(images, form.stored_size or None)
    return LabelledImages(scaled, labels[chosen], tuple(map(str, range(10))), form.image_size)


def _read() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn import datasets
    except ImportError:
        raise DataError(
            "the digits come with scikit-learn, which is not installed. Run: pip install scikit-learn"
        ) from None
    digits = datasets.load_digits()
    return digits.images, digits.target.astype(np.int32)
