"""What a stranger may leave in a run's directory: weights, checkpoints, descriptions, histories."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fuzzing import FAST_AND_SLOW, fuzz, little_is_taken, nothing_runs
from hypothesis import strategies as st

from fairdarts_tf.archives import ArchiveError, read_arrays, read_numbers
from fairdarts_tf.checkpoints import load_checkpoint, save_checkpoint
from fairdarts_tf.errors import FairDartsError, RunError
from fairdarts_tf.found_network import FoundNetwork, load_found_network, read_weights, save_description, save_weights
from fairdarts_tf.genotypes import Genotype, GenotypeItem
from fairdarts_tf.history import COLUMNS
from fairdarts_tf.network import DartsNetwork
from fairdarts_tf.report.run_records import read_columns

ITEMS = (GenotypeItem("skip_connect", 2, 0),)


def refused(read: Callable[[], object], *words: str) -> str:
    with pytest.raises(RunError) as caught, little_is_taken():
        read()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1_000 and all(word in message for word in words), message
    return message


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a network, as a training leaves it, with weights that nobody has trained."""
    directory = tmp_path_factory.mktemp("whole")
    genotype = Genotype(normal=ITEMS, normal_concat=(2,), reduce=ITEMS, reduce_concat=(2,))
    network = DartsNetwork(genotype, 2, init_channels=2, layers=3, name="network")
    network.build((None, 8, 8, 3))
    found = FoundNetwork(network, ("ant", "cat"), (8, 8, 3), np.full(3, 0.5, np.float32), np.ones(3, np.float32))
    save_description(directory, found)
    save_weights(directory, "last", read_weights(network))
    return directory


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy to be harmed."""
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


CLAIM = npy(np.zeros((2, 2), np.float32)).replace(b"(2, 2)", b"(2000000, 2000000)")
ARCHIVES = {
    "empty": b"",
    "text": b"no archive",
    "a bare array": npy(np.zeros(3)),
    "a pickle": npy(np.array([{}], object)),
    "a pickle within": archive({"step.npy": npy(np.array([{}], object))}),
    "a claim": archive({"step.npy": CLAIM}),
    "a bomb": archive({"step.npy": bytes(2**26)}, zipfile.ZIP_DEFLATED),
    "no array": archive({"step.npy": b"text", "format_version.npy": npy(np.int64(1))}),
    "other files": archive({"readme.txt": b"text"}),
    "texts": archive({"step.npy": npy(np.array("5")), "format_version.npy": npy(np.int64(1))}),
    "infinite": archive({"step.npy": npy(np.array(np.inf)), "format_version.npy": npy(np.int64(1))}),
    "many": archive({"step.npy": npy(np.zeros(3)), "format_version.npy": npy(np.int64(1))}),
    "packed otherwise": archive(
        {"step.npy": npy(np.int64(3)), "format_version.npy": npy(np.int64(1))}, zipfile.ZIP_LZMA
    ),
}


@pytest.mark.parametrize("content", ARCHIVES.values(), ids=ARCHIVES.keys())
def test_checkpoints_and_weights_that_are_none(run: Path, content: bytes):
    checkpoint = run / "checkpoint-000000001.npz"
    checkpoint.write_bytes(content)
    refused(lambda: load_checkpoint(checkpoint), checkpoint.name)
    (run / "last.npz").write_bytes(content)
    refused(lambda: load_found_network(run), "last.npz")


def test_weights_that_are_no_numbers(run: Path):
    with np.load(run / "last.npz") as weights:
        texts = {name: array.astype("U") for name, array in weights.items()}
    np.savez(run / "last.npz", **texts)
    refused(lambda: load_found_network(run), "last.npz")


@pytest.mark.parametrize("name", ["model.json", "last.npz", "genotype.json"])
def test_what_is_no_file_keeps_nobody_waiting(run: Path, name: str):
    (run / name).unlink()
    os.mkfifo(run / name)
    with pytest.raises((FairDartsError, OSError)):
        load_found_network(run)
    os.unlink(run / name)
    (run / name).mkdir()
    with pytest.raises((FairDartsError, OSError)):
        load_found_network(run)


def test_a_checkpoint_that_is_a_pipe(tmp_path: Path):
    os.mkfifo(tmp_path / "checkpoint-000000001.npz")
    refused(lambda: load_checkpoint(tmp_path / "checkpoint-000000001.npz"))


@FAST_AND_SLOW
def test_damaged_archives(tmp_path: Path, examples: int):
    """Read, or an error that the reader's callers expect; and never in another state than was saved."""
    arrays = {"state": np.arange(6, dtype=np.float32), "rows": np.frombuffer(b"[]", np.uint8)}
    saved = save_checkpoint(tmp_path, 3, arrays)
    content = saved.read_bytes()
    changes = st.tuples(st.integers(0, len(content)), st.integers(0, 3), st.binary(max_size=4))

    def check(damage: list[tuple[int, int, bytes]]) -> None:
        harmed = content
        for position, removed, put in damage:
            harmed = harmed[:position] + put + harmed[position + removed :]
        saved.write_bytes(harmed)
        for read in (read_arrays, read_numbers, load_checkpoint):
            with nothing_runs():
                try:
                    found = read(saved)
                except (ArchiveError, RunError) as error:
                    assert str(error)
                    continue
            for name in {"state", "rows"} & set(found):
                np.testing.assert_array_equal(found[name], arrays[name])

    fuzz(check, st.lists(changes, min_size=1, max_size=3), examples)


DESCRIPTIONS = {
    "nested": "[" * 100_000,
    "digits": '{"format_version": ' + "9" * 5000 + "}",
    "a long version": '{"format_version": "' + "x" * 5000 + '"}',
    "no text": "\udcff",
    "a list": "[1]",
    "a number": "1",
    "too much": " " * (2**26 + 1),
}


@pytest.mark.parametrize("text", DESCRIPTIONS.values(), ids=DESCRIPTIONS.keys())
def test_descriptions_that_are_none(run: Path, text: str):
    (run / "model.json").write_bytes(os.fsencode(text))
    refused(lambda: load_found_network(run), "model.json")


def _set(document: dict, path: tuple[str | int, ...], value: object) -> dict:
    *way, last = path
    inner = document
    for step in way:
        inner = inner[step]
    inner[last] = value
    return document


UNFIT = [None, True, "3", 3.0, -1, 0, 10**9, 10**400, float("nan"), float("inf"), [], [1], {}, {"a": 1}]


@pytest.mark.parametrize(
    "path",
    [
        *(("network", name) for name in ("num_classes", "init_channels", "layers", "stem")),
        *(("image_shape", side) for side in range(3)),
        *((name, 0) for name in ("mean", "std")),
        *((name,) for name in ("network", "image_shape", "class_names", "mean", "std", "format_version")),
    ],
    ids=str,
)
def test_descriptions_with_an_unfit_value(run: Path, path: tuple[str | int, ...]):
    """Refused without a network of that size ever being built."""
    text = (run / "model.json").read_text()
    # These are means and deviations, if no usual ones, and True is Python's 1.
    fit = {
        ("mean", 0): (True, "3", 3.0, -1, 0, 10**9),
        ("std", 0): (True, "3", 3.0, 10**9),
        ("format_version",): (True,),
    }.get(path, ())
    for value in (value for value in UNFIT if not any(value is other for other in fit)):
        (run / "model.json").write_text(json.dumps(_set(json.loads(text), path, value)))
        refused(lambda: load_found_network(run), str(run))


def test_the_description_is_whole_without_harm(run: Path):
    assert load_found_network(run).class_names == ("ant", "cat")


@FAST_AND_SLOW
def test_histories_of_any_text(tmp_path: Path, examples: int):
    """Up to the first line that is broken the numbers are there; the rest is named."""
    path = tmp_path / "history.csv"
    header = ",".join(COLUMNS).encode()
    numbers = st.sampled_from(
        [b"1", b"2", b"", b"nan", b"inf", b"-1", b"1e999", b"x", b'"', b"\xff", b"\0", b"9" * 5000]
    )
    lines = st.lists(numbers, min_size=1, max_size=len(COLUMNS) + 1).map(b",".join)
    rows = st.lists(lines | st.binary(max_size=9), max_size=4).map(b"\n".join)
    starts = st.sampled_from([header + b"\n", header + b"\n1" + b",0.5" * (len(COLUMNS) - 1) + b"\n", b"", b"epoch\n"])

    def check(content: tuple[bytes, bytes]) -> None:
        path.write_bytes(b"".join(content))
        problems: list[str] = []
        try:
            columns = read_columns(path, problems)
        except RunError as error:
            assert "history.csv" in str(error)
            return
        assert columns["epoch"].tolist() == list(range(1, len(columns["epoch"]) + 1))
        assert not any(np.isinf(column).any() for column in columns.values())

    fuzz(check, st.tuples(starts, rows), examples)
