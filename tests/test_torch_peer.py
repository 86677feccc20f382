"""The PyTorch peer of the benchmark against the authors' code, step by step."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from golden import Golden, relative_error

from fairdarts_tf.genotypes import Genotype, reachable_items

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'fairdarts_tf[torch]'", exc_type=ImportError)

from benchmarks.torch_network import Network, NetworkTraining  # noqa: E402
from benchmarks.torch_supernet import BilevelSearch, Supernet, load_reference  # noqa: E402

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
TOLERANCE = 1e-6
"""In float64 the rounding of the reference values, which are stored in float32, is all that is left."""


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other in many small layers crawl where other programs use the processor too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def as_tensor(images: np.ndarray, memory_format: str) -> torch.Tensor:
    tensor = torch.from_numpy(images.astype(np.float64)).permute(0, 3, 1, 2)
    return tensor.contiguous(memory_format=FORMATS[memory_format])


def in_format(model: torch.nn.Module, memory_format: str) -> torch.nn.Module:
    return model.double().to(memory_format=FORMATS[memory_format])


def search_of(golden: Golden, memory_format: str) -> BilevelSearch:
    config = golden.config
    supernet = Supernet(config["channels"], config["layers"], config["classes"])
    supernet.load_reference(golden.under("state/"), golden.under("alphas/"))
    return BilevelSearch(in_format(supernet, memory_format), config["zero_one"])


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("file", ["supernet_l2", "supernet_l1"])
def test_search_follows_the_reference(shared, file, memory_format):
    golden = Golden(shared / "golden" / f"{file}.npz")
    search = search_of(golden, memory_format)
    supernet = search.supernet
    worst: dict[str, float] = {}

    def note(name: str, found: object, expected: np.ndarray) -> None:
        found = found.detach().numpy() if torch.is_tensor(found) else found
        worst[name] = max(worst.get(name, 0.0), relative_error(found, expected))

    def inference() -> torch.Tensor:
        with torch.no_grad():
            return supernet.eval()(as_tensor(golden["eval/images"], memory_format))

    def training_logits(images: torch.Tensor) -> torch.Tensor:
        kept = {name: value.clone() for name, value in supernet.state_dict().items()}
        with torch.no_grad():
            logits = supernet.train()(images)
        supernet.load_state_dict(kept)
        return logits

    note("inference", inference(), golden["eval/logits"])
    for step in range(golden.config["steps"]):
        images, labels = ({}, {})
        for half in ("search", "train"):
            images[half] = as_tensor(golden[f"step{step}/{half}_images"], memory_format)
            labels[half] = torch.from_numpy(golden[f"step{step}/{half}_labels"].astype(np.int64))
        note("zero-one", search.zero_one_loss(), golden[f"step{step}/zero_one"])
        loss = search.alpha_step(images["search"], labels["search"])
        note("losses", loss, golden[f"step{step}/search_cross_entropy"])
        for kind, table in supernet.alphas.items():
            note("alpha gradients", table.grad, golden[f"step{step}/alpha_grad/{kind}"])
            note("alphas", table, golden[f"step{step}/alphas/{kind}"])
        note("training logits", training_logits(images["train"]), golden[f"step{step}/train_logits"])
        loss, norm = search.weight_step(images["train"], labels["train"])
        note("losses", loss, golden[f"step{step}/train_cross_entropy"])
        note("gradient norm", norm, golden[f"step{step}/grad_norm"])
    note("final inference", inference(), golden["final/eval_logits"])
    state = supernet.state_dict()
    for name, expected in golden.under("final_state/").items():
        note("final state", state[name], expected)
    print(f"\n{file} {memory_format}: " + ", ".join(f"{name} {error:.1e}" for name, error in worst.items()))
    assert len(worst) == 9
    assert {name for name, error in worst.items() if not error <= TOLERANCE} == set()


def numbered(state: dict[str, np.ndarray], genotype: Genotype, kinds: list[str]) -> dict[str, np.ndarray]:
    """Renames operations that are named by their edge, as FairDARTS does, to their place in the genotype."""
    places = {}
    for kind in set(kinds):
        on_edge: Counter[tuple[int, int]] = Counter()
        for number, item in enumerate(reachable_items(genotype.items(kind))):
            edge = (item.to, item.source)
            places[kind, f"{item.to}.{item.source}.{on_edge[edge]}"] = number
            on_edge[edge] += 1

    def rename(match: re.Match[str]) -> str:
        return f"cells.{match[1]}._ops.{places[kinds[int(match[1])], match[2]]}."

    return {re.sub(r"cells\.(\d+)\._ops\.(\d+\.\d+\.\d+)\.", rename, name): value for name, value in state.items()}


def network_of(golden: Golden, memory_format: str) -> Network:
    config = golden.config
    genotype = Genotype.load(config["arch"])
    network = Network(genotype, config["channels"], config["layers"], config["classes"])
    kinds = ["reduce" if index in network.reductions else "normal" for index in range(config["layers"])]
    load_reference(network, numbered(golden.under("state/"), genotype, kinds))
    return in_format(network, memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("file", ["network_fairdarts_a", "network_darts_v2"])
def test_network_follows_the_reference(shared, file, memory_format):
    golden = Golden(shared / "golden" / f"{file}.npz")
    network = network_of(golden, memory_format)
    images = as_tensor(golden["images"], memory_format)
    with torch.no_grad():
        worst = {"inference": relative_error(network.eval()(images), golden["eval/logits"])}
        logits, auxiliary_logits = network.train()(images)
    worst["training"] = relative_error(logits, golden["train/logits"])
    worst["auxiliary"] = relative_error(auxiliary_logits, golden["train/aux_logits"])
    print(f"\n{file} {memory_format}: " + ", ".join(f"{name} {error:.1e}" for name, error in worst.items()))
    assert max(worst.values()) <= TOLERANCE


def test_training_steps_reduce_the_loss(shared):
    golden = Golden(shared / "golden" / "network_fairdarts_a.npz")
    training = NetworkTraining(network_of(golden, "contiguous"))
    images, labels = as_tensor(golden["images"], "contiguous"), torch.arange(4)
    losses = [training.step(images, labels) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_dropped_nodes_are_zero_or_scaled(shared):
    golden = Golden(shared / "golden" / "network_fairdarts_a.npz")
    network = network_of(golden, "contiguous")
    images = as_tensor(golden["images"], "contiguous")
    torch.manual_seed(0)
    with torch.no_grad():
        kept = network.cells[0].train()(network.stem.eval()(images), network.stem(images), drop_path=0.0)
        dropped = network.cells[0](network.stem(images), network.stem(images), drop_path=0.5)
    ratios = [
        torch.where(node == 0, torch.zeros_like(node), found / node).mean().item()
        for a, b in zip(kept, dropped, strict=True)
        for node, found in zip(a.chunk(3), b.chunk(3), strict=True)
    ]
    assert {round(ratio, 6) for ratio in ratios} == {0.0, 2.0}


def test_state_that_does_not_fit_is_refused(shared):
    golden = Golden(shared / "golden" / "supernet_l1.npz")
    supernet = Supernet(golden.config["channels"], golden.config["layers"])
    with pytest.raises(KeyError):
        supernet.load_reference(golden.under("state/"), {})
