"""All that decides a search, in one place, with the paper's values as defaults."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.derivation import DEFAULT_METHOD, DEFAULT_THRESHOLD
from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS
from fairdarts_tf.latency_table import FORMS
from fairdarts_tf.perturbation_schedules import dropout_rate, noise_factor
from fairdarts_tf.prices import check_cost
from fairdarts_tf.sensitivity import DerivationSettings
from fairdarts_tf.settings_checks import (
    as_flags,
    check_accumulation,
    check_data_settings,
    check_settings,
    profiled_steps,
    values_of,
)
from fairdarts_tf.settings_values import CHOICES, RANGES
from fairdarts_tf.spaces import space_of
from fairdarts_tf.spaces.mobile import MobileSpace


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """The settings of a search; each field is a flag of the same name.

    Defaults are FairDARTS' for CIFAR-10 but for the data set: ``digits`` needs no download.

    Args:
        dataset: ``digits``, a name of tensorflow-datasets or ``folder:PATH``.
        data_dir: Where tensorflow-datasets keeps prepared data; empty: its own default.
        download: Whether data that are not prepared may be downloaded.
        image_size: Side of the square that the network sees of each image, in pixels; 0 keeps their own.
        resize_size: What the shorter side of images is scaled to before their central squares of `image_size` are
            taken, in pixels: the rest is a margin. 0: to `image_size`.
        classes: Names of the classes that take part, or their number: so many are drawn, always the same; none: all.
        train_portion: The share of the training images that train the weights.
        search_portion: The share that train the alphas; 0: all others. What is in neither is not loaded.
        storage: How images are kept: decoded in ``memory``, or on ``disk``, in `cache_dir`, for all runs; ``encoded``,
            and decoded for each batch; ``auto``: memory up to 8 GiB, else encoded.
        cache_dir: Directory of images that are decoded once and kept on disk.
        crop: ``padded``: images are padded and cropped to their own size (CIFAR-10); ``resized``: a random part of 8 to
            100 % of the area is scaled to `image_size` (ImageNet).
        color_jitter: Strength of a jitter of colours, from 0 (none) to 1: 0.4 changes brightness, contrast and
            saturation by up to 40 % and the hue by up to 0.2 turns (DARTS on ImageNet).
        cutout: Side of the square that is blanked in each training image, in pixels; 0 for none.
        space: ``darts`` (S1, stacked cells) or ``mobile`` (S2, a chain of inverted bottlenecks).
        relaxation: ``sigmoid`` (FairDARTS) or ``softmax`` (DARTS).
        operations: Names of the candidate operations of S1.
        nodes: Intermediate nodes of a cell of S1.
        init_channels: Channels of a node in the first cells of S1.
        layers: Number of cells of S1.
        stem_multiplier: The stem of S1 has this many times `init_channels` channels.
        mobile_widths: Channels of each stage of S2.
        mobile_depths: Choice layers of each stage of S2, the most that it can have.
        mobile_strides: Stride of the first layer of each stage of S2.
        mobile_kernels: Sides of the depthwise kernels that a layer of S2 chooses from.
        mobile_expansions: Expansions that a layer of S2 chooses from.
        mobile_skip: Whether a layer of S2 that keeps the shape of its input may be skipped.
        mobile_stem_width: Channels of the first convolution of S2.
        mobile_stem_stride: Stride of the first convolution of S2; 1 for images of 32 pixels.
        mobile_first_width: Channels of the fixed block of S2.
        mobile_head_width: Channels of the last convolution of S2.
        zero_one: ``l2``, ``l1`` or ``none``.
        zero_one_weight: Weight of the zero-one loss beside the cross-entropy.
        node_penalty: Weight of a penalty on nodes none of whose operations reaches `threshold`; 0 leaves it out.
        cost: What a network is to cost as `cost_target` says: ``macs``, ``params``, ``latency``, or ``none``.
        cost_target: That cost, as 300M (of multiply-adds or parameters) or 12ms.
        cost_weight: Weight of the penalty, |expected cost / target - 1|.
        cost_channels: Channels of a node in the first cells of the network of S1 whose cost is meant.
        cost_layers: Its number of cells.
        cost_network: Its stem, ``cifar`` or ``imagenet``.
        cost_image_size: Side of its images, in pixels, in S1 and S2; 0: as the search's.
        cost_classes: Its number of classes, in S1 and S2; 0: as the search's.
        latency_table: File with the latencies of all layers that it may have, which bin/measure_latency makes.
        latency_form: What runs it, ``TFLite`` or ``Keras``: which latencies of the table count.
        epochs: Number of epochs.
        steps_per_epoch: Steps of an epoch; 0: as many as the training half has full batches.
        batch_size: Images of a step, in each half, over all replicas.
        accumulate: Parts that the batch of a step is divided into, one after the other, to take less memory; BatchNorm
            normalises each part by its own statistics.
        rematerialize: Whether a layer of S2 is computed again for its gradient instead of being kept: less memory, more
            time, the same result.
        sampled_paths: How many operations of a layer of S2 are computed in a step, sampled by their mixing weights; 0:
            all. This is the algorithm of ProxylessNAS, not that of FairDARTS.
        warmup_epochs: Epochs at the start that update the weights alone.
        single_level: Whether alphas and weights are updated together on all training images.
        unrolled: Whether the gradient of the alphas is taken at the weights after one more step (DARTS' second order),
            in float32 only.
        learning_rate: Rate of the weights in the first epoch; it falls by a cosine, from epoch to epoch. The published
            cells of FairDARTS were found with 0.0025.
        learning_rate_min: The rate that the cosine falls to.
        momentum: Momentum of the weights.
        weight_decay: Coupled decay of the weights.
        gradient_clip: Global norm that the weights' gradient is clipped to; 0 for no clipping.
        alpha_learning_rate: Rate of Adam on the alphas.
        alpha_beta_1: Decay of Adam's first moment.
        alpha_weight_decay: Coupled decay of the alphas.
        alpha_noise: Standard deviation of the initial alphas around 0.
        skip_dropout: Probability of dropout on what skip connections of stride 1 pass on (P-DARTS).
        skip_dropout_schedule: Of that probability over the epochs: ``falling`` to 0, ``rising`` from 0 or ``constant``.
        operation_dropout: Probability of leaving an operation of an edge out for an image (RobustDARTS' drop path).
        operation_dropout_schedule: As `skip_dropout_schedule`.
        skip_noise: Noise added to what skip connections of stride 1 pass on (NoisyDARTS): ``gaussian``, ``uniform`` of
            the same variance, or ``none``.
        skip_noise_scale: Standard deviation of that noise in the first epoch; it falls by a cosine.
        skip_noise_epochs: Epochs after which that noise is 0.
        early_stopping: What ends the search early, any of: ``skips`` (DARTS+: skip connections of the normal cell),
            ``ranking`` (DARTS+: an order of the operations that stands), ``eigenvalue`` (RobustDARTS: a growing
            curvature); none: the search has all its epochs.
        stop_skips: Skip connections of the normal cell at which ``skips`` ends the search.
        stop_ranking_epochs: Epochs for which the order must stand.
        stop_eigenvalue_ratio: ``eigenvalue`` ends the search once the mean eigenvalue some epochs ago is less than this
            share of the newest one.
        stop_eigenvalue_epochs: How many epochs that mean is of, and how many it lies back.
        log_eigenvalue: Whether the largest eigenvalue of the Hessian of the search loss in the alphas is recorded after
            each epoch, in float32 only.
        eigenvalue_images: Images of the batch that it is measured on, at most.
        threshold: The least mixing weight that a derived genotype keeps.
        method: How a genotype is derived: ``darts``, ``threshold_sparse`` or ``threshold_edge``. S2 keeps the largest
            operation of a layer by either of the first two.
        max_skips: The most skip connections that the normal cell of a genotype may have, or the layers of S2; -1 for no
            limit.
        average_last: Epochs whose mixing weights are averaged before a genotype is derived.
        precision: ``float32``, ``mixed_bfloat16`` or ``mixed_float16``; in each, alphas, running statistics and losses
            are float32.
        xla: Whether XLA compiles the step. On a CPU, and on some GPUs, it makes depthwise convolutions many times
            slower: measure.
        seed: Chooses initial weights, halves, data order and augmentation.
        strategy: ``auto`` (the workers in TF_CONFIG where it names several, else all GPUs), ``none`` (one device),
            ``mirrored`` (all GPUs of this machine, or all logical CPU devices) or ``multi_worker``.
        sync_batch_norm: Whether BatchNorm uses the mean and variance of the whole batch, so
            that several devices compute what one would; otherwise each uses those of its own part of the batch.
        checkpoint_steps: Steps between checkpoints within an epoch; 0: at the end of each epoch only.
        on_nan: What happens where a loss or a gradient is NaN or infinite: ``stop``, or ``retry`` from the last
            checkpoint with half the learning rates, ten times at most. The step's batch is saved first.
        profile_steps: Steps of the run that are profiled for TensorBoard, ``FIRST:LAST``, counted from 1, as ``10:12``;
            empty: none. The first step also traces the graph.

    Raises:
        ConfigurationError: When a value is outside its range.

    Example:
        >>> settings = fd.SearchSettings(dataset="cifar10", epochs=20)
        >>> settings.batch_size, settings.as_flags()["epochs"]
        (128, '20')
        >>> fd.SearchSettings(relaxation="sigmoit")
        Traceback (most recent call last):
        ...
        fairdarts_tf.errors.ConfigurationError: --relaxation: unknown value 'sigmoit'. Did you mean ...
    """

    dataset: str = "digits"
    data_dir: str = ""
    download: bool = False
    image_size: int = 0
    resize_size: int = 0
    classes: tuple[str, ...] = ()
    train_portion: float = 0.5
    search_portion: float = 0.0
    storage: str = "auto"
    cache_dir: str = ""
    crop: str = "padded"
    color_jitter: float = 0.0
    cutout: int = 0

    space: str = "darts"
    relaxation: str = "sigmoid"
    operations: tuple[str, ...] = FAIRDARTS_OPERATIONS
    nodes: int = 4
    init_channels: int = 16
    layers: int = 8
    stem_multiplier: int = 3
    mobile_widths: tuple[int, ...] = MobileSpace.mobile_widths
    mobile_depths: tuple[int, ...] = MobileSpace.mobile_depths
    mobile_strides: tuple[int, ...] = MobileSpace.mobile_strides
    mobile_kernels: tuple[int, ...] = MobileSpace.mobile_kernels
    mobile_expansions: tuple[int, ...] = MobileSpace.mobile_expansions
    mobile_skip: bool = True
    mobile_stem_width: int = MobileSpace.mobile_stem_width
    mobile_stem_stride: int = MobileSpace.mobile_stem_stride
    mobile_first_width: int = MobileSpace.mobile_first_width
    mobile_head_width: int = MobileSpace.mobile_head_width

    zero_one: str = "l2"
    zero_one_weight: float = 10.0
    node_penalty: float = 0.0
    cost: str = "none"
    cost_target: str = ""
    cost_weight: float = 1.0
    cost_channels: int = NetworkSize.init_channels
    cost_layers: int = NetworkSize.layers
    cost_network: str = NetworkSize.stem
    cost_image_size: int = 0
    cost_classes: int = 0
    latency_table: str = ""
    latency_form: str = FORMS[0]

    epochs: int = 50
    steps_per_epoch: int = 0
    batch_size: int = 128
    accumulate: int = 1
    rematerialize: bool = False
    sampled_paths: int = 0
    warmup_epochs: int = 0
    single_level: bool = False
    unrolled: bool = False
    learning_rate: float = 0.005
    learning_rate_min: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    alpha_learning_rate: float = 3e-3
    alpha_beta_1: float = 0.9
    alpha_weight_decay: float = 1e-3
    alpha_noise: float = 0.0

    skip_dropout: float = 0.0
    skip_dropout_schedule: str = "falling"
    operation_dropout: float = 0.0
    operation_dropout_schedule: str = "rising"
    skip_noise: str = "none"
    skip_noise_scale: float = 1.0
    skip_noise_epochs: int = 30

    early_stopping: tuple[str, ...] = ()
    stop_skips: int = 2
    stop_ranking_epochs: int = 10
    stop_eigenvalue_ratio: float = 0.75
    stop_eigenvalue_epochs: int = 5
    log_eigenvalue: bool = False
    eigenvalue_images: int = 32

    threshold: float = DEFAULT_THRESHOLD
    method: str = DEFAULT_METHOD
    max_skips: int = -1
    average_last: int = 1

    precision: str = "float32"
    xla: bool = False
    seed: int = 0
    strategy: str = "auto"
    sync_batch_norm: bool = False
    checkpoint_steps: int = 0
    on_nan: str = "stop"
    profile_steps: str = ""

    def __post_init__(self) -> None:
        check_settings(self, CHOICES, RANGES)
        check_data_settings(self)
        if self.train_portion + self.search_portion > 1 + 1e-9:
            raise ConfigurationError(
                f"--train_portion={self.train_portion} and --search_portion={self.search_portion} are more than all "
                "training images. Lower one of them."
            )
        if self.learning_rate_min > self.learning_rate:
            raise ConfigurationError(
                f"--learning_rate_min is {self.learning_rate_min}, above --learning_rate={self.learning_rate}, from "
                "which the rate falls. Lower it, or raise the other."
            )
        if self.warmup_epochs >= self.epochs:
            raise ConfigurationError(
                f"--warmup_epochs is {self.warmup_epochs}, which leaves none of the {self.epochs} epochs to update "
                "the alphas. Lower it, or raise --epochs."
            )

        if self.unrolled and self.single_level:
            raise ConfigurationError("--unrolled and --single_level are two ways to update the alphas. Leave one out.")
        self._check_early_stopping()
        check_accumulation(self)
        profiled_steps(self.profile_steps)
        check_cost(self)
        if self.unrolled and self.accumulate > 1:
            raise ConfigurationError("--unrolled looks one step of the whole batch ahead. Leave --accumulate out.")
        for name, asked in (("unrolled", self.unrolled), ("log_eigenvalue", self.measures_eigenvalue)):
            if asked and self.precision != "float32":
                raise ConfigurationError(
                    f"--{name} needs second derivatives, of which --precision={self.precision} leaves little. Use "
                    "--precision=float32."
                )

    def _check_early_stopping(self) -> None:
        if "skips" in self.early_stopping and 0 <= self.max_skips < self.stop_skips:
            raise ConfigurationError(
                f"--max_skips={self.max_skips} keeps the derived cell below --stop_skips={self.stop_skips}, so that "
                "--early_stopping=skips never ends the search. Leave one of them out."
            )

    @property
    def measures_eigenvalue(self) -> bool:
        """Whether the largest eigenvalue is measured after each epoch."""
        return self.log_eigenvalue or "eigenvalue" in self.early_stopping

    def as_flags(self) -> dict[str, str]:
        """Returns every setting as text, by its flag's name, as a flagfile holds it."""
        return as_flags(self)

    @classmethod
    def from_flags(cls, recorded: Mapping[str, str]) -> SearchSettings:
        """Returns the settings that `as_flags` wrote; what is not there has its default.

        Raises:
            ConfigurationError: When a value is none of its setting's, or outside its range.
        """
        return cls(**values_of(cls, recorded))

    @property
    def derivation(self) -> DerivationSettings:
        """What decides how the alphas become a genotype."""
        return DerivationSettings(
            space_of(self),
            self.relaxation,
            self.method,
            self.threshold,
            max_skips=None if self.max_skips < 0 else self.max_skips,
            average_last=self.average_last,
        )

    @property
    def perturbations(self) -> tuple[str, ...]:
        """What disturbs the operations: some of ``skip_noise``, ``skip_dropout`` and ``operation_dropout``."""
        acts = {
            "skip_noise": self.skip_noise != "none",
            "skip_dropout": self.skip_dropout > 0,
            "operation_dropout": self.operation_dropout > 0,
        }
        return tuple(name for name, does in acts.items() if does)

    def perturbations_at(self, epoch: int) -> dict[str, float]:
        """Returns how strong each of the `perturbations` is in an epoch, counted from 0."""
        return {
            "skip_noise": self.skip_noise_scale * noise_factor(epoch, self.skip_noise_epochs),
            "skip_dropout": dropout_rate(self.skip_dropout_schedule, self.skip_dropout, epoch, self.epochs),
            "operation_dropout": dropout_rate(
                self.operation_dropout_schedule, self.operation_dropout, epoch, self.epochs
            ),
        }

    def learning_rate_at(self, epoch: int) -> float:
        """Returns the weights' learning rate in an epoch, counted from 0: a cosine from the first to the minimum."""
        share = (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        return self.learning_rate_min + (self.learning_rate - self.learning_rate_min) * share
