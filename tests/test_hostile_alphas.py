"""Tables of alphas that a stranger wrote: finite numbers, or refused with one line; nothing run, little taken."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from fuzzing import FAST_AND_SLOW, fuzz, little_is_taken, nothing_runs
from hypothesis import strategies as st

from fairdarts_tf.alphas import MAX_BYTES, load_alphas, load_history
from fairdarts_tf.errors import GenotypeError

TABLE = np.arange(35, dtype="<f4").reshape(5, 7) / 10
STACK = np.stack([TABLE, TABLE + 1])


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_header(header: str | bytes, content: bytes = b"", version: int = 1) -> bytes:
    """Returns an .npy file whose header says what it is told to, as a bare text."""
    header = header if isinstance(header, bytes) else header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + content


def described(descr: str, shape: str, content: bytes = b"") -> bytes:
    return with_header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", content)


def packed(members: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of a name that is there twice.
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def both(content: bytes) -> bytes:
    return packed([("normal.npy", content), ("reduce.npy", content)])


def reads_or_refuses(path: Path, content: bytes, load=load_alphas) -> dict[str, np.ndarray] | None:
    """Returns the tables, or None where they were refused as they should be; whatever else is raised fails the test."""
    path.write_bytes(content)
    with nothing_runs():
        try:
            found = load(path)
        except GenotypeError as error:
            message = str(error)
            found = None
    if found is None:
        assert str(path) in message and "\n" not in message and len(message) < 1_000 + len(str(path))
        return None
    for kind in ("normal", "reduce"):
        assert found[kind].dtype == np.float64 and np.isfinite(found[kind]).all()
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alphas.npz"


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory):
    """What is imported at a first error, is imported before nothing may be."""
    path = tmp_path_factory.mktemp("warm") / "alphas.npz"
    for content in (both(npy(TABLE)), both(with_header("{(")), b""):
        path.write_bytes(content)
        with contextlib.suppress(GenotypeError):
            load_alphas(path)


class Touch:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


def test_a_pickle_is_never_opened(path: Path):
    made = path.with_name("made")
    bomb = pickle.dumps(Touch(made))
    objects = np.empty((5, 7), object)
    objects[0, 0] = Touch(made)
    file = io.BytesIO()
    np.save(file, objects, allow_pickle=True)
    for content in (
        both(bomb),
        both(file.getvalue()),
        both(described("'|O'", "(5, 7)", bomb)),
        both(described("[('a', '|O')]", "(5, 7)", bomb + bytes(280 - len(bomb) % 280))),
        bomb,
        file.getvalue(),
    ):
        assert reads_or_refuses(path, content) is None
    assert not made.exists()


HEADERS = {
    "a call": "__import__('os').system('true')",
    "a call within": "{'descr': __import__('os').name, 'fortran_order': False, 'shape': (5, 7)}",
    "a power": "{'descr': '<f4', 'fortran_order': False, 'shape': (10 ** 10 ** 10,)}",
    "vast digits": "{'descr': '<f4', 'fortran_order': False, 'shape': (0x" + "f" * 9000 + ",)}",
    "vast shape": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000000)}",
    "vast and nothing": "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000, 1000000000)}",
    "vast and empty": "{'descr': ('<f4', (0,)), 'fortran_order': False, 'shape': (1000000000, 7)}",
    "vast type": "{'descr': ('<f4', (1000000, 1000000)), 'fortran_order': False, 'shape': (0, 7)}",
    "long names": "{'descr': '<U500000000', 'fortran_order': False, 'shape': (5, 7)}",
    "two negatives": "{'descr': '<f4', 'fortran_order': False, 'shape': (-5, -7)}",
    "yes or no": "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 35)}",
    "many dimensions": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 3000 + "35)}",
    "no such type": "{'descr': '<f99', 'fortran_order': False, 'shape': (5, 7)}",
    "one name twice": "{'descr': [('a', '<f4'), ('a', '<f4')], 'fortran_order': False, 'shape': (5, 7)}",
    "other bytes": b"\xff\xfe" * 100,
    **{
        f"{piece!r} again and again": (piece * 9900)[:9900] for piece in ("(", "{0:", "[1,", "-", "()", "lambda:", "\0")
    },
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_headers_that_say_what_is_not_there(path: Path, header: str | bytes):
    with little_is_taken():
        assert reads_or_refuses(path, both(with_header(header, TABLE.tobytes()))) is None
        assert reads_or_refuses(path, both(with_header(header, version=2))) is None


def test_a_header_that_claims_more_than_the_file_holds(path: Path):
    claim = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(1000)
    with little_is_taken():
        assert reads_or_refuses(path, both(claim)) is None


@pytest.mark.parametrize("members", [1, 2, 20])
def test_archives_that_unpack_to_far_more_are_refused(path: Path, members: int):
    """Also where no single member is too large, and where the table of contents lies about one."""
    member = bytes(MAX_BYTES // members + 1)
    content = packed([*((f"{number}.npy", member) for number in range(members)), ("normal.npy", npy(TABLE))])
    assert len(content) < MAX_BYTES / 100
    with little_is_taken():
        assert reads_or_refuses(path, content) is None
        assert reads_or_refuses(path, content.replace(struct.pack("<I", len(member)), struct.pack("<I", 268))) is None


def test_an_archive_of_very_many_members(path: Path):
    content = packed(((f"{number}", b"") for number in range(20_000)), zipfile.ZIP_STORED)
    with little_is_taken():
        assert reads_or_refuses(path, content) is None


def test_a_name_that_is_there_twice(path: Path):
    twice = [("normal.npy", npy(TABLE)), ("normal.npy", npy(-TABLE)), ("reduce.npy", npy(TABLE))]
    assert reads_or_refuses(path, packed(twice)) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "longdouble"])
def test_numbers_that_are_not_finite(path: Path, value: float | str):
    table = TABLE.astype(np.longdouble)
    # Finite as it stands, and infinite in 64 bits, where a longer float is longer than those.
    table[0, 0] = np.finfo(np.longdouble).max if value == "longdouble" else value
    if value == "longdouble" and np.isfinite(np.float64(table[0, 0])):
        pytest.skip("this machine's longest float is float64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reads_or_refuses(path, both(npy(table))) is None


@pytest.mark.parametrize("kind", ["<i8", "|b1", "<c8", "|S4", "<U1", "<M8[s]", "<m8[s]", "|V4"])
def test_tables_of_what_is_no_fraction(path: Path, kind: str):
    assert reads_or_refuses(path, both(npy(np.zeros((5, 7), kind)))) is None


@pytest.mark.parametrize(
    "epochs",
    [
        np.array([1, 2**64 - 1], np.uint64),
        np.array([1, 2], "m8"),
        np.array([1, 2], "m8[s]"),
        np.array(["NaT", "NaT"], "m8"),
        np.array([True, True]),
        np.array([1, 2], np.complex64),
        np.array(["1", "2"]),
        np.array(1),
    ],
    ids=str,
)
def test_epochs_that_are_none(path: Path, epochs: np.ndarray):
    members = [("normal.npy", npy(STACK)), ("reduce.npy", npy(STACK)), ("epoch.npy", npy(epochs))]
    assert reads_or_refuses(path, packed(members), load_history) is None


@pytest.mark.parametrize("shape", [(0, 5, 7), (2, 0, 7), (2, 5, 0), (2, 5), (2, 5, 7, 1)])
def test_histories_of_another_shape(path: Path, shape: tuple[int, ...]):
    table = npy(np.zeros(shape, np.float32))
    members = [("normal.npy", table), ("reduce.npy", table), ("epoch.npy", npy(np.arange(1, shape[0] + 1)))]
    assert reads_or_refuses(path, packed(members), load_history) is None


def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "alphas.npz")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "history.npz").mkdir()
    for place in (tmp_path, "/dev/zero", tmp_path / "circle", tmp_path / "history.npz", "x" * 10_000, "a\0b"):
        for load in (load_alphas, load_history):
            with pytest.raises(GenotypeError):
                load(place)


def _headers() -> st.SearchStrategy[bytes]:
    """Headers of the right form whose parts are right or wrong."""
    kinds = st.sampled_from(
        ["'<f4'", "'>f8'", "'<f2'", "'<f16'", "'|O'", "'<i4'", "('<f4', (1,))", "[('a', '<f4')]", "4"]
    )
    sides = st.sampled_from(["-1", "0", "1", "5", "7", "35", "1.0", "None", "2**70", "9" * 30])
    shapes = st.lists(sides, max_size=4).map(lambda parts: f"({''.join(part + ', ' for part in parts)})")
    orders = st.sampled_from(["False", "True", "0", "None"])
    return st.builds(
        lambda kind, order, shape: f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}}}".encode(),
        kinds,
        orders,
        shapes,
    )


@FAST_AND_SLOW
def test_headers_of_any_parts(path: Path, examples: int):
    content = st.sampled_from([b"", TABLE.tobytes(), bytes(560), bytes(7)])
    members = st.builds(with_header, _headers(), content, st.sampled_from([1, 2, 3]))
    fuzz(lambda member: reads_or_refuses(path, both(member)), members, examples)


@FAST_AND_SLOW
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_archives(path: Path, examples: int, compression: int):
    """Bytes changed, cut out or put in anywhere; histories as well as alphas."""
    whole = packed(
        [("normal.npy", npy(STACK)), ("reduce.npy", npy(STACK)), ("epoch.npy", npy(np.array([1, 2])))], compression
    )
    changes = st.tuples(st.integers(0, len(whole)), st.integers(0, 3), st.binary(max_size=4))

    def check(damage: list[tuple[int, int, bytes]]) -> None:
        content = whole
        for position, removed, put in damage:
            content = content[:position] + put + content[position + removed :]
        reads_or_refuses(path, content, load_history)
        reads_or_refuses(path, content, load_alphas)

    fuzz(check, st.lists(changes, min_size=1, max_size=3), examples)


@FAST_AND_SLOW
def test_any_tables(path: Path, examples: int):
    """Whole archives whose arrays are of any type and shape."""
    arrays = st.builds(
        lambda kind, shape: npy(np.zeros(shape, kind)),
        st.sampled_from(["<f2", "<f4", ">f8", "<f16", "<i4", "|b1", "|S3", "<c16"]),
        st.lists(st.sampled_from([0, 1, 2, 5, 7]), max_size=4).map(tuple),
    )
    members = st.fixed_dictionaries({f"{name}.npy": arrays for name in ("normal", "reduce", "epoch")})

    def check(content: dict[str, bytes]) -> None:
        reads_or_refuses(path, packed(content.items()), load_history)
        reads_or_refuses(path, packed(content.items()), load_alphas)

    fuzz(check, members, examples)
