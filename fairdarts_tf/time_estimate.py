"""How long a search will take here, measured by some of its own steps."""

from __future__ import annotations

import dataclasses
import os
import tempfile

from fairdarts_tf.devices import describe_device
from fairdarts_tf.durations import in_words
from fairdarts_tf.python_search import described_search
from fairdarts_tf.spaces import SearchSpace

_STEPS = 5


@dataclasses.dataclass(frozen=True)
class TimeEstimate:
    """What a search will take.

    Attributes:
        device: What it runs on, in words.
        start_up: Until the first step has ended, in seconds: building and tracing.
        seconds_per_step: Of the steps after it.
        steps: Of the whole search.

    Example:
        >>> estimate = fd.TimeEstimate("one GPU, Tesla T4", start_up=60.0, seconds_per_step=0.5, steps=2000)
        >>> estimate.seconds
        1060.0
        >>> print(estimate)
        one GPU, Tesla T4: 0.500 s a step, 2,000 steps and 60 s to start: about 18 min
    """

    device: str
    start_up: float
    seconds_per_step: float
    steps: int

    @property
    def seconds(self) -> float:
        """Of the whole search, without what is written after each epoch."""
        return self.start_up + self.steps * self.seconds_per_step

    def __str__(self) -> str:
        return (
            f"{self.device}: {self.seconds_per_step:.3f} s a step, {self.steps:,} steps and "
            f"{in_words(self.start_up)} to start: about {in_words(self.seconds)}"
        )


def estimate_search(data: object, space: SearchSpace | None = None, **settings: object) -> TimeEstimate:
    """Runs a few steps of a search in a temporary directory, and says what all of it will take.

    Args:
        data: As for `fairdarts_tf.search`.
        space: As for `fairdarts_tf.search`.
        settings: As for `fairdarts_tf.search`, without its directory.

    Raises:
        FairDartsError: When settings or data are unfit.
        KeyboardInterrupt: When it was interrupted.

    Example:
        >>> space = fd.DartsSpace(operations=("skip_connect", "sep_conv_3x3"), nodes=1, init_channels=2, layers=3)
        >>> estimate = fd.estimate_search("digits", space, epochs=20, batch_size=50)
        >>> estimate.steps, estimate.seconds > 20 * 15 * estimate.seconds_per_step
        (300, True)
    """
    from fairdarts_tf.search_run import complete_search, steps_of_epoch

    described, images = described_search(data, space, settings)
    steps = described.epochs * steps_of_epoch(described, images)
    # Two epochs without updates of the alphas would be timed as if there were none.
    short = dataclasses.replace(
        described, epochs=2, steps_per_epoch=_STEPS, warmup_epochs=0, early_stopping=(), checkpoint_steps=0
    )
    with tempfile.TemporaryDirectory() as folder:
        result = complete_search(short, os.path.join(folder, "run"), images, lambda so_far: None)
    if result.asked_to_stop is not None:
        raise KeyboardInterrupt("nothing was estimated")
    first, second = (float(row["seconds"]) for row in result.history.rows)
    return TimeEstimate(describe_device(), max(first - second, 0.0), second / _STEPS, steps)
