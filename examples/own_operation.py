"""An operation of one's own among the candidates: a plain 3x3 convolution, which the papers' operations lack.

`register_operation` takes a name and a function from channels and stride to a Keras layer. Parameters and multiply-adds
are counted from the layer; pass ``cost=`` where they are not those of convolutions.
"""

from __future__ import annotations

import keras

import fairdarts_tf as fd


def plain_convolution(channels: int, stride: int) -> keras.layers.Layer:
    """Returns ReLU and a 3x3 convolution; BatchNorm, scaled by the mixing weight, follows by itself."""
    return keras.Sequential(
        [keras.layers.ReLU(), keras.layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)]
    )


fd.register_operation("conv_3x3", plain_convolution)

digits = fd.load_dataset("digits")
space = fd.DartsSpace(operations=("skip_connect", "conv_3x3"), nodes=1, init_channels=4, layers=3)
search = fd.search(digits, space, epochs=2, steps_per_epoch=3, batch_size=50)

genotype = search.derive(method="darts")
print(genotype.to_json())
print(fd.network_cost(genotype))

network = genotype.build(digits, init_channels=4, layers=3)
print(f"{network.count_params():,} weights")
