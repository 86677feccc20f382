"""Labelled images: from a named data set to batches for the search and the training.

`load_dataset` loads a split, decoded or not; `stratified_halves` divides it; `statistics_for` normalises it;
`fairdarts_tf.data.pipeline` turns it into batches. Only the pipeline and what it varies images by need TensorFlow, so
they are imported by their own names.
"""

from fairdarts_tf.data.encoded import EncodedImages
from fairdarts_tf.data.images import LabelledImages
from fairdarts_tf.data.loading import load_halves, load_images, settings_for
from fairdarts_tf.data.recipe import Augmentation, default_padding, flips_by_default
from fairdarts_tf.data.sources import images_of, load_dataset
from fairdarts_tf.data.splitting import held_back, search_parts, stratified_halves
from fairdarts_tf.data.statistics import channel_statistics, statistics_for

__all__ = [
    "Augmentation",
    "EncodedImages",
    "LabelledImages",
    "channel_statistics",
    "default_padding",
    "flips_by_default",
    "held_back",
    "images_of",
    "load_dataset",
    "load_halves",
    "load_images",
    "search_parts",
    "settings_for",
    "statistics_for",
    "stratified_halves",
]
