"""All that decides the training of a found network, with the paper's values as defaults."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from fairdarts_tf.errors import ConfigurationError, GenotypeError
from fairdarts_tf.genotype_files import load_genotype
from fairdarts_tf.network_widths import AUTO
from fairdarts_tf.quantities import read_quantity
from fairdarts_tf.runs import Run
from fairdarts_tf.settings_checks import (
    CROPS,
    ON_NAN,
    PRECISIONS,
    STORAGES,
    STRATEGIES,
    as_flags,
    check_accumulation,
    check_data_settings,
    check_settings,
    profiled_steps,
)
from fairdarts_tf.training.schedules import SCHEDULES, Rates

NETWORKS = ("cifar", "imagenet")
DROP_PATHS = ("node", "operation")
AUGMENTATIONS = ("none", "randaugment")


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """The settings of a training; each field is a flag of the same name.

    Defaults are those of DARTS and FairDARTS for CIFAR-10, but for the data set, ``digits``, which needs no download,
    and for the validation images: the authors choose the best epoch by the test images.

    Args:
        genotype: Name of a published genotype, a file, or a search's directory (one with the name of a published
            genotype is written ``./NAME``); empty: that of `init_from`.
        init_from: A search's directory, whose supernet gives the initial weights of the operations that were kept;
            empty: random weights.
        dataset: ``digits`` (8 x 8 pixels: with a `cutout` and an `auxiliary_weight` of 0), a name of
            tensorflow-datasets or ``folder:PATH``.
        data_dir: Where tensorflow-datasets keeps prepared data; empty: its own default.
        download: Whether data that are not prepared may be downloaded.
        image_size: Side of the square that the network sees of each image, in pixels; 0 keeps their own.
        resize_size: What the shorter side of images is scaled to before their central squares of `image_size` are
            taken, in pixels: the rest is a margin (DARTS on ImageNet: 256 for 224). 0: to `image_size`.
        classes: Names of the classes that take part, or their number: so many are drawn, always the same; none: all.
        validation_portion: The share of the training images that are held back and choose the best epoch; 0 trains on
            all, and the last epoch counts. Test images never choose.
        storage: How images are kept: decoded in ``memory``, or on ``disk``, in `cache_dir`, for all runs; ``encoded``,
            and decoded for each batch; ``auto``: memory up to 8 GiB, else encoded.
        cache_dir: Directory of images that are decoded once and kept on disk.
        crop: ``padded``: images are padded and cropped to their own size (CIFAR-10); ``resized``: a random part of 8 to
            100 % of the area is scaled to `image_size` (ImageNet).
        color_jitter: Strength of a jitter of colours, from 0 (none) to 1: 0.4 changes brightness, contrast and
            saturation by up to 40 % and the hue by up to 0.2 turns (DARTS on ImageNet).
        cutout: Side of the square that is blanked in each training image, in pixels; 0 for none.
        augmentation: ``none`` or ``randaugment``, before a padded crop and after a resized one.
        augmentation_operations: How many operations RandAugment applies to an image.
        augmentation_strength: Strength of RandAugment's operations, from 0 to 1.
        network: ``cifar`` or ``imagenet``: the stem of S1, and the stride of the auxiliary head.
        init_channels: Channels of a node in the first cells of S1; 0 or auto: the most that keep the network within
            `macs_limit`. A genotype of S2 says its own widths.
        layers: Number of cells of S1.
        macs_limit: Multiply-adds that the network may have for an image, as 600M; empty: any number.
        drop_path: Probability, at the end, that a path is dropped; it grows from 0 in proportion to the epochs.
        drop_path_at: ``node`` (FairDARTS: a node's sum) or ``operation`` (DARTS: each operation but the identity); of
            S2 it is what a residual connection leads past, either way.
        auxiliary_weight: Weight of the auxiliary head's loss; 0 for no head, which networks of S2 do not have.
        label_smoothing: The share of the target that is spread evenly over all classes.
        epochs: Number of epochs.
        steps_per_epoch: Steps of an epoch; 0: as many as the training images have full batches.
        batch_size: Images of a step over all replicas.
        accumulate: Parts that the batch of a step is divided into, one after the other, to take less memory; BatchNorm
            normalises each part by its own statistics.
        schedule: Of the learning rate: ``cosine``, ``linear`` (both fall to `learning_rate_min`), ``exponential``
            or ``constant``.
        learning_rate: Rate of the first epoch after the warm-up.
        learning_rate_min: The rate that ``cosine`` and ``linear`` fall to.
        learning_rate_decay: What ``exponential`` multiplies the rate by after each epoch.
        warmup_epochs: First epochs, in which the rate grows to `learning_rate` in equal steps.
        momentum: Momentum of the weights.
        weight_decay: Coupled decay of the weights.
        gradient_clip: Global norm that the gradient is clipped to; 0 for no clipping.
        average_decay: Decay, from step to step, of an exponential moving average of the weights, which is validated
            and kept in place of the weights; 0 for none.
        precision: ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.
        xla: Whether XLA compiles the step. On a CPU, and on some GPUs, it makes depthwise convolutions many times
            slower: measure.
        seed: Chooses initial weights, validation images, data order and augmentation.
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
        ConfigurationError: When a value is outside its range, or no genotype is named.

    Example:
        >>> settings = fd.TrainSettings(genotype="FairDARTS_a", dataset="cifar10", epochs=100)
        >>> settings.init_channels, settings.layers, settings.learning_rate_at(0)
        (36, 20, 0.025)
    """

    genotype: str = ""
    init_from: str = ""

    dataset: str = "digits"
    data_dir: str = ""
    download: bool = False
    image_size: int = 0
    resize_size: int = 0
    classes: tuple[str, ...] = ()
    validation_portion: float = 0.1
    storage: str = "auto"
    cache_dir: str = ""
    crop: str = "padded"
    color_jitter: float = 0.0
    cutout: int = 16
    augmentation: str = "none"
    augmentation_operations: int = 2
    augmentation_strength: float = 0.5

    network: str = "cifar"
    init_channels: int = 36
    layers: int = 20
    macs_limit: str = ""
    drop_path: float = 0.2
    drop_path_at: str = "node"
    auxiliary_weight: float = 0.4

    label_smoothing: float = 0.0
    epochs: int = 600
    steps_per_epoch: int = 0
    batch_size: int = 96
    accumulate: int = 1
    schedule: str = "cosine"
    learning_rate: float = 0.025
    learning_rate_min: float = 0.0
    learning_rate_decay: float = 0.97
    warmup_epochs: int = 0
    momentum: float = 0.9
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    average_decay: float = 0.0

    precision: str = "float32"
    xla: bool = False
    seed: int = 0
    strategy: str = "auto"
    sync_batch_norm: bool = False
    checkpoint_steps: int = 0
    on_nan: str = "stop"
    profile_steps: str = ""

    def __post_init__(self) -> None:
        check_settings(self, CHOICES, _RANGES)
        check_data_settings(self)
        check_accumulation(self)
        profiled_steps(self.profile_steps)
        self._check_width()
        if not self.genotype and not self.init_from:
            raise ConfigurationError(
                "which network? Name a published genotype, a file or a search's directory with --genotype, or a "
                "search's directory with --init_from."
            )
        if self.learning_rate_min > self.learning_rate:
            raise ConfigurationError(
                f"--learning_rate_min is {self.learning_rate_min}, above --learning_rate={self.learning_rate}, from "
                "which the rate falls. Lower it, or raise the other."
            )
        if self.warmup_epochs >= self.epochs:
            raise ConfigurationError(
                f"--warmup_epochs is {self.warmup_epochs}, which leaves none of the {self.epochs} epochs to the "
                "schedule. Lower it, or raise --epochs."
            )

    def _check_width(self) -> None:
        if self.macs_limit:
            read_quantity("macs_limit", self.macs_limit)
        elif self.init_channels == AUTO:
            raise ConfigurationError("--init_channels=auto needs to know how many may fit: --macs_limit, as 600M.")
        if self.init_channels == 1:
            raise ConfigurationError("--init_channels is 1, but must be from 2 to 4096, or auto.")

    @property
    def named_genotype(self) -> str | Path:
        """What `load_genotype` is to read: `genotype`, or else the directory `init_from`, whatever its name is."""
        return self.genotype or Path(self.init_from)

    def as_flags(self) -> dict[str, str]:
        """Returns every setting as text, by its flag's name, as a flagfile holds it."""
        return as_flags(self)

    def learning_rate_at(self, epoch: int) -> float:
        """Returns the learning rate in an epoch, counted from 0."""
        if epoch < self.warmup_epochs:
            return self.learning_rate * (epoch + 1) / self.warmup_epochs
        rates = Rates(self.learning_rate, self.learning_rate_min, self.learning_rate_decay)
        return SCHEDULES[self.schedule](rates, epoch - self.warmup_epochs, self.epochs - self.warmup_epochs)

    def drop_path_rate_at(self, epoch: int) -> float:
        """Returns the probability that a path is dropped in an epoch, counted from 0."""
        return self.drop_path * epoch / self.epochs


def flags_in(run: Run, settings: TrainSettings) -> dict[str, str]:
    """Returns settings as flags, with the name by which a training's directory knows its genotype, if it is the same.

    A relative name means another file from another working directory, and a file may have been moved: what counts is
    the genotype that it holds.
    """
    flags = settings.as_flags()
    known_as = (run.settings() or {}).get("genotype", flags["genotype"])
    if known_as == flags["genotype"]:
        return flags
    try:
        same = load_genotype(run.workdir / "genotype.json") == load_genotype(settings.named_genotype)
    except (GenotypeError, OSError):
        return flags
    return flags | {"genotype": known_as} if same else flags


CHOICES: dict[str, tuple[str, ...]] = {
    "storage": STORAGES,
    "crop": CROPS,
    "augmentation": AUGMENTATIONS,
    "network": NETWORKS,
    "drop_path_at": DROP_PATHS,
    "schedule": tuple(SCHEDULES),
    "precision": PRECISIONS,
    "strategy": STRATEGIES,
    "on_nan": ON_NAN,
}
"""Names that a setting may have."""

_RANGES: dict[str, tuple[float, float]] = {
    "image_size": (0, 4096),
    "resize_size": (0, 4096),
    "color_jitter": (0, 1),
    "validation_portion": (0, 0.9),
    "cutout": (0, 4096),
    "augmentation_operations": (1, 16),
    "augmentation_strength": (0, 1),
    "init_channels": (AUTO, 4096),
    "layers": (3, 1000),
    "drop_path": (0, 0.99),
    "auxiliary_weight": (0, 100),
    "label_smoothing": (0, 0.99),
    "epochs": (1, 100_000),
    "steps_per_epoch": (0, 10_000_000),
    "batch_size": (1, 1_000_000),
    "accumulate": (1, 1_000_000),
    "learning_rate": (0, 1e3),
    "learning_rate_min": (0, 1e3),
    "learning_rate_decay": (0, 1),
    "warmup_epochs": (0, 100_000),
    "momentum": (0, 1),
    "weight_decay": (0, 1e3),
    "gradient_clip": (0, 1e9),
    "average_decay": (0, 0.999999),
    "seed": (0, 2**31 - 1),
    "checkpoint_steps": (0, 10_000_000),
}
