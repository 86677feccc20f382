"""Found networks against the authors' code."""

from __future__ import annotations

import numpy as np
import pytest
from golden import Golden, relative_error

from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.reference_weights import load_reference_state, read_reference_state


def network(golden: Golden, dtype: str) -> DartsNetwork:
    config = golden.config
    model = DartsNetwork(
        Genotype.load(config["arch"]),
        config["classes"],
        init_channels=config["channels"],
        layers=config["layers"],
        auxiliary=True,
        dtype=dtype,
    )
    model.build((None, *golden["images"].shape[1:]))
    load_reference_state(model, golden.under("state/"))
    return model


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("file", ["network_fairdarts_a", "network_darts_v2"])
def test_follows_the_reference(shared, file, dtype):
    golden = Golden(shared / "golden" / f"{file}.npz")
    model = network(golden, dtype)
    images = golden["images"].astype(dtype)
    worst = {"inference": relative_error(model(images, training=False), golden["eval/logits"])}
    logits, auxiliary_logits = model(images, training=True)
    worst["training"] = relative_error(logits, golden["train/logits"])
    worst["auxiliary"] = relative_error(auxiliary_logits, golden["train/aux_logits"])
    print(f"\n{file} {dtype}: " + ", ".join(f"{name} {error:.1e}" for name, error in worst.items()))
    assert max(worst.values()) <= (1e-6 if dtype == "float64" else 1e-4)


def test_state_goes_in_and_out(shared):
    golden = Golden(shared / "golden" / "network_darts_v2.npz")
    state = golden.under("state/")
    found = read_reference_state(network(golden, "float32"), numbered=True)
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[name], state[name]) for name in state)
