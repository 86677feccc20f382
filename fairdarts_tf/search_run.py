"""A whole search, from settings to a genotype, in a directory that it can go on in."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from fairdarts_tf import data, devices
from fairdarts_tf.bilevel_search import Penalty, Search, SingleLevelSearch
from fairdarts_tf.callbacks import ProgressBar, StopOnSignal, WarmUp
from fairdarts_tf.cost_aim import CostAim, cost_aim
from fairdarts_tf.curvature import AlphaHessian
from fairdarts_tf.data import pipeline
from fairdarts_tf.data.fetching import broken_images_named
from fairdarts_tf.data.rows import WHOLE, Parts
from fairdarts_tf.epoch_report import describe_epoch, describe_genotype
from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.fitting import fit_run
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.history import History, Row
from fairdarts_tf.kernels.library import say_if_left_out
from fairdarts_tf.losses import node_penalty
from fairdarts_tf.optimizers import MomentumSGD, ReferenceAdam
from fairdarts_tf.perturbations import SearchPerturbations
from fairdarts_tf.report.page import write_report
from fairdarts_tf.resuming import restore
from fairdarts_tf.runs import Run
from fairdarts_tf.search_recorder import SearchRecorder
from fairdarts_tf.search_result import SearchResult
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_checks import default_flags
from fairdarts_tf.spaces import SearchSpace, space_of
from fairdarts_tf.step_profiler import StepProfiler
from fairdarts_tf.tensorboard_log import TensorBoardLog
from fairdarts_tf.unrolled_search import UnrolledSearch
from fairdarts_tf.workers import among_workers, check_agreement

Images = data.LabelledImages | data.EncodedImages
Watcher = Callable[[SearchResult], object]


def run_search(
    settings: SearchSettings,
    workdir: str | os.PathLike[str],
    images: Images | None = None,
    on_epoch: Watcher | None = None,
    until_epoch: int | None = None,
) -> SearchResult:
    """Searches, or goes on with the search that ``workdir`` holds.

    Args:
        settings: All that decides the search.
        workdir: The run's directory; made if absent.
        images: Training images in memory, (N, height, width, channels); the directory knows them by a fingerprint, and
            goes on with no others. Defaults to None: those that the settings name.
        on_epoch: Called after each epoch with what the search stands at. Defaults to None: a line is printed.
        until_epoch: Pauses after this epoch, counted from 1; rates and all else are those of the whole search, which
            goes on later as if it had not paused. Defaults to None: after the last.

    Returns:
        What was found. Of a paused search the genotype may be None: no other is derived. After a signal, SIGINT too,
        its ``stopped_by`` says so.

    Raises:
        FairDartsError: When settings, data or directory are unfit, or at the end no genotype can be derived. What the
            search has saved until then is intact.
        NotFiniteError: When a loss or a gradient is NaN or infinite.
        WorkerLostError: When another worker is gone.

    Example:
        >>> settings = fd.SearchSettings(
        ...     dataset="digits", nodes=1, operations=("skip_connect", "sep_conv_3x3"), init_channels=2, layers=3,
        ...     epochs=1, steps_per_epoch=2, batch_size=50, method="darts",
        ... )
        >>> result = fd.run_search(settings, "runs/mine", on_epoch=lambda so_far: None)
        >>> len(result.history.rows), result.genotype.kinds
        (1, ('normal', 'reduce'))
    """
    result = complete_search(settings, workdir, images, on_epoch, until_epoch)
    raise_if_underived(result)
    return result


def raise_if_underived(result: SearchResult) -> None:
    """Raises a GenotypeError, which says what to do, where a complete search has come to no genotype."""
    if result.underived:
        raise GenotypeError(
            f"the search is complete, but {result.underived} The alphas are saved: derive --alphas={result.workdir} "
            "--method=darts (or with a lower --threshold) needs no new search."
        )


def complete_search(
    settings: SearchSettings,
    workdir: str | os.PathLike[str],
    images: Images | None = None,
    on_epoch: Watcher | None = None,
    until_epoch: int | None = None,
) -> SearchResult:
    """Does what `run_search` does, but returns also where no genotype can be derived, and then says why.

    Arguments, and all other errors, are those of `run_search`.
    """
    devices.configure_runtime()
    settings = data.settings_for(settings, images)
    is_chief = devices.cluster_of(settings.strategy).is_chief
    with Run(workdir, default_flags(SearchSettings), writes=is_chief) as run:
        return _search(settings, run, images, on_epoch, until_epoch)


def _search(
    settings: SearchSettings, run: Run, given: Images | None, on_epoch: Watcher | None, until_epoch: int | None
) -> SearchResult:
    run.check(settings.as_flags())
    space_of(settings)
    strategy = devices.strategy(settings.strategy, settings.batch_size, settings.accumulate)
    with among_workers(strategy):
        return _search_on(
            settings, run, strategy, given, on_epoch, min(until_epoch or settings.epochs, settings.epochs)
        )


def _search_on(
    settings: SearchSettings,
    run: Run,
    strategy: tf.distribute.Strategy,
    given: Images | None,
    on_epoch: Watcher | None,
    until: int,
) -> SearchResult:
    check_agreement(settings.as_flags(), strategy)
    images, halves = data.load_halves(settings, given)
    batches = _Batches(settings, images, halves)
    search, derive = build_search(settings, images.image_shape, images.num_classes, strategy)
    run.open(settings.as_flags())
    if run.writes:
        say_if_left_out(
            settings.precision, settings.xla, settings.sync_batch_norm and strategy.num_replicas_in_sync > 1
        )
    progress = restore(run, search, History, batches.steps_per_epoch)
    history = progress.history
    result = functools.partial(SearchResult, history=history, search=search, settings=settings, workdir=run.workdir)

    signals = StopOnSignal()
    recorder = SearchRecorder(
        run,
        settings,
        derive,
        batches.steps_per_epoch,
        progress,
        interrupted=lambda: signals.received is not None,
    )
    aim = cost_aim(settings, images.image_shape, images.num_classes)
    if aim is not None:
        recorder.measures.append(lambda _: aim.row(recorder.model.mixing_weights(), recorder.genotype))
    if settings.measures_eigenvalue:
        recorder.measures.append(_eigenvalue_measure(settings, search, batches))
    total = settings.epochs * batches.steps_per_epoch
    bar = ProgressBar("search", total, progress.step, shown=run.writes)
    log = TensorBoardLog(run)
    profiler = StepProfiler(run, settings.profile_steps, recorder)

    def print_line(so_far: SearchResult) -> None:
        line = describe_epoch(so_far.history.rows[-1], settings.epochs, settings.cost)
        bar.write(line, describe_genotype(so_far.genotype))

    watch = on_epoch or print_line
    recorder.on_epoch += [log, lambda *_: watch(result(recorder.genotype, early_stop=recorder.stop))]
    callbacks = [
        *_rates(settings, recorder),
        WarmUp(settings.warmup_epochs),
        *_perturbation_schedule(settings, search),
        signals,
        recorder,
        bar,
        profiler,
    ]
    try:
        with broken_images_named(images):
            fit_run(
                recorder,
                search,
                batches.starting_at,
                epochs=recorder.stop.after if recorder.stop else until,
                on_nan=settings.on_nan,
                on_retry=bar.go_back,
                callbacks=callbacks,
                verbose=0,
                shuffle=False,
            )
    finally:
        signals.release()
        bar.close()
        profiler.release()
        log.close()
    if recorder.stop is not None:
        print(f"stopped early after epoch {recorder.stop.after}: {recorder.stop.reason}", file=sys.stderr)
    elif signals.received is not None and recorder.step < until * batches.steps_per_epoch:
        return result(None, stopped_by=signals.received, asked_to_stop=signals.received)
    # A start that found the search complete has run no epoch, and one that was cut off may have left older files.
    failure = recorder.try_to_derive()
    if run.writes:
        recorder.write_files()
        _write_report(run)
    is_complete = recorder.stop is not None or recorder.step >= total
    underived = str(failure or "") if is_complete else ""
    return result(recorder.genotype, early_stop=recorder.stop, underived=underived, asked_to_stop=signals.received)


def _rates(settings: SearchSettings, recorder: SearchRecorder) -> list[keras.callbacks.Callback]:
    """Returns what sets both learning rates when an epoch begins."""

    def set_rate_of_alphas(epoch: int, logs: object) -> None:
        recorder.model.alpha_optimizer.learning_rate = settings.alpha_learning_rate * recorder.rate_factor

    return [
        keras.callbacks.LearningRateScheduler(lambda epoch, _: settings.learning_rate_at(epoch) * recorder.rate_factor),
        keras.callbacks.LambdaCallback(on_epoch_begin=set_rate_of_alphas),
    ]


def _write_report(run: Run) -> None:
    """Writes the run's page; a search that came to its end is worth more than its picture."""
    try:
        write_report(run.workdir)
    except Exception as error:  # noqa: BLE001  (whatever it is, the search is done and saved)
        print(f"warning: no report was written: {error}", file=sys.stderr)


def build_search(
    settings: SearchSettings,
    image_shape: tuple[int, int, int],
    num_classes: int,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple[Search, object]:
    """Builds and compiles the search of a supernet.

    Args:
        settings: All that decides the search.
        image_shape: (height, width, channels).
        num_classes: Number of classes.
        strategy: Defaults to None: the strategy in scope.

    Returns:
        The search, and a function from mixing weights by kind to a genotype.
    """
    space = space_of(settings)
    keras.utils.set_random_seed(settings.seed)
    with (strategy or tf.distribute.get_strategy()).scope():
        supernet = space.supernet(
            image_shape,
            num_classes,
            relaxation=settings.relaxation,
            alpha_noise=settings.alpha_noise,
            dtype=keras.dtype_policies.DTypePolicy(settings.precision),
            name="supernet",
            **space.supernet_options(settings),
        )
        search = _search_class(settings)(supernet, name="search")
        if settings.perturbations:
            search.perturbations = SearchPerturbations(settings.seed, settings.perturbations, settings.skip_noise)
        scales_loss = settings.precision == "mixed_float16"
        search.compile(
            MomentumSGD(
                settings.learning_rate,
                momentum=settings.momentum,
                decay=settings.weight_decay,
                max_norm=settings.gradient_clip or None,
                scales_loss=scales_loss,
            ),
            ReferenceAdam(
                settings.alpha_learning_rate,
                beta_1=settings.alpha_beta_1,
                decay=settings.alpha_weight_decay,
                scales_loss=scales_loss,
            ),
            zero_one=settings.zero_one,
            zero_one_weight=settings.zero_one_weight,
            penalties=_penalties(settings, space, cost_aim(settings, image_shape, num_classes)),
            sync_batch_norm=settings.sync_batch_norm,
            accumulate=settings.accumulate,
            jit_compile=settings.xla,
        )

    def derive(mixing_weights: Mapping[str, np.ndarray]) -> AnyGenotype:
        decisive = settings.derivation
        return space.derive(mixing_weights, decisive.method, decisive.threshold, decisive.max_skips)

    return search, derive


def _penalties(settings: SearchSettings, space: SearchSpace, aim: CostAim | None) -> dict[str, Penalty]:
    penalties: dict[str, Penalty] = {}
    if settings.node_penalty:
        candidates = [column for column, name in enumerate(space.operations) if name != "none"]
        shortage = functools.partial(node_penalty, threshold=settings.threshold, candidates=candidates)
        penalties["node_penalty"] = (settings.node_penalty, shortage)
    if aim is not None:
        penalties["cost_penalty"] = (settings.cost_weight, aim.penalty)
    return penalties


def _search_class(settings: SearchSettings) -> type[Search]:
    if settings.single_level:
        return SingleLevelSearch
    return UnrolledSearch if settings.unrolled else Search


def _perturbation_schedule(settings: SearchSettings, search: Search) -> list[keras.callbacks.Callback]:
    if search.perturbations is None:
        return []
    set_strengths = lambda epoch, _: search.perturbations.set_strengths(settings.perturbations_at(epoch))  # noqa: E731
    return [keras.callbacks.LambdaCallback(on_epoch_begin=set_strengths)]


def _eigenvalue_measure(settings: SearchSettings, search: Search, batches: _Batches) -> Callable[[int], Row]:
    """Returns a measure of the curvature after so many steps, on the images that the next step would search on."""
    hessian = AlphaHessian(search)

    def measure(step: int) -> Row:
        batch = next(iter(batches.starting_at(step)))
        images, labels = batch if settings.single_level else batch[1]
        count = settings.eigenvalue_images
        return {"dominant_eigenvalue": hessian.largest_eigenvalue((images[:count], labels[:count]))}

    return measure


def steps_of_epoch(settings: SearchSettings, images: Images | None = None) -> int:
    """Returns how many steps an epoch of a search has; arguments and errors as of `run_search`."""
    return _steps_per_epoch(settings, *data.load_halves(settings, images))


def _steps_per_epoch(settings: SearchSettings, images: Images, halves: tuple[np.ndarray, np.ndarray]) -> int:
    count = len(images) if settings.single_level else min(map(len, halves))
    whole_epoch = pipeline.steps_per_epoch(count, settings.batch_size)
    if not settings.single_level:
        whole_epoch = len(halves[0]) // settings.batch_size
    return settings.steps_per_epoch or whole_epoch


class _Batches:
    """The pipelines of a search: both halves in lockstep, or all images at a single level."""

    def __init__(
        self,
        settings: SearchSettings,
        images: Images,
        halves: tuple[np.ndarray, np.ndarray],
    ) -> None:
        self._settings = settings
        self._images = images
        self._halves = halves
        mean, std = data.statistics_for(settings.dataset, images)
        augmentation = data.Augmentation.suited_to(
            settings.dataset,
            min(images.image_shape[:2]),
            cutout=settings.cutout,
            resized_crop=settings.crop == "resized",
            color_jitter=settings.color_jitter,
        )
        self._options = {
            "batch_size": settings.batch_size,
            "seed": settings.seed,
            "mean": mean,
            "std": std,
            "augmentation": augmentation,
        }
        self.steps_per_epoch = _steps_per_epoch(settings, images, halves)

    def starting_at(self, step: int, parts: Parts = WHOLE) -> tf.data.Dataset:
        options = self._options | {"first_step": step, "parts": parts}
        if self._settings.single_level:
            return pipeline.train_batches(self._images, np.arange(len(self._images)), **options)
        return pipeline.bilevel_batches(self._images, *self._halves, **options)
