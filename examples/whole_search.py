"""From images to a file for a phone: search, look, build, train, export, predict.

On 1,797 handwritten digits, in seconds on a CPU. What is found after so few steps is no good network: configs/ has the
settings of searches that come to something, as quickstart.flags for the digits.
"""

from __future__ import annotations

from pathlib import Path

import fairdarts_tf as fd

digits, test = fd.load_dataset("digits"), fd.load_dataset("digits", "test")

# The search: it leaves checkpoints, history and report in runs/whole, and goes on there when it is started again.
space = fd.DartsSpace(("skip_connect", "sep_conv_3x3", "avg_pool_3x3"), nodes=1, init_channels=4, layers=3)
search = fd.search(digits, space, workdir="runs/whole", epochs=2, steps_per_epoch=4, batch_size=50, learning_rate=0.05)

# In a notebook, `search` by itself shows cells, heat maps and curves; here they go to a file.
Path("runs/search.html").write_text(search._repr_html_(), encoding="utf-8")

# The two strongest edges of each node, whatever their value: after so few steps none has come near the threshold.
genotype = search.derive(method="darts")
genotype.save("runs/genotype.json")

# An ordinary Keras model: pixels in, probabilities out.
network = genotype.build(digits, init_channels=4, layers=3)
network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
network.fit(digits.images, digits.labels, batch_size=50, epochs=1, validation_data=(test.images, test.labels))

# SavedModel and TFLite, each run again and compared with the network.
for row in fd.export_classifier(network, "runs/exported", held_back=test, images=50):
    print(f"{row.file}: {row.bytes:,} bytes, same answer on {row.agreement:.0%} of the images")

model = fd.open_model("runs/exported/network.tflite")
print("the first test image shows", model.class_names[model.probabilities(test.images[:1])[0].argmax()])
