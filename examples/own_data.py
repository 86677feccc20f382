"""Images of one's own: arrays, a `tf.data.Dataset`, a folder of files. All become the same `LabelledImages`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

import fairdarts_tf as fd

# Stand-ins for one's own: squares and stripes of two greys, 16 x 16 pixels.
random = np.random.default_rng(0)
labels = np.arange(400) % 2
images = np.full((400, 16, 16, 1), 60, np.uint8)
images[labels == 0, 4:12, 4:12] = 200
images[labels == 1, ::2] = 200
images += random.integers(0, 30, images.shape, np.uint8)
names = ("square", "stripes")

# Arrays: uint8, (number, height, width, channels), and whole numbers from 0.
from_arrays = fd.load_dataset((images, labels), class_names=names)

# A tf.data.Dataset of pairs (image, label), in batches or one by one.
pairs = tf.data.Dataset.from_tensor_slices((images, labels)).batch(64)
from_pairs = fd.load_dataset(pairs, class_names=names)

# A folder, PATH/train/CLASS/*.png: the names of its folders are the classes, and its images count as RGB.
for number, (image, label) in enumerate(zip(images[:40], labels, strict=False)):
    folder = Path("shapes", "train", names[label])
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[..., 0]).save(folder / f"{number}.png")
from_folder = fd.load_dataset(Path("shapes"), image_size=16)

for loaded in (from_arrays, from_pairs, from_folder):
    print(len(loaded), loaded.image_shape, loaded.class_names)

# Data in memory are known to the search's directory by a fingerprint: it goes on with the same images only.
space = fd.DartsSpace(operations=("skip_connect", "sep_conv_3x3"), nodes=1, init_channels=4, layers=3)
search = fd.search(from_arrays, space, workdir="runs/shapes", epochs=1, steps_per_epoch=3, batch_size=32)
print(search.settings.dataset)
