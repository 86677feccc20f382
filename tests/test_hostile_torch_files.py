"""PyTorch files that a stranger wrote: arrays of numbers, or refused with one line; nothing run, little taken.

Where torch is absent, what is refused before torch reads the file, or by what torch says of its tensors, is tested.
"""

from __future__ import annotations

import collections
import io
import os
import pickle
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fuzzing import FAST_AND_SLOW, fuzz, little_is_taken, nothing_runs
from hypothesis import strategies as st
from torch_stand_in import StandIn, Tensor

from fairdarts_tf.errors import RunError
from fairdarts_tf.importing.torch_checkpoints import read_torch_state

RECORDS = {"archive/data.pkl": b"x" * 99, "archive/data/0": bytes(2**22), "archive/version": b"3\n"}


def archive(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in records.items():
            target.writestr(name, content)
    return file.getvalue()


def refused(path: Path, *words: str) -> None:
    with pytest.raises(RunError) as caught, little_is_taken():
        read_torch_state(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message and len(message) < 1_000
    assert all(word in message for word in words), message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth.tar"


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packed_archive_is_refused_unread(path: Path, monkeypatch: pytest.MonkeyPatch, compression: int):
    torch = StandIn({"w": Tensor(np.zeros(4))})
    monkeypatch.setitem(sys.modules, "torch", torch)
    path.write_bytes(archive(RECORDS, compression))
    refused(path, "unpacks to")
    assert not torch.loaded
    os.truncate(path, 0)
    path.write_bytes(archive({"archive/data/0": bytes(100)}))
    assert list(read_torch_state(path)) == ["w"]


@pytest.mark.parametrize("shape", [(10**6, 10**6), (2**13, 2**13), (101,)])
def test_tensors_that_claim_more_than_the_file_holds(path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple):
    """As arrays with a stride of 0, which take no memory of their own."""
    path.write_bytes(bytes(800))
    for content in ({"w": np.broadcast_to(0.0, shape)}, {f"w{index}": np.zeros(1) for index in range(101)}):
        tensors = {name: Tensor(values) for name, values in content.items()}
        monkeypatch.setitem(sys.modules, "torch", StandIn({"state_dict": tensors}))
        refused(path, "800 bytes", "claim")


@pytest.fixture
def torch() -> ModuleType:
    torch = pytest.importorskip("torch")
    # What is imported at a first reading is imported before nothing may be.
    file = io.BytesIO()
    torch.save({"w": torch.zeros(1)}, file)
    torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    return torch


class Storage:
    """Stands for the storage of a tensor in a pickle."""


def described(torch: ModuleType, shape: tuple, stride: tuple, numbers: int = 4, offset: int = 0) -> bytes:
    """Returns a file of one tensor whose storage of four numbers is described as it is told to."""
    tensor = (Storage(), offset, shape, stride, False, collections.OrderedDict())

    class Described:
        def __reduce__(self) -> tuple:
            return torch._utils._rebuild_tensor_v2, tensor

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return ("storage", torch.FloatStorage, "0", "cpu", numbers) if isinstance(value, Storage) else None

    pickled, whole = io.BytesIO(), io.BytesIO()
    Pickler(pickled, 2).dump({"w": Described()})
    torch.save({"w": torch.arange(4.0)}, whole)
    with zipfile.ZipFile(whole) as records:
        contents = {name: records.read(name) for name in records.namelist()}
    return archive(contents | {name: pickled.getvalue() for name in contents if name.endswith("data.pkl")})


@pytest.mark.parametrize(
    "claim",
    [
        {"shape": (10**6, 10**6), "stride": (0, 0)},
        {"shape": (2**14, 2**14), "stride": (0, 0)},
        {"shape": (2**40, 2**40), "stride": (0, 0)},
        {"shape": (10**6, 10**4), "stride": (10**4, 1)},
        {"shape": (4,), "stride": (1,), "numbers": 10**12},
        {"shape": (4,), "stride": (1,), "offset": 10**12},
        {"shape": (-1, 4), "stride": (4, 1)},
    ],
    ids=str,
)
def test_torch_with_false_descriptions(path: Path, torch: ModuleType, claim: dict):
    path.write_bytes(described(torch, (2, 2), (2, 1)))
    np.testing.assert_array_equal(read_torch_state(path)["w"], [[0, 1], [2, 3]])
    path.write_bytes(described(torch, **claim))
    refused(path)


NO_PLAIN_TENSORS: dict[str, Callable[[ModuleType], object]] = {
    "sparse": lambda torch: torch.sparse_coo_tensor(
        torch.zeros(2, 1, dtype=torch.int64), torch.ones(1), (10**9, 10**9)
    ),
    "without content": lambda torch: torch.empty((10**6, 10**6), device="meta"),
    "complex": lambda torch: torch.ones(2, dtype=torch.complex64),
}


@pytest.mark.parametrize("made", NO_PLAIN_TENSORS.values(), ids=NO_PLAIN_TENSORS.keys())
def test_torch_with_other_tensors(path: Path, torch: ModuleType, made: Callable[[ModuleType], object]):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"w": made(torch)}, path)
        refused(path)


@FAST_AND_SLOW
@pytest.mark.parametrize("old", [False, True], ids=["zip", "old format"])
def test_torch_with_damaged_files(path: Path, torch: ModuleType, examples: int, old: bool):
    """Read, or refused with the file's name; no other exception, and nothing of it run."""
    whole = io.BytesIO()
    state = {"stem.weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2, dtype=torch.float16)}
    torch.save({"epoch": 3, "state_dict": state}, whole, _use_new_zipfile_serialization=not old)
    content = whole.getvalue()
    changes = st.tuples(st.integers(0, len(content)), st.integers(0, 3), st.binary(max_size=4))

    def check(damage: list[tuple[int, int, bytes]]) -> None:
        harmed = content
        for position, removed, put in damage:
            harmed = harmed[:position] + put + harmed[position + removed :]
        path.write_bytes(harmed)
        with nothing_runs():
            try:
                found = read_torch_state(path)
            except RunError as error:
                assert path.name in str(error) and "\n" not in str(error)
                return
        assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in found.values())

    fuzz(check, st.lists(changes, min_size=1, max_size=3), examples)


@FAST_AND_SLOW
def test_torch_with_any_description(path: Path, torch: ModuleType, examples: int):
    numbers = st.sampled_from([-1, 0, 1, 2, 4, 5, 2**20, 2**31, 2**62])
    sizes = st.lists(numbers, max_size=4).map(tuple)

    def check(claim: tuple) -> None:
        shape, stride, count, offset = claim
        path.write_bytes(described(torch, shape, stride, count, offset))
        try:
            found = read_torch_state(path)["w"]
        except RunError as error:
            assert path.name in str(error)
            return
        assert found.nbytes <= path.stat().st_size

    with little_is_taken():
        fuzz(check, st.tuples(sizes, sizes, numbers, numbers), examples)
