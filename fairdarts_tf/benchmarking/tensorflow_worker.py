"""The worker of this library: search, training and inference as its commands run them, step by step on request."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf import data, devices
from fairdarts_tf.benchmarking.channel import FIRST_STEP, Channel, serve
from fairdarts_tf.benchmarking.settings import NUM_CLASSES, BenchmarkSettings
from fairdarts_tf.callbacks import WarmUp
from fairdarts_tf.data import pipeline
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.resuming import fit_from

BATCHES_IN_MEMORY = 8
_DATASET = "random"
_ENDLESS = 10**9


def main(channel: Channel, settings_text: str) -> None:
    """Builds what is to be measured, runs its first step and then as many as are asked for."""
    settings = BenchmarkSettings.from_json(settings_text)
    run = {"search": _search, "train": _train, "inference": _inference}[settings.what]
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        channel.device_memory = lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"]
    channel.describe(device="GPU" if gpus else "CPU", tensorflow=tf.__version__, keras=keras.__version__)
    run(settings, channel)


class OnRequest(keras.callbacks.Callback):
    """Runs as many steps of `fit` as are requested, and holds it in between.

    Args:
        channel: Where requests come from.

    Attributes:
        unknown: The request that is no step of `fit`, at which it ended; None where all is done.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self.channel = channel
        self.unknown: dict[str, object] | None = None
        self._due = 1
        self._start = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Answers when the requested steps are done, and waits for the next request."""
        self._due -= 1
        if self._due:
            return
        tf.test.experimental.sync_devices()
        if self._start:
            self.channel.reply(time.perf_counter() - self._start)
        else:
            self.channel.phase(FIRST_STEP)
        request = self.channel.request()
        if request is None or request["part"] != "step":
            self.unknown = request
            self.model.stop_training = True
            return
        self._due = request["steps"]
        self._start = time.perf_counter()


def _search(settings: BenchmarkSettings, channel: Channel) -> None:
    from fairdarts_tf.search_run import build_search
    from fairdarts_tf.settings import SearchSettings

    devices.configure_runtime()
    channel.phase("import")
    chosen = SearchSettings(_DATASET, strategy="none", **_sizes(settings))
    images = random_images(settings)
    strategy = devices.strategy(chosen.strategy, chosen.batch_size)
    search, _ = build_search(chosen, images.image_shape, images.num_classes, strategy)
    channel.phase("build")

    mean, std = data.statistics_for(_DATASET, images)
    augmentation = data.Augmentation.suited_to(_DATASET, settings.image_size)
    halves = data.stratified_halves(images.labels, chosen.train_portion, chosen.seed)
    options = {"batch_size": chosen.batch_size, "seed": chosen.seed, "mean": mean, "std": std}

    def batches(step: int) -> tf.data.Dataset:
        return pipeline.bilevel_batches(images, *halves, augmentation=augmentation, first_step=step, **options)

    rates = keras.callbacks.LearningRateScheduler(lambda epoch, _: chosen.learning_rate_at(epoch))
    request = _fit(search, batches, [rates, WarmUp(0)], channel)
    if request is not None:
        iterator = iter(batches(0))

        @tf.function(autograph=False)
        def update_alphas(batch: tuple[tf.Tensor, tf.Tensor]) -> None:
            search.alpha_optimizer.apply(search.alpha_gradients(batch), list(search.supernet.alphas.values()))

        @tf.function(autograph=False)
        def update_weights(batch: tuple[tf.Tensor, tf.Tensor]) -> None:
            search.optimizer.apply(search.weight_gradients(batch), search.supernet.network_weights)

        parts = {
            "alphas": lambda: update_alphas(next(iterator)[1]),
            "weights": lambda: update_weights(next(iterator)[0]),
        }
        serve(channel, parts, tf.test.experimental.sync_devices, request)


def _train(settings: BenchmarkSettings, channel: Channel) -> None:
    from fairdarts_tf.training.data import TrainingData
    from fairdarts_tf.training.run import build_training
    from fairdarts_tf.training.settings import TrainSettings

    devices.configure_runtime()
    channel.phase("import")
    chosen = TrainSettings(
        settings.genotype, dataset=_DATASET, validation_portion=0.0, strategy="none", **_sizes(settings)
    )
    images = random_images(settings)
    batches = TrainingData(chosen, images)
    strategy = devices.strategy(chosen.strategy, chosen.batch_size)
    genotype = Genotype.load(settings.genotype)
    training = build_training(chosen, genotype, images.image_shape, images.num_classes, strategy)
    training.network.set_drop_path_rate(chosen.drop_path)
    channel.phase("build")
    rates = keras.callbacks.LearningRateScheduler(lambda epoch, _: chosen.learning_rate_at(epoch))
    _fit(training, batches.batches_from, [rates], channel)


def _inference(settings: BenchmarkSettings, channel: Channel) -> None:
    from fairdarts_tf.found_network import FoundNetwork
    from fairdarts_tf.network import DartsNetwork
    from fairdarts_tf.runtimes import KerasRuntime
    from fairdarts_tf.serving import ServingNetwork

    devices.configure_runtime()
    channel.phase("import")
    network = DartsNetwork(Genotype.load(settings.genotype), NUM_CLASSES, settings.init_channels, settings.layers)
    images = random_images(settings)
    network.build((None, *images.image_shape))
    mean, std = data.statistics_for(_DATASET, images)
    serving = ServingNetwork.of(FoundNetwork(network, images.class_names, images.image_shape, mean, std))
    channel.phase("build")
    _report_trace(serving, "call", channel)
    runtime = KerasRuntime(serving)
    batch = images.images[: settings.batch_size]
    runtime.probabilities(batch)
    channel.phase(FIRST_STEP)
    serve(channel, {"step": lambda: runtime.probabilities(batch)}, lambda: None)


def random_images(settings: BenchmarkSettings) -> data.LabelledImages:
    """Returns RGB images of noise, enough for several batches, with all labels alike often."""
    count = max(BATCHES_IN_MEMORY * settings.images_per_step, 2 * NUM_CLASSES)
    side = settings.image_size
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    labels = (np.arange(count) % NUM_CLASSES).astype(np.int32)
    return data.LabelledImages(images, labels, tuple(map(str, range(NUM_CLASSES))))


def _sizes(settings: BenchmarkSettings) -> dict[str, int]:
    return {name: getattr(settings, name) for name in ("init_channels", "layers", "batch_size")}


def _fit(
    model: keras.Model,
    batches: Callable[[int], tf.data.Dataset],
    callbacks: list[keras.callbacks.Callback],
    channel: Channel,
) -> dict[str, object] | None:
    """Fits as the commands do, step by step on request; returns the first request that is no step."""
    _report_trace(model, "train_step", channel)
    on_request = OnRequest(channel)
    fit_from(
        0,
        model,
        batches,
        epochs=1,
        steps_per_epoch=_ENDLESS,
        callbacks=[*callbacks, on_request],
        verbose=0,
        shuffle=False,
    )
    return on_request.unknown


def _report_trace(model: keras.Model, method: str, channel: Channel) -> None:
    """Reports the phase ``trace`` when a method has run once: in Python, as it is traced to a graph."""
    traced = getattr(model, method)

    def wrapper(*arguments: object, **options: object) -> object:
        outputs = traced(*arguments, **options)
        channel.phase("trace")
        return outputs

    setattr(model, method, wrapper)
