"""With synchronised BatchNorm, 1, 2 and 4 replicas compute the same, on batches whose parts all differ.

Ten steps of a search and of a training by `fit`, with all that could depend on the number of replicas: the zero-one
loss, clipping, decay, a warm-up and drop path; and each form of BatchNorm by itself, with its gradients.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from logical_devices import Arrays, replicas, run_program, save, set_logical_devices
from tiny_training import GENOTYPE

from fairdarts_tf.batch_statistics import synchronized_statistics
from fairdarts_tf.callbacks import WarmUp
from fairdarts_tf.distribution import distribute
from fairdarts_tf.drop_path import DropPath
from fairdarts_tf.normalization import BatchNormalization
from fairdarts_tf.operations import SeparableConvolution
from fairdarts_tf.search_run import build_search
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.training.run import build_training
from fairdarts_tf.training.settings import TrainSettings

COUNTS = (1, 2, 4)
CLASSES, BATCH, STEPS_PER_EPOCH, EPOCHS = 4, 8, 2, 6
STEPS = EPOCHS * STEPS_PER_EPOCH
SEARCH = SearchSettings(
    init_channels=2,
    layers=3,
    nodes=1,
    operations=("max_pool_3x3", "skip_connect", "sep_conv_3x3"),
    batch_size=BATCH,
    epochs=EPOCHS,
    warmup_epochs=1,
    alpha_noise=0.5,
    alpha_weight_decay=0.01,
    gradient_clip=0.05,
    learning_rate=0.05,
    sync_batch_norm=True,
)
TRAIN = TrainSettings(
    genotype="given",
    init_channels=2,
    layers=3,
    batch_size=BATCH,
    epochs=EPOCHS,
    learning_rate=0.01,
    gradient_clip=0.5,
    label_smoothing=0.1,
    auxiliary_weight=0.4,
    drop_path=0.5,
    average_decay=0.9,
    sync_batch_norm=True,
)


class Float64Settings(TrainSettings):
    """Those of a training in float64, which no user can choose: nothing then is decided by rounding."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "precision", "float64")


def batches(count: int, size: int, side: int, channels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images whose mean and scale change along the batch, so that the parts of replicas differ."""
    random = np.random.default_rng(seed)
    images = random.normal(size=(count, size, side, side, channels)).astype(np.float32)
    trend = np.linspace(0.5, 2, size, dtype=np.float32)[:, None, None, None]
    return images * trend + trend, random.integers(0, CLASSES, (count, size)).astype(np.int32)


def state_and_logs(model: keras.Model, history: dict[str, list[float]]) -> Arrays:
    state = {name: np.array(variable.numpy()) for name, variable in model.state_variables().items()}
    # What a checkpoint within an epoch holds of it, from which any number of replicas may go on.
    sums = {f"sum/{variable.path}": np.array(variable.numpy()) for variable in model.metrics_variables}
    return state | sums | {f"log/{name}": np.array(values) for name, values in history.items()}


def searched(count: int) -> Arrays:
    search, _ = build_search(SEARCH, (8, 8, 1), CLASSES, replicas(count))
    halves = [batches(STEPS, BATCH, 8, 1, seed) for seed in (0, 1)]
    fit = {"epochs": EPOCHS, "steps_per_epoch": STEPS_PER_EPOCH, "verbose": 0, "shuffle": False}
    pairs = distribute(tf.data.Dataset.from_tensor_slices(tuple(halves)), replicas(count))
    logs = search.fit(pairs, callbacks=[WarmUp(SEARCH.warmup_epochs)], **fit)
    return state_and_logs(search, logs.history)


def trained(count: int, settings: TrainSettings = TRAIN) -> Arrays:
    training = build_training(settings, GENOTYPE, (32, 32, 3), CLASSES, replicas(count))
    raise_rate = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: training.network.set_drop_path_rate(settings.drop_path_rate_at(epoch))
    )
    # 13 images in batches of 8 and 5, which replicas cannot share evenly.
    images, labels = (part[0] for part in batches(1, 13, 32, 3, seed=2))
    fit = {"epochs": EPOCHS, "steps_per_epoch": STEPS_PER_EPOCH, "verbose": 0, "shuffle": False}
    logs = training.fit(
        distribute(tf.data.Dataset.from_tensor_slices(batches(STEPS, BATCH, 32, 3, seed=0)), replicas(count)),
        validation_data=distribute(tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH), replicas(count)),
        validation_steps=2,
        callbacks=[raise_rate],
        **fit,
    )
    return state_and_logs(training, logs.history)


def layer_results(count: int, kind: str, dtype: str, synchronized: bool = True) -> Arrays:
    """Returns a layer's outputs, gradients and running statistics for a batch in parts, put together again."""
    strategy = replicas(count)
    images = batches(1, BATCH, 6, 3, seed=4)[0][0]
    upstream = np.random.default_rng(5).normal(size=images.shape)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        layer = {"normalization": BatchNormalization, "chain": lambda **o: SeparableConvolution(3, **o)}[kind](
            affine=True, dtype=dtype
        )
        layer.build([images.shape] if kind == "normalization" else images.shape)

    def part(x: np.ndarray) -> object:
        parts = np.split(x, count)
        take = lambda context: tf.constant(parts[context.replica_id_in_sync_group], layer.compute_dtype)  # noqa: E731
        return strategy.experimental_distribute_values_from_function(take)

    @tf.function(autograph=False)
    def run(images: object, upstream: object) -> object:
        def on_replica(x: tf.Tensor, dy: tf.Tensor) -> tuple[tf.Tensor, ...]:
            weights = [weight.value for weight in layer.trainable_weights]
            with tf.GradientTape() as tape, synchronized_statistics(synchronized):
                tape.watch(x)
                (y,) = layer([x] if kind == "normalization" else x, training=True)
                loss = tf.reduce_sum(y * dy)
            return y, *tape.gradient(loss, [x, *weights])

        return strategy.run(on_replica, args=(images, upstream))

    found = run(part(images), part(upstream))
    y, dx, *of_weights = (
        [np.array(tf.cast(x, tf.float64)) for x in strategy.experimental_local_results(one)] for one in found
    )
    running = {f"weight_{index}": np.array(weight.numpy()) for index, weight in enumerate(layer.weights)}
    return (
        {"outputs": np.concatenate(y), "of_inputs": np.concatenate(dx)}
        | {f"of_weight_{index}": sum(parts) for index, parts in enumerate(of_weights)}
        | running
    )


def dropped(count: int) -> Arrays:
    """Returns what two calls of drop path leave of a batch of ones."""
    strategy = replicas(count)
    with strategy.scope():
        layer = DropPath(seed=7)
        layer.build((None, 1, 1, 1))
        layer.rate.assign(0.5)
    on_replica = functools.partial(layer, tf.ones([24 // count, 1, 1, 1]), training=True)
    call = tf.function(functools.partial(strategy.run, on_replica), autograph=False)
    calls = [strategy.experimental_local_results(call()) for _ in range(2)]
    return {str(index): np.concatenate(parts).ravel() for index, parts in enumerate(calls)}


LAYERS = [("normalization", "float32"), ("normalization", "float64"), ("normalization", "mixed_float16")] + [
    ("chain", "float32"),
    ("chain", "float64"),
]


def main(output: str, greatest: str) -> None:
    set_logical_devices(int(greatest))
    found = {}
    for count in (count for count in COUNTS if count <= int(greatest)):
        found[f"search {count}"] = searched(count)
        found[f"train {count}"] = trained(count)
        found[f"dropped {count}"] = dropped(count)
        for kind, dtype in LAYERS:
            found[f"{kind} {dtype} {count}"] = layer_results(count, kind, dtype)
        if int(greatest) > 2:
            precise = Float64Settings(**TRAIN.__dict__ | {"learning_rate": 0.05})
            found[f"float64 train {count}"] = trained(count, precise)
    found["unsynchronised 2"] = layer_results(2, "normalization", "float32", synchronized=False)
    save(output, found)


@pytest.fixture(scope="module")
def found_by(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, Arrays]]:
    """What up to so many replicas computed."""
    return functools.cache(lambda count: run_program(__file__, tmp_path_factory.mktemp("replicas"), str(count)))


@pytest.fixture(scope="module")
def found(found_by: Callable[[int], dict[str, Arrays]]) -> dict[str, Arrays]:
    return found_by(2)


TWO_AND_FOUR = pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])


@TWO_AND_FOUR
@pytest.mark.parametrize("what", ["search", "train"])
def test_replicas_compute_what_one_does(found_by: Callable[[int], dict[str, Arrays]], what: str, count: int):
    found = found_by(count)
    expected, several = found[f"{what} 1"], found[f"{what} {count}"]
    assert set(several) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(several[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("count", COUNTS[1:])
def test_a_training_in_float64(found_by: Callable[[int], dict[str, Arrays]], count: int):
    expected, several = (found_by(4)[f"float64 train {replicas}"] for replicas in (1, count))
    for name, value in expected.items():
        # Logs are float32.
        atol = 1e-6 if name.startswith("log/") else 1e-12
        np.testing.assert_allclose(several[name], value, rtol=0, atol=atol, err_msg=name)


def test_all_that_could_depend_on_the_replicas_is_there(found: dict[str, Arrays]):
    search, train = found["search 1"], found["train 1"]
    assert search["log/zero_one"][0] == 0 and np.all(search["log/zero_one"][1:] < -1e-3), "the warm-up and the loss"
    for state, parts in (
        (search, ("alphas", "velocity", "first_moment", "moving_mean", "moving_variance")),
        (train, ("velocity", "average/", "moving_mean", "moving_variance", "seed_generator", "log/val_loss")),
    ):
        assert all(any(part in name for name in state) for part in parts)
    assert search["sum/zero_one/count"] == STEPS_PER_EPOCH
    iterations = [value for name, value in search.items() if name.endswith("iteration")]
    assert sorted(map(int, iterations)) == [STEPS - STEPS_PER_EPOCH, STEPS]


def test_without_synchronisation_the_parts_differ(found: dict[str, Arrays]):
    one, two = found["normalization float32 1"], found["unsynchronised 2"]
    assert all(np.abs(one[name] - two[name]).max() > 0.01 for name in ("outputs", "of_inputs"))


@TWO_AND_FOUR
@pytest.mark.parametrize(("kind", "dtype"), LAYERS)
def test_layers_and_their_gradients(found_by: Callable[[int], dict[str, Arrays]], kind: str, dtype: str, count: int):
    found = found_by(count)
    expected, several = found[f"{kind} {dtype} 1"], found[f"{kind} {dtype} {count}"]
    tolerance = {"float32": 1e-5, "float64": 1e-11, "mixed_float16": 2e-3}[dtype]
    assert set(several) == set(expected)
    for name, value in expected.items():
        atol = tolerance * max(1.0, np.abs(value).max())
        np.testing.assert_allclose(several[name], value, rtol=0, atol=atol, err_msg=name)


@TWO_AND_FOUR
def test_drop_path_follows_the_place_in_the_whole_batch(found_by: Callable[[int], dict[str, Arrays]], count: int):
    found = found_by(count)
    expected = found["dropped 1"]
    assert not np.array_equal(expected["0"], expected["1"])
    assert all(set(values) == {0.0, 2.0} for values in expected.values())
    for name, values in expected.items():
        np.testing.assert_array_equal(found[f"dropped {count}"][name], values)


if __name__ == "__main__":
    main(*sys.argv[1:])
