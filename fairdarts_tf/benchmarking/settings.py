"""What is measured, of which size and how often."""

from __future__ import annotations

import dataclasses
import json

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.settings_checks import check_settings

NUM_CLASSES = 10
NO_PEER = "none"
PEERS = {"torch": "contiguous", "torch_channels_last": "channels_last"}
"""Every peer by name, with the order in which it holds images in memory."""


@dataclasses.dataclass(frozen=True)
class BenchmarkSettings:
    """The settings of a benchmark; each field is a flag of the same name.

    Args:
        what: ``search``: a bilevel step of a supernet; ``train``: a step of a found network's training;
            ``inference``: a batch of uint8 images to probabilities.
        peer: What to compare with: ``torch``, ``torch_channels_last`` (the same in the memory order that suits CPUs
            and tensor cores), both, comma-separated, or ``none``.
        genotype: The found network's cells: a published name, a file or a search's directory. A search needs none.
        init_channels: Channels of a node in the first cells; 0: 16 for a search, else 36.
        layers: Number of cells; 0: 8 for a search, else 20.
        batch_size: Images of a step, in each half; 0: 96 for a training, else 64.
        image_size: Side of the images, in pixels.
        rounds: How often the programs take turns; medians are over rounds.
        steps: Steps of a turn; 0: as many as take about a second.
        starts: How often each program is started; start-up is the median.
        halves: Whether the two halves of a search's step are measured on their own too, which takes a trace of each.

    Raises:
        ConfigurationError: When a value is outside its range, or there is no such peer.
        GenotypeError: When the genotype cannot be read.
    """

    what: str = "search"
    peer: tuple[str, ...] = ("torch",)
    genotype: str = "FairDARTS_a"
    init_channels: int = 0
    layers: int = 0
    batch_size: int = 0
    image_size: int = 32
    rounds: int = 5
    steps: int = 0
    starts: int = 1
    halves: bool = True

    def __post_init__(self) -> None:
        check_settings(self, CHOICES, {"image_size": (4, 4096)})
        for name, usual in _USUAL[self.what].items():
            object.__setattr__(self, name, getattr(self, name) or usual)
        check_settings(self, {}, _RANGES)
        if not self.peer or len(set(self.peer)) < len(self.peer) or (NO_PEER in self.peer and len(self.peer) > 1):
            raise ConfigurationError(f"--peer={','.join(self.peer)}: name each peer once, or {NO_PEER} alone.")
        if self.what != "search":
            Genotype.load(self.genotype)

    @property
    def peers(self) -> tuple[str, ...]:
        """The names of the peers, none where there are none."""
        return tuple(name for name in self.peer if name != NO_PEER)

    @property
    def halves_to_time(self) -> tuple[str, ...]:
        """The halves of a step that are timed on their own."""
        return ("alphas", "weights") if self.what == "search" and self.halves else ()

    @property
    def images_per_step(self) -> int:
        """Images that a step computes on: of a search those of both halves."""
        return self.batch_size * (2 if self.what == "search" else 1)

    def to_json(self) -> str:
        """Returns the settings as one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BenchmarkSettings:
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))


_USUAL = {
    "search": {"init_channels": 16, "layers": 8, "batch_size": 64},
    "train": {"init_channels": 36, "layers": 20, "batch_size": 96},
    "inference": {"init_channels": 36, "layers": 20, "batch_size": 64},
}
CHOICES: dict[str, tuple[str, ...]] = {"what": tuple(_USUAL), "peer": (*PEERS, NO_PEER)}
"""Names that a setting, or each item of one that lists several, may have."""

_RANGES: dict[str, tuple[float, float]] = {
    "init_channels": (2, 4096),
    "layers": (3, 1000),
    "batch_size": (1, 1_000_000),
    "rounds": (1, 100_000),
    "steps": (0, 1_000_000),
    "starts": (1, 1000),
}
