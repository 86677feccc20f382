"""Reading tables of alphas from files that may be broken."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf.alphas import MAX_BYTES, edge_endpoints, load_alphas, load_history, nodes_of
from fairdarts_tf.errors import GenotypeError

TABLE = np.arange(35, dtype=np.float32).reshape(5, 7) / 10


def archive(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **({"normal": TABLE, "reduce": -TABLE} | arrays))
    return file.getvalue()


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def written(folder: Path, content: bytes, name: str = "alphas.npz") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(("edges", "nodes"), [(2, 1), (5, 2), (9, 3), (14, 4), (20, 5), (64 * 67 // 2, 64)])
def test_nodes_of(edges, nodes):
    assert nodes_of(edges) == nodes
    assert len(edge_endpoints(nodes)) == edges


@pytest.mark.parametrize("edges", [-5, 0, 1, 3, 4, 13, 15, 65 * 68 // 2])
def test_no_cell_has_so_many_edges(edges):
    with pytest.raises(GenotypeError, match=f"{edges} edges"):
        nodes_of(edges)


def test_edge_order():
    assert edge_endpoints(2) == [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]


def test_reads_a_file_and_a_directory(tmp_path: Path):
    path = written(tmp_path, archive(other=np.zeros(3)))
    for place in (path, tmp_path, str(tmp_path)):
        tables = load_alphas(place)
        assert set(tables) == {"normal", "reduce"}
        assert tables["normal"].dtype == np.float64
        np.testing.assert_array_equal(tables["normal"], TABLE)
        np.testing.assert_array_equal(tables["reduce"], -TABLE)


@pytest.mark.parametrize("table", [TABLE.astype(">f8"), np.asfortranarray(TABLE), TABLE.astype(np.float16)])
def test_reads_any_layout(tmp_path: Path, table):
    path = written(tmp_path, archive(normal=table))
    np.testing.assert_array_equal(load_alphas(path)["normal"], table)


def test_reads_compressed(tmp_path: Path):
    np.savez_compressed(tmp_path / "alphas.npz", normal=TABLE, reduce=TABLE)
    np.testing.assert_array_equal(load_alphas(tmp_path)["normal"], TABLE)


def test_history(tmp_path: Path):
    path = written(
        tmp_path, archive(normal=np.stack([TABLE] * 3), reduce=np.stack([TABLE] * 3), epoch=[1, 2, 3]), "history.npz"
    )
    for place in (path, tmp_path):
        history = load_history(place)
        assert history["normal"].shape == history["reduce"].shape == (3, 5, 7)
        np.testing.assert_array_equal(history["epoch"], [1, 2, 3])
    with pytest.raises(GenotypeError, match="not 2-dimensional"):
        load_alphas(path)


@pytest.mark.parametrize("epoch", [np.array([1, 2]), np.array([1.0, 2.0, 3.0]), np.array([[1], [2], [3]])])
def test_history_with_broken_epochs(tmp_path: Path, epoch):
    stack = np.stack([TABLE] * 3)
    path = written(tmp_path, archive(normal=stack, reduce=stack, epoch=epoch), "history.npz")
    with pytest.raises(GenotypeError, match="'epoch'"):
        load_history(path)


@pytest.mark.parametrize("epoch", [[0, 1, 2], [1, 3, 2], [1, 1, 2], [-1, 1, 2]])
def test_epochs_count_upwards(tmp_path: Path, epoch: list[int]):
    stack = np.stack([TABLE] * 3)
    path = written(tmp_path, archive(normal=stack, reduce=stack, epoch=epoch), "history.npz")
    with pytest.raises(GenotypeError, match="count upwards"):
        load_history(path)


def false_header(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + TABLE.tobytes()


BROKEN = {
    "empty": (b"", "broken or no .npz"),
    "text": (b"alphas", "broken or no .npz"),
    "npy": (npy(TABLE), "broken or no .npz"),
    "truncated": (archive()[:-200], "broken or no .npz"),
    "no reduce": (packed({"normal.npy": npy(TABLE)}), "reduce.npy"),
    "pickle": (archive(normal=np.array([{}], dtype=object)), "broken"),
    "checksum": (archive().replace(TABLE.tobytes()[:40], b"\x00" * 39 + b"\x01"), "broken"),
    "huge shape": (packed({"normal.npy": false_header("(1000000, 1000000)")}), "does not hold"),
    "negative shape": (packed({"normal.npy": false_header("(-5, -7)")}), "broken"),
    "shape is no tuple": (packed({"normal.npy": false_header("5")}), "broken"),
    "unpacks to much": (packed({"normal.npy": bytes(MAX_BYTES + 1)}), "unpacks to more"),
    "large": (bytes(MAX_BYTES + 1), "larger than"),
    "packed otherwise": (packed({"normal.npy": npy(TABLE)}, zipfile.ZIP_BZIP2), "packed in a way"),
    "not finite": (archive(reduce=np.where(TABLE == 0, np.nan, TABLE)), "'reduce' holds values that are not finite"),
    "integers": (archive(normal=TABLE.astype(int)), "numbers with fractions"),
    "text in it": (archive(normal=np.full((5, 7), "a")), "numbers with fractions"),
    "flat": (archive(normal=TABLE[0], reduce=TABLE[0]), "not 2-dimensional"),
    "no columns": (archive(normal=TABLE[:, :0], reduce=TABLE[:, :0]), "not 2-dimensional"),
    "six edges": (archive(normal=np.zeros((6, 7)), reduce=np.zeros((6, 7))), "6 edges"),
    "two shapes": (archive(normal=np.zeros((2, 7))), "differ in shape"),
}


@pytest.mark.parametrize(("content", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_files(tmp_path: Path, content, words):
    path = written(tmp_path, content)
    with pytest.raises(GenotypeError) as error:
        load_alphas(path)
    assert words in str(error.value) and str(path) in str(error.value)


def test_absent_files(tmp_path: Path):
    with pytest.raises(GenotypeError, match=r"alphas\.npz: no such file"):
        load_alphas(tmp_path)
    with pytest.raises(GenotypeError, match="no such file"):
        load_history(tmp_path / "absent.npz")
    with pytest.raises(GenotypeError):
        load_alphas("\0")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory, data):
    content = bytearray(archive())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = written(tmp_path_factory.mktemp("fuzz"), bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        load_alphas(path)
    except GenotypeError as error:
        assert str(path) in str(error)
