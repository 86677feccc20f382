"""The supernet and its bilevel search against the authors' code, step by step."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from golden import Golden, relative_error

from fairdarts_tf.devices import configure_runtime
from fairdarts_tf.errors import RunError
from fairdarts_tf.reference_weights import load_reference_state, read_reference_state

TOLERANCES = {
    # The reference values are stored in float32, whose rounding is all that is left of the difference in float64.
    "float64": dict.fromkeys(
        ("inference", "training logits", "alpha gradients", "alphas", "gradient norm", "losses", "final inference")
        + ("final state",),
        1e-6,
    ),
    "float32": {
        "inference": 1e-4,
        "training logits": 1e-4,
        "alpha gradients": 1e-3,
        "alphas": 1e-3,
        "gradient norm": 1e-3,
        "losses": 1e-4,
        "final inference": 1e-4,
        "final state": 1e-3,
    },
}


def follow(golden: Golden, dtype: str) -> dict[str, float]:
    """Repeats the reference's search and returns the worst error of each quantity."""
    configure_runtime()
    search = golden.search(dtype)
    supernet = search.supernet
    alphas, weights = list(supernet.alphas.values()), supernet.network_weights

    # A search runs as a graph; float64 runs eagerly here, since tracing it takes long and changes no digit that counts.
    run = partial(tf.function, autograph=False) if dtype == "float32" else lambda function: function

    @run
    def update_alphas(batch):
        gradients = search.alpha_gradients(batch)
        search.alpha_optimizer.apply(gradients, alphas)
        return gradients

    @run
    def update_weights(batch):
        gradients = search.weight_gradients(batch)
        search.optimizer.apply(gradients, weights)
        return tf.linalg.global_norm(gradients)

    images = golden["eval/images"].astype(dtype)
    worst: dict[str, float] = {}

    def note(name: str, found: object, expected: np.ndarray) -> None:
        worst[name] = max(worst.get(name, 0.0), relative_error(found, expected))

    note("inference", supernet(images, training=False), golden["eval/logits"])
    for step in range(golden.config["steps"]):
        train, searched = golden.batch(step, "train", dtype), golden.batch(step, "search", dtype)
        gradients = update_alphas(searched)
        for (kind, table), gradient in zip(supernet.alphas.items(), gradients, strict=True):
            note("alpha gradients", gradient, golden[f"step{step}/alpha_grad/{kind}"])
            note("alphas", table.numpy(), golden[f"step{step}/alphas/{kind}"])
        statistics = [variable.numpy() for variable in supernet.non_trainable_variables]
        note("training logits", supernet(train[0], training=True), golden[f"step{step}/train_logits"])
        for variable, value in zip(supernet.non_trainable_variables, statistics, strict=True):
            variable.assign(value)
        note("gradient norm", update_weights(train), golden[f"step{step}/grad_norm"])
        results = search.get_metrics_result()
        search.reset_metrics()
        note("losses", results["train_loss"], golden[f"step{step}/train_cross_entropy"])
        note("losses", results["search_loss"], golden[f"step{step}/search_cross_entropy"])
        note("losses", results["zero_one"], golden[f"step{step}/zero_one"])
    note("final inference", supernet(images, training=False), golden["final/eval_logits"])
    found = read_reference_state(supernet)
    for name, expected in golden.under("final_state/").items():
        note("final state", found[name], expected)
    return worst


@pytest.mark.parametrize(
    ("file", "dtype"),
    [
        ("supernet_l2", "float64"),
        ("supernet_l2", "float32"),
        ("supernet_l1", "float32"),
        pytest.param("supernet_l1", "float64", marks=pytest.mark.slow),
    ],
)
def test_follows_the_reference(shared, file, dtype, record_property):
    worst = follow(Golden(shared / "golden" / f"{file}.npz"), dtype)
    record_property("worst", worst)
    print(f"\n{file} {dtype}: " + ", ".join(f"{name} {error:.1e}" for name, error in worst.items()))
    beyond = {name for name, error in worst.items() if not error <= TOLERANCES[dtype][name]}
    assert not beyond


def test_state_goes_in_and_out(shared):
    golden = Golden(shared / "golden" / "supernet_l1.npz")
    state = golden.under("state/")
    found = read_reference_state(golden.search("float32").supernet)
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[name], state[name]) for name in state)


def test_state_that_does_not_fit_is_refused_and_changes_nothing(shared):
    golden = Golden(shared / "golden" / "supernet_l1.npz")
    supernet = golden.search("float32").supernet
    before = [variable.numpy() for variable in supernet.variables]
    state = golden.under("state/")
    name = "cells.1._ops.2._ops.3.op.1.weight"
    for broken in (
        {key: value for key, value in state.items() if key != name},
        state | {"cells.9.x": np.zeros(1)},
        state | {name: np.zeros((4, 1, 5, 5))},
    ):
        with pytest.raises(RunError):
            load_reference_state(supernet, broken)
    after = [variable.numpy() for variable in supernet.variables]
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))
