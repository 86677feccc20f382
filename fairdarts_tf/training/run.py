"""A whole training, from settings to a network's weights, in a directory that it can go on in."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import sys

import keras
import tensorflow as tf

from fairdarts_tf import data, devices
from fairdarts_tf.callbacks import ProgressBar, StopOnSignal
from fairdarts_tf.checkpoints import list_checkpoints
from fairdarts_tf.costs import NetworkSize, network_cost
from fairdarts_tf.data.fetching import broken_images_named
from fairdarts_tf.distribution import distribute
from fairdarts_tf.fitting import fit_run
from fairdarts_tf.found_network import FoundNetwork
from fairdarts_tf.genotype_files import AnyGenotype, load_genotype
from fairdarts_tf.kernels.library import say_if_left_out
from fairdarts_tf.network_widths import AUTO, check_within, widest
from fairdarts_tf.optimizers import MomentumSGD
from fairdarts_tf.quantities import read_quantity, write_quantity
from fairdarts_tf.resuming import restore, share_state
from fairdarts_tf.runs import Run
from fairdarts_tf.settings_checks import default_flags
from fairdarts_tf.spaces import search_space
from fairdarts_tf.spaces.network_options import NetworkOptions
from fairdarts_tf.step_profiler import StepProfiler
from fairdarts_tf.training.data import TrainingData
from fairdarts_tf.training.description import check_description, check_genotype, write_description
from fairdarts_tf.training.epoch_report import describe_epoch
from fairdarts_tf.training.history import TrainHistory
from fairdarts_tf.training.model import Training
from fairdarts_tf.training.recorder import TrainRecorder
from fairdarts_tf.training.settings import TrainSettings, flags_in
from fairdarts_tf.training.tensorboard_log import TensorBoardLog
from fairdarts_tf.training.weight_average import AverageOnTest
from fairdarts_tf.workers import among_workers, check_agreement

Images = data.LabelledImages | data.EncodedImages


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes:
        history: Rows of all epochs.
        training: The trained model.
        stopped_by: The signal that stopped it early, or None.
        asked_to_stop: The signal that asked for an end, or None; in the last epoch it finds the training complete, and
            stops only what was to follow.

    Example:
        >>> settings = fd.TrainSettings(
        ...     genotype="runs/mine", init_channels=2, layers=3, cutout=0, auxiliary_weight=0,
        ...     epochs=1, steps_per_epoch=2, batch_size=50,
        ... )
        >>> result = fd.run_training(settings, "runs/mine_trained")
        >>> result.stopped_by is None, result.history.rows[0]["epoch"]
        (True, 1)
    """

    history: TrainHistory
    training: Training
    stopped_by: signal.Signals | None = None
    asked_to_stop: signal.Signals | None = None


def run_training(
    settings: TrainSettings,
    workdir: str | os.PathLike[str],
    images: Images | None = None,
    until_epoch: int | None = None,
) -> TrainResult:
    """Trains a found network, or goes on with the training that ``workdir`` holds.

    Args:
        settings: All that decides the training.
        workdir: The run's directory; made if absent.
        images: Training images in memory, (N, height, width, channels); the directory knows them by a fingerprint, and
            goes on with no others. Defaults to None: those that the settings name.
        until_epoch: Pauses after this epoch, counted from 1; rates and all else are those of the whole training, which
            goes on later as if it had not paused. Defaults to None: after the last.

    Returns:
        What was measured; `fairdarts_tf.found_network.load_found_network` loads the weights from the directory. After a
        signal, SIGINT too, its ``stopped_by`` says so.

    Raises:
        FairDartsError: When settings, genotype, data or directory are unfit. What the training has saved until then is
            intact.
        NotFiniteError: When a loss or a gradient is NaN or infinite.
        WorkerLostError: When another worker is gone.

    Example:
        >>> settings = fd.TrainSettings(
        ...     genotype="runs/mine", dataset="digits", init_channels=2, layers=3, cutout=0, auxiliary_weight=0,
        ...     epochs=1, steps_per_epoch=2, batch_size=50,
        ... )
        >>> result = fd.run_training(settings, "runs/mine_trained")
        epoch 1/1 ...
        >>> len(result.history.rows)
        1
    """
    devices.configure_runtime()
    settings = data.settings_for(settings, images)
    is_chief = devices.cluster_of(settings.strategy).is_chief
    with Run(workdir, default_flags(TrainSettings), writes=is_chief) as run:
        return _train(settings, run, images, min(until_epoch or settings.epochs, settings.epochs))


def _train(settings: TrainSettings, run: Run, given: Images | None, until: int) -> TrainResult:
    run.check(flags_in(run, settings))
    genotype = genotype_of(settings, run)
    strategy = devices.strategy(settings.strategy, settings.batch_size, settings.accumulate)
    with among_workers(strategy):
        return _train_on(settings, genotype, run, strategy, given, until)


def _train_on(
    settings: TrainSettings,
    genotype: AnyGenotype,
    run: Run,
    strategy: tf.distribute.Strategy,
    given: Images | None,
    until: int,
) -> TrainResult:
    check_agreement(settings.as_flags() | {"genotype": genotype.to_json()}, strategy)
    images = data.load_images(settings, given=given)
    batches = TrainingData(settings, images)
    sized, size_text = _with_size(settings, genotype, images.image_shape, images.num_classes)
    training = build_training(sized, genotype, images.image_shape, images.num_classes, strategy)
    if settings.init_from:
        if run.writes and not list_checkpoints(run.checkpoints):
            _inherit(training, settings.init_from)
        share_state(training)
    found = FoundNetwork(
        training.network, images.class_names, images.image_shape, batches.mean, batches.std, settings.dataset
    )
    check_description(run, found)
    progress = restore(run, training, TrainHistory, batches.steps_per_epoch)
    # Only now is it sure that what the directory holds belongs to these data: nothing was written before.
    run.open(flags_in(run, settings))
    if run.writes:
        say_if_left_out(
            settings.precision, settings.xla, settings.sync_batch_norm and strategy.num_replicas_in_sync > 1
        )
        write_description(run, found)
    history = progress.history

    signals = StopOnSignal()
    recorder = TrainRecorder(
        run, settings, batches.steps_per_epoch, progress, interrupted=lambda: signals.received is not None
    )
    total = settings.epochs * batches.steps_per_epoch
    bar = ProgressBar("train", total, progress.step, shown=run.writes)
    log = TensorBoardLog(run, genotype, images.class_names)
    profiler = StepProfiler(run, settings.profile_steps, recorder)
    recorder.on_epoch += [log, lambda row, _: bar.write(describe_epoch(history, settings.epochs))]
    if run.writes:
        print(f"{size_text}\n{batches.describe()}", file=sys.stderr)
    try:
        with broken_images_named(images):
            fit_run(
                recorder,
                training,
                batches.batches_from,
                epochs=until,
                on_nan=settings.on_nan,
                on_retry=bar.go_back,
                **_validation(batches, strategy),
                callbacks=[*_schedules(settings, training, recorder), signals, recorder, bar, profiler],
                verbose=0,
                shuffle=False,
            )
    finally:
        signals.release()
        bar.close()
        profiler.release()
        log.close()
    if signals.received is not None and recorder.step < until * batches.steps_per_epoch:
        return TrainResult(history, training, signals.received, signals.received)
    if run.writes:
        recorder.write_files()
    return TrainResult(history, training, asked_to_stop=signals.received)


def genotype_of(settings: TrainSettings, run: Run) -> AnyGenotype:
    """Returns the genotype of a training: that of its directory, once it has begun.

    Raises:
        GenotypeError: When it cannot be read.
        RunError: When the one that the settings name is another by now. That it is gone is no error.
    """
    begun, named = run.workdir / "genotype.json", settings.named_genotype
    if not begun.is_file():
        return load_genotype(named)
    genotype = load_genotype(begun)
    check_genotype(run, genotype, named)
    return genotype


def build_training(
    settings: TrainSettings,
    genotype: AnyGenotype,
    image_shape: tuple[int, int, int],
    num_classes: int,
    strategy: tf.distribute.Strategy | None = None,
) -> Training:
    """Builds and compiles the training of a network.

    Args:
        settings: All that decides the training.
        genotype: The network's cells.
        image_shape: (height, width, channels).
        num_classes: Number of classes.
        strategy: Defaults to None: the strategy in scope.

    Raises:
        ConfigurationError: When the images are too small for the network, or it cannot have what is asked for.
    """
    keras.utils.set_random_seed(settings.seed)
    with (strategy or tf.distribute.get_strategy()).scope():
        options = NetworkOptions(
            init_channels=settings.init_channels,
            layers=settings.layers,
            stem=settings.network,
            auxiliary=settings.auxiliary_weight > 0,
            drop_path=settings.drop_path_at,
        )
        network = search_space(genotype.space).network(
            genotype,
            num_classes,
            options,
            dtype=keras.dtype_policies.DTypePolicy(settings.precision),
            name="network",
        )
        network.build((None, *image_shape))
        training = Training(network, name="training")
        training.compile(
            MomentumSGD(
                settings.learning_rate,
                momentum=settings.momentum,
                decay=settings.weight_decay,
                max_norm=settings.gradient_clip or None,
                scales_loss=settings.precision == "mixed_float16",
            ),
            auxiliary_weight=settings.auxiliary_weight,
            label_smoothing=settings.label_smoothing,
            average_decay=settings.average_decay,
            sync_batch_norm=settings.sync_batch_norm,
            accumulate=settings.accumulate,
            jit_compile=settings.xla,
        )
    return training


def _with_size(
    settings: TrainSettings, genotype: AnyGenotype, image_shape: tuple[int, int, int], num_classes: int
) -> tuple[TrainSettings, str]:
    """Returns the settings with the channels that they leave open, and the network's size in words.

    Raises:
        ConfigurationError: When the network does not keep within the limit of multiply-adds.
    """
    height, _, channels = image_shape
    size = NetworkSize(settings.init_channels, settings.layers, height, channels, num_classes, settings.network)
    if settings.macs_limit:
        limit = read_quantity("macs_limit", settings.macs_limit)
        size = widest(genotype, size, limit) if settings.init_channels == AUTO else size
        check_within(genotype, size, limit)
    cost = network_cost(genotype, size)
    words = search_space(genotype.space).describe_size(size)
    text = f"{words}: {write_quantity(cost.params)} parameters, {write_quantity(cost.macs)} multiply-adds an image"
    return dataclasses.replace(settings, init_channels=size.init_channels), text


def _validation(batches: TrainingData, strategy: tf.distribute.Strategy) -> dict[str, object]:
    """Returns what `fit` is told of the images that are held back."""
    replicas = strategy.num_replicas_in_sync
    held_back = batches.validation_batches(replicas)
    if held_back is None or replicas == 1:
        return {"validation_data": held_back}
    in_parts = functools.partial(batches.validation_batches, replicas)
    return {"validation_data": distribute(in_parts, strategy), "validation_steps": int(held_back.cardinality())}


def _schedules(settings: TrainSettings, training: Training, recorder: TrainRecorder) -> list[keras.callbacks.Callback]:
    set_drop_path = lambda epoch, _: training.network.set_drop_path_rate(settings.drop_path_rate_at(epoch))  # noqa: E731
    schedules = [
        keras.callbacks.LearningRateScheduler(lambda epoch, _: settings.learning_rate_at(epoch) * recorder.rate_factor),
        keras.callbacks.LambdaCallback(on_epoch_begin=set_drop_path),
    ]
    return schedules + ([AverageOnTest(training.average)] if training.average is not None else [])


def _inherit(training: Training, search: str) -> None:
    from fairdarts_tf.inherited_weights import inherit_weights, load_supernet

    supernet, _ = load_supernet(search)
    inherit_weights(training.network, supernet)
    if training.average is not None:
        training.average.restart()  # It began with the random weights.
