"""Lower precision on two replicas follows float32 on one, and an overflow on one replica skips the step on both."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow as tf
from logical_devices import Arrays, replicas, run_program, save, set_logical_devices
from test_search_precision import BATCH, CLASSES, SHAPE, STEPS, batches, settings
from tiny_training import GENOTYPE

from fairdarts_tf.bilevel_search import Search
from fairdarts_tf.distribution import distribute
from fairdarts_tf.search_run import build_search
from fairdarts_tf.training.model import Training
from fairdarts_tf.training.run import build_training
from fairdarts_tf.training.settings import TrainSettings

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


def built_training(count: int, precision: str, **changes: object) -> Training:
    tiny = {"init_channels": 4, "layers": 3, "auxiliary_weight": 0.0, "learning_rate": 0.1, "sync_batch_norm": True}
    settings = TrainSettings(genotype="given", precision=precision, **tiny | changes)
    return build_training(settings, GENOTYPE, SHAPE, CLASSES, replicas(count))


def trained(count: int, precision: str) -> Arrays:
    """Returns what a training came to after all steps, and what is kept in which precision."""
    training = built_training(count, precision)
    pairs = distribute(batches().map(lambda train, _: train), replicas(count))
    logs = training.fit(pairs, steps_per_epoch=STEPS, verbose=0, shuffle=False).history
    floats = {variable.dtype for variable in training.state_variables().values() if "float" in variable.dtype}
    scale = training.optimizer.loss_scale
    return {
        "loss": np.array(logs["loss"][-1]),
        "accuracy": np.array(logs["accuracy"][-1]),
        "dtypes": np.array(sorted(floats)),
        "skipped": np.array(-1 if scale is None else int(scale.skipped_steps.numpy())),
    }


def overflowed(what: str) -> Arrays:
    """Returns the state around a step whose second replica alone overflows, as each replica holds it."""
    if what == "search":
        model = built(2, precision="mixed_float16", operations=("skip_connect",), nodes=1, init_channels=2)
    else:
        model = built_training(2, "mixed_float16", init_channels=2)
    train, other = (tuple(np.array(part) for part in half) for half in next(iter(batches())))
    images = train[0].copy()
    # The weights' gradient then is beyond float16 where the images are.
    images[BATCH // 2 :] *= 1e6
    found = {}
    for name, first in (("good", train[0]), ("bad", images), ("after", train[0])):
        half = (first, train[1])
        batch = tf.data.Dataset.from_tensors((half, other) if what == "search" else half)
        model.fit(distribute(batch, replicas(2)), steps_per_epoch=1, verbose=0, shuffle=False)
        for index in range(2):
            local = {
                path: replicas(2).experimental_local_results(variable.value)[index].numpy()
                for path, variable in model.state_variables().items()
                if "moving" not in path
            }
            found |= {f"{name}/{index}/{path}": value for path, value in local.items()}
    return found


def main(output: str, what: str) -> None:
    set_logical_devices(2)
    if what == "overflow":
        save(output, {kind: overflowed(kind) for kind in ("search", "train")})
        return
    ways = [("float32", 1), *((precision, 2) for precision in ("float32", *LOWER))]
    found = {f"search {precision} {count}": searched(count, precision) for precision, count in ways}
    save(output, found | {f"train {precision} {count}": trained(count, precision) for precision, count in ways})


@pytest.fixture(scope="module")
def overflows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    return run_program(__file__, tmp_path_factory.mktemp("overflow"), "overflow")


@pytest.mark.parametrize("what", ["search", "train"])
def test_replicas_stay_alike(overflows: dict[str, Arrays], what: str):
    for name, value in overflows[what].items():
        assert np.array_equal(value, overflows[what][name.replace("/0/", "/1/", 1)]), name


@pytest.mark.parametrize(("what", "optimizer"), [("search", "weight_optimizer"), ("train", "optimizer")])
def test_an_overflow_on_one_replica_skips_the_step_on_both(overflows: dict[str, Arrays], what: str, optimizer: str):
    def at(step: str) -> Arrays:
        parts = {name.split("/", 2)[2]: value for name, value in overflows[what].items() if f"{step}/0/" in name}
        return {name: value for name, value in parts.items() if name.startswith(f"{optimizer}/")}

    good, bad, after = at("good"), at("bad"), at("after")
    weights = [name for name in good if name.endswith("velocity")]
    assert weights and all(np.array_equal(good[name], bad[name]) for name in weights)
    assert any(not np.array_equal(after[name], bad[name]) for name in weights)
    (count,) = (name for name in good if "skipped_steps" in name)
    (scale,) = (name for name in good if "loss_scale" in name)
    assert [int(at_step[count]) for at_step in (good, bad, after)] == [0, 1, 1]
    assert bad[scale] == good[scale] / 2 == after[scale]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arrays]:
    return run_program(__file__, tmp_path_factory.mktemp("precision"), "follow")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", *LOWER])
def test_two_replicas_follow_float32_on_one(found: dict[str, Arrays], precision: str):
    expected, lower = found["search float32 1"], found[f"search {precision} 2"]
    assert np.ptp(expected["alphas"]) > 0.1, "the alphas have parted"
    correlation = np.corrcoef(expected["alphas"], lower["alphas"])[0, 1]
    print(f"{precision} on two replicas: correlation of the alphas with float32's {correlation:.6f}")
    assert correlation > 0.99
    assert lower["loss"] == pytest.approx(expected["loss"], rel=0.05)
    assert lower["dtypes"].tolist() == ["float32"]
    assert lower["skipped"] == (0 if precision == "mixed_float16" else -1)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", *LOWER])
def test_a_training_on_two_replicas_follows_float32_on_one(found: dict[str, Arrays], precision: str):
    expected, lower = found["train float32 1"], found[f"train {precision} 2"]
    print(f"{precision} on two replicas: loss {lower['loss']:.4f}, float32's {expected['loss']:.4f}")
    assert expected["accuracy"] > 0.5, "it has learnt"
    assert lower["loss"] == pytest.approx(expected["loss"], rel=0.05)
    assert lower["dtypes"].tolist() == ["float32"]
    assert lower["skipped"] == (0 if precision == "mixed_float16" else -1)


if __name__ == "__main__":
    main(*sys.argv[1:])
