"""The worker of the PyTorch peer: search, training and inference, step by step on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from benchmarks.torch_network import Network, NetworkTraining
from benchmarks.torch_supernet import BilevelSearch, Supernet
from fairdarts_tf.benchmarking.channel import FIRST_STEP, Channel, serve
from fairdarts_tf.benchmarking.settings import NUM_CLASSES, BenchmarkSettings
from fairdarts_tf.genotypes import Genotype

DROP_PATH = 0.2
_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
_BATCHES_IN_MEMORY = 8


def main(channel: Channel, settings_text: str, memory_format: str) -> None:
    """Builds what is to be measured, runs its first step and then as many as are asked for."""
    settings = BenchmarkSettings.from_json(settings_text)
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        channel.device_memory = torch.cuda.max_memory_allocated
    channel.describe(device="GPU" if on_gpu else "CPU", torch=torch.__version__, memory_format=memory_format)
    channel.phase("import")
    bench = Bench(settings, memory_format, "cuda" if on_gpu else "cpu")
    parts = {"search": bench.search, "train": bench.train, "inference": bench.inference}[settings.what]()
    channel.phase("build")
    synchronize = torch.cuda.synchronize if on_gpu else lambda: None
    parts["step"]()
    synchronize()
    channel.phase(FIRST_STEP)
    serve(channel, parts, synchronize)


class Bench:
    """What is measured: functions that run one step each, by name.

    Args:
        settings: Sizes.
        memory_format: ``"contiguous"`` or ``"channels_last"``.
        device: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(self, settings: BenchmarkSettings, memory_format: str, device: str) -> None:
        torch.manual_seed(0)
        self.settings = settings
        self.memory_format = _FORMATS[memory_format]
        self.device = device

    def search(self) -> dict[str, Callable[[], object]]:
        """Returns a bilevel step of the supernet, and its halves."""
        settings = self.settings
        search = BilevelSearch(self._placed(Supernet(settings.init_channels, settings.layers, NUM_CLASSES)))
        batches = self._batches()

        def alphas() -> None:
            search.alpha_step(*next(batches))

        def weights() -> None:
            search.weight_step(*next(batches))

        def step() -> None:
            alphas()
            weights()

        return {"step": step, "alphas": alphas, "weights": weights}

    def train(self) -> dict[str, Callable[[], object]]:
        """Returns a step of the found network's training."""
        network = self._placed(self._network(auxiliary=True))
        network.drop_path = DROP_PATH
        training = NetworkTraining(network)
        batches = self._batches()
        return {"step": lambda: training.step(*next(batches))}

    def inference(self) -> dict[str, Callable[[], object]]:
        """Returns the way from uint8 images (batch, height, width, channels) to probabilities."""
        network = self._placed(self._network(auxiliary=False)).eval()
        side = self.settings.image_size
        images = torch.randint(0, 256, (self.settings.batch_size, side, side, 3), dtype=torch.uint8)

        @torch.inference_mode()
        def step() -> torch.Tensor:
            batch = images.to(self.device).permute(0, 3, 1, 2).float().div(255).sub(0.5).div(0.25)
            return network(batch.contiguous(memory_format=self.memory_format)).softmax(dim=1).cpu()

        return {"step": step}

    def _network(self, auxiliary: bool) -> Network:
        settings = self.settings
        genotype = Genotype.load(settings.genotype)
        return Network(genotype, settings.init_channels, settings.layers, NUM_CLASSES, auxiliary)

    def _placed(self, module: nn.Module) -> nn.Module:
        return module.to(self.device).to(memory_format=self.memory_format)

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yields batches that lie ready in memory, without end: loading and augmentation cost this program nothing."""
        size, side = self.settings.batch_size, self.settings.image_size
        batches = [
            (
                torch.randn(size, 3, side, side).to(self.device).contiguous(memory_format=self.memory_format),
                torch.randint(0, NUM_CLASSES, (size,)).to(self.device),
            )
            for _ in range(_BATCHES_IN_MEMORY)
        ]
        while True:
            yield from batches
