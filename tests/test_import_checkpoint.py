"""The command `import_checkpoint`: checkpoints of the authors in, a trained network's directory out."""

from __future__ import annotations

import errno
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from golden import Golden, relative_error
from torch_stand_in import StandIn, Tensor

from fairdarts_tf.cli.import_checkpoint import COMMAND, main
from fairdarts_tf.data.statistics import KNOWN
from fairdarts_tf.found_network import load_found_network, read_weights
from fairdarts_tf.genotypes import Genotype, GenotypeItem
from fairdarts_tf.importing import network as imported_network
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.reference_weights import read_reference_state

GENOTYPE = Genotype(
    normal=(GenotypeItem("sep_conv_3x3", 2, 0), GenotypeItem("skip_connect", 2, 1)),
    normal_concat=(2,),
    reduce=(GenotypeItem("dil_conv_3x3", 2, 0), GenotypeItem("skip_connect", 2, 1)),
    reduce_concat=(2,),
)
SIZES = {"num_classes": 10, "init_channels": 2, "layers": 3}


def network_of(stem: str = "cifar", **sizes: object) -> DartsNetwork:
    network = DartsNetwork(GENOTYPE, stem=stem, **SIZES | sizes)
    network.build((None, 32, 32, 3))
    return network


@pytest.fixture(scope="module")
def network() -> DartsNetwork:
    return network_of(auxiliary=True)


@pytest.fixture(scope="module")
def state(network: DartsNetwork) -> dict[str, np.ndarray]:
    return read_reference_state(network)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with a checkpoint, which a stand-in for torch reads, and the genotype.

    As far as its size goes, it could hold the weights.
    """
    (tmp_path / "model.pth.tar").touch()
    os.truncate(tmp_path / "model.pth.tar", 2**28)
    GENOTYPE.save(tmp_path / "genotype.json")
    return tmp_path


def tensors(state: dict[str, np.ndarray], prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{name}": Tensor(value) for name, value in state.items()}


def without_head(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value for name, value in state.items() if not name.startswith("auxiliary_head.")}


def command(files: Path, *arguments: str) -> int:
    """Runs the command in this process on the files of a test; later flags replace earlier ones."""
    own = (f"--genotype={files / 'genotype.json'}", f"--output_dir={files / 'out'}")
    return COMMAND.execute(main, ["import_checkpoint", str(files / "model.pth.tar"), *own, *arguments])


def refusal(capsys: pytest.CaptureFixture[str], files: Path, *arguments: str) -> str:
    """Runs the command, checks that it refused and left nothing, and returns its line."""
    before = sorted(files.rglob("*"))
    assert command(files, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert sorted(files.rglob("*")) == before
    return captured.err


@pytest.mark.parametrize("wrapping", ["bare", "state_dict", "model"])
def test_leaves_what_a_training_leaves(monkeypatch, capsys, files, network, state, wrapping):
    counters = {
        "stem.1.num_batches_tracked": np.int64(7),
        "total_ops": np.zeros(1),
        "cells.0.total_params": np.zeros(1),
    }
    content = {
        "bare": tensors(state),
        "state_dict": {"epoch": 600, "state_dict": tensors(without_head(state) | counters, prefix="module.")},
        "model": {"model": tensors({name: value.astype("float64") for name, value in state.items()})},
    }[wrapping]
    torch = StandIn(content)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert command(files) == 0
    assert torch.loaded == [(files / "model.pth.tar", {"map_location": "cpu", "weights_only": True})]
    assert str(files / "out") in capsys.readouterr().out
    assert sorted(path.name for path in (files / "out").iterdir()) == ["genotype.json", "last.npz", "model.json"]
    found = load_found_network(files / "out")
    expected = read_weights(network)
    weights = read_weights(found.network)
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], expected[name]) for name in expected)
    assert found.network.genotype == GENOTYPE
    assert (found.class_names[0], found.class_names[9], found.dataset) == ("airplane", "truck", "cifar10")
    assert found.image_shape == (32, 32, 3)
    np.testing.assert_array_equal([found.mean, found.std], np.array(KNOWN["cifar10"][1:], np.float32))


def test_a_network_of_imagenet_is_described_by_flags(monkeypatch, files):
    network = network_of("imagenet", num_classes=3)
    monkeypatch.setitem(sys.modules, "torch", StandIn(tensors(read_reference_state(network))))
    (files / "names.txt").write_text("great white shark, white shark\ngoldfish\ntench\n")
    described = ("--dataset=imagenet2012", "--mean=0.485,0.456,0.406", "--std=0.229,0.224,0.225")
    sizes = ("--network=imagenet", "--init_channels=2", "--layers=3", "--num_classes=3")
    assert command(files, *described, *sizes, f"--class_names={files / 'names.txt'}") == 0
    found = load_found_network(files / "out")
    assert found.class_names == ("great white shark, white shark", "goldfish", "tench")
    assert found.image_shape == (224, 224, 3)
    np.testing.assert_allclose(found.std, [0.229, 0.224, 0.225])
    assert found.network.stem_name == "imagenet"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--init_channels=36"], "fits --init_channels=2"),
        (["--layers=20"], "fits --layers=3"),
        (["--num_classes=100"], "fits --num_classes=10"),
        (["--network=imagenet"], "fits --network=cifar"),
        (["--genotype=FairDARTS_a"], "no network of the genotype"),
        (["--genotype=FairDARTS_z"], "Did you mean"),
        (["--class_names=cat,dog"], "--class_names has 2 names"),
        (["--dataset=places"], "--image_size"),
        (["--dataset=places", "--image_size=32"], "--mean and --std"),
        (["--mean=0.5,0.5,0.5"], "--mean and --std"),
        (["--mean=0.5", "--std=0.5"], "have 3 channels"),
        (["--mean=125,125,125", "--std=60,60,60"], "by 255"),
        (["--mean=a,b,c", "--std=1,1,1"], "must be numbers"),
        (["--output_dir="], "--output_dir"),
        (["--genotype="], "--genotype"),
        (["another.pt"], "'another.pt'"),
    ],
)
def test_flags_that_contradict_the_checkpoint_are_refused(monkeypatch, capsys, files, state, flags, message):
    monkeypatch.setitem(sys.modules, "torch", StandIn(tensors(state)))
    assert message in refusal(capsys, files, *flags)


def test_another_data_set_is_asked_for(monkeypatch, capsys, files):
    monkeypatch.setitem(sys.modules, "torch", StandIn(tensors(read_reference_state(network_of(num_classes=7)))))
    for dataset, count in (("cifar10", 10), ("cifar100", 100), ("tfds:imagenet2012:5.1.0", 1000)):
        line = refusal(capsys, files, f"--dataset={dataset}")
        assert f"7 classes apart, but --dataset={dataset} has {count}" in line
    assert command(files, "--dataset=cifar100", "--class_names=a,b,c,d,e,f,g") == 0


def test_weights_that_do_not_fit_are_named(monkeypatch, capsys, files, state):
    name = "cells.1._ops.2.0.0.op.1.weight"
    missing = {key: value for key, value in state.items() if key != name}
    for broken, message in (
        (missing, f"{name!r} is missing"),
        (state | {"cells.2.x": np.zeros(1)}, "'cells.2.x' is left over"),
        (state | {name: np.zeros((4, 1, 5, 5))}, f"{name!r} has shape"),
        (state | {name: np.full((4, 1, 3, 3), np.nan)}, f"{name!r} holds values that are not finite"),
        ({"fc.weight": np.zeros((2, 2))}, "none of a network of DARTS"),
    ):
        monkeypatch.setitem(sys.modules, "torch", StandIn(tensors(broken)))
        assert message in refusal(capsys, files)


@pytest.mark.parametrize(
    "content", [{}, [Tensor(0)], {"state_dict": {"epoch": 3}}, {3: Tensor(0)}, EOFError(), RuntimeError("zip\narchive")]
)
def test_what_is_no_state_is_refused(monkeypatch, capsys, files, content):
    monkeypatch.setitem(sys.modules, "torch", StandIn(content))
    assert "model.pth.tar" in refusal(capsys, files)


def test_a_truncated_file_is_named(monkeypatch, capsys, files):
    """Of a truncated archive torch raises an OSError that names no file."""
    monkeypatch.setitem(sys.modules, "torch", StandIn(OSError(errno.EINVAL, "Invalid argument")))
    assert "model.pth.tar is broken or truncated" in refusal(capsys, files)


def test_torch_itself_refuses_a_truncated_file(capsys, files, state):
    torch = pytest.importorskip("torch")
    content = {"state_dict": {name: torch.from_numpy(np.array(value)) for name, value in state.items()}}
    torch.save(content, files / "model.pth.tar")
    whole = (files / "model.pth.tar").read_bytes()
    for size in range(0, len(whole), 1 + len(whole) // 20):
        (files / "model.pth.tar").write_bytes(whole[:size])
        assert "model.pth.tar is broken or truncated" in refusal(capsys, files)
    assert "model.pth.tar is broken or truncated" in refusal(capsys, files)


def test_an_absent_file_is_named(monkeypatch, capsys, files, state):
    monkeypatch.setitem(sys.modules, "torch", StandIn(tensors(state)))
    (files / "model.pth.tar").unlink()
    assert "there is no file" in refusal(capsys, files)


def test_says_how_to_install_torch(monkeypatch, capsys, files):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'fairdarts_tf[torch]'" in refusal(capsys, files)


def test_a_torch_that_may_run_code_is_not_used(monkeypatch, capsys, files, state):
    torch = StandIn(tensors(state))
    torch.__version__ = "2.5.1+cpu"
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert "pip install --upgrade 'fairdarts_tf[torch]'" in refusal(capsys, files)
    assert not torch.loaded


def test_what_exists_is_not_overwritten(monkeypatch, capsys, files, state):
    torch = StandIn(tensors(state))
    monkeypatch.setitem(sys.modules, "torch", torch)
    (files / "out").mkdir()
    (files / "out" / "last.npz").write_text("precious")
    assert "no empty directory" in refusal(capsys, files)
    assert (files / "out" / "last.npz").read_text() == "precious"
    assert not torch.loaded


def test_a_full_disk_leaves_nothing(monkeypatch, capsys, files, state):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(sys.modules, "torch", StandIn(tensors(state)))
    monkeypatch.setattr(imported_network, "save_weights", fail)
    assert "No space left" in refusal(capsys, files)


class Hostile:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_file_that_would_run_code_is_refused(monkeypatch, capsys, files):
    (files / "model.pth.tar").write_bytes(pickle.dumps({"state_dict": Hostile(files / "mark")}))
    reason = "Weights only load failed.\nUnsupported global: GLOBAL posix.mkdir was not an allowed global by default."
    torch = StandIn(pickle.UnpicklingError(reason))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert "(posix.mkdir), which could run code" in refusal(capsys, files)
    assert torch.loaded[0][1]["weights_only"] is True


def test_torch_itself_refuses_such_a_file(capsys, files):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": Hostile(files / "mark")}, files / "model.pth.tar")
    assert "mkdir), which could run code" in refusal(capsys, files)
    (files / "model.pth.tar").write_bytes(pickle.dumps(Hostile(files / "mark")))
    assert "model.pth.tar is broken" in refusal(capsys, files)


@pytest.mark.parametrize("old", [False, True], ids=["zip and NumPy 2", "old format and NumPy 1"])
def test_numpy_scalars_beside_the_weights_are_passed_over(monkeypatch, capsys, files, network, state, old):
    """As the authors' train_imagenet.py may leave them."""
    torch = pytest.importorskip("torch")
    numbers = {
        "best_acc_top1": np.float64(75.1),
        "epoch": np.int64(249),
        "is_best": np.bool_(True),
        "lr": np.float32(1),
    }
    weights = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    content = {"state_dict": weights} | numbers
    torch.save(content, files / "model.pth.tar", _use_new_zipfile_serialization=not old)
    if old:
        written = (files / "model.pth.tar").read_bytes()
        assert b"numpy._core.multiarray" in written
        (files / "model.pth.tar").write_bytes(written.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert command(files) == 0
    capsys.readouterr()
    found = read_weights(load_found_network(files / "out").network)
    assert all(np.array_equal(found[name], value) for name, value in read_weights(network).items())
    torch.save({"state_dict": weights | {"stem.0.weight": np.float64(1)}}, files / "model.pth.tar")
    assert "not a tensor" in refusal(capsys, files, f"--output_dir={files / 'other'}")


def test_a_numpy_scalar_opens_no_way_for_code(capsys, files):
    torch = pytest.importorskip("torch")
    torch.save({"best": np.float64(1), "state_dict": Hostile(files / "mark")}, files / "model.pth.tar")
    assert "mkdir), which could run code" in refusal(capsys, files)
    torch.save({"state_dict": np.array([Hostile(files / "mark")], dtype=object)}, files / "model.pth.tar")
    assert "could run code" in refusal(capsys, files)


@pytest.mark.parametrize("reader", ["stand_in", "torch"])
def test_an_imported_network_computes_what_the_authors_does(shared, monkeypatch, files, reader):
    golden = Golden(shared / "golden" / "network_darts_v2.npz")
    if reader == "torch":
        torch = pytest.importorskip("torch")
        reference = {name: torch.from_numpy(value) for name, value in golden.under("state/").items()}
        torch.save({"epoch": 1, "state_dict": reference}, files / "model.pth.tar")
    else:
        monkeypatch.setitem(sys.modules, "torch", StandIn({"state_dict": tensors(golden.under("state/"))}))
    found = imported_network.import_checkpoint(
        files / "model.pth.tar", Genotype.load("DARTS_V2"), files / "new" / "out"
    )
    for network in (found.network, load_found_network(files / "new" / "out").network):
        assert relative_error(network(golden["images"], training=False), golden["eval/logits"]) <= 1e-4
