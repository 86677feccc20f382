"""Lower precision on two replicas: a search follows float32 on one, and an overflow on one replica skips for both."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow as tf
from logical_devices import Arrays, replicas, run_program, save, set_logical_devices
from test_search_precision import BATCH, CLASSES, SHAPE, STEPS, batches, settings

from fairdarts_tf.distribution import distribute
from fairdarts_tf.search import Search
from fairdarts_tf.search_run import build_search

LOWER = ("mixed_bfloat16", "mixed_float16")


def built(count: int, **changes: object) -> Search:
    return build_search(settings(**changes), SHAPE, CLASSES, replicas(count))[0]


def searched(count: int, precision: str) -> Arrays:
    """Returns the alphas after all steps, and what is kept in which precision."""
    search = built(count, precision=precision, sync_batch_norm=True)
    logs = search.fit(distribute(batches(), replicas(count)), steps_per_epoch=STEPS, verbose=0, shuffle=False).history
    alphas = np.concatenate([table.ravel() for table in search.alphas().values()])
    floats = {variable.dtype for variable in search.state_variables().values() if "float" in variable.dtype}
    return {
        "alphas": alphas,
        "loss": np.array(logs["train_loss"][-1]),
        "dtypes": np.array(sorted(floats)),
        "skipped": np.array(-1 if search.skipped_steps is None else search.skipped_steps),
    }


def overflowed() -> Arrays:
    """Returns the state around a step whose second replica alone overflows, as each replica holds it."""
    search = built(2, precision="mixed_float16", operations=("skip_connect",), nodes=1, init_channels=2)
    train, other = (tuple(np.array(part) for part in half) for half in next(iter(batches())))
    images = train[0].copy()
    # The weights' gradient then is beyond float16 where the images are.
    images[BATCH // 2 :] *= 1e6
    found = {}
    for name, first in (("good", train[0]), ("bad", images), ("after", train[0])):
        pair = tf.data.Dataset.from_tensors(((first, train[1]), other))
        search.fit(distribute(pair, replicas(2)), steps_per_epoch=1, verbose=0, shuffle=False)
        for index in range(2):
            local = {
                path: replicas(2).experimental_local_results(variable.value)[index].numpy()
                for path, variable in search.state_variables().items()
                if "moving" not in path
            }
            found |= {f"{name}/{index}/{path}": value for path, value in local.items()}
    return found


def main(output: str, what: str) -> None:
    set_logical_devices(2)
    if what == "overflow":
        save(output, {"overflow": overflowed()})
        return
    found = {"float32 1": searched(1, "float32")}
    save(output, found | {f"{precision} 2": searched(2, precision) for precision in ("float32", *LOWER)})


@pytest.fixture(scope="module")
def overflow(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    return run_program(__file__, tmp_path_factory.mktemp("overflow"), "overflow")["overflow"]


def test_replicas_stay_alike(overflow: Arrays):
    for name, value in overflow.items():
        assert np.array_equal(value, overflow[name.replace("/0/", "/1/", 1)]), name


def test_an_overflow_on_one_replica_skips_the_step_on_both(overflow: Arrays):
    def at(step: str) -> Arrays:
        return {name.split("/", 2)[2]: value for name, value in overflow.items() if name.startswith(f"{step}/0/")}

    good, bad, after = at("good"), at("bad"), at("after")
    weights = [name for name in good if name.startswith("weight_optimizer") and name.endswith("velocity")]
    assert weights and all(np.array_equal(good[name], bad[name]) for name in weights)
    assert any(not np.array_equal(after[name], bad[name]) for name in weights)
    counts = [name for name in good if "weight_optimizer" in name and "skipped_steps" in name]
    scales = [name for name in good if "weight_optimizer" in name and "loss_scale" in name]
    assert [int(at_step[counts[0]]) for at_step in (good, bad, after)] == [0, 1, 1]
    assert bad[scales[0]] == good[scales[0]] / 2 == after[scales[0]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    return run_program(__file__, tmp_path_factory.mktemp("precision"), "search")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", *LOWER])
def test_two_replicas_follow_float32_on_one(found: dict[str, Arrays], precision: str):
    expected, lower = found["float32 1"], found[f"{precision} 2"]
    assert np.ptp(expected["alphas"]) > 0.1, "the alphas have parted"
    correlation = np.corrcoef(expected["alphas"], lower["alphas"])[0, 1]
    print(f"{precision} on two replicas: correlation of the alphas with float32's {correlation:.6f}")
    assert correlation > 0.99
    assert lower["loss"] == pytest.approx(expected["loss"], rel=0.05)
    assert lower["dtypes"].tolist() == ["float32"]
    assert lower["skipped"] == (0 if precision == "mixed_float16" else -1)


if __name__ == "__main__":
    main(*sys.argv[1:])
