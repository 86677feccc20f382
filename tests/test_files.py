"""Files and directories that are written whole or not at all: what an error says, and what reaches the disk."""

from __future__ import annotations

import contextlib
import os
import resource

import pytest
from tiny_network import tiny_found_network

from fairdarts_tf import files
from fairdarts_tf.export.saved_model import write_saved_model
from fairdarts_tf.files import staged, write_atomically, write_directory_atomically
from fairdarts_tf.serving import ServingNetwork


@contextlib.contextmanager
def small_files_only():
    """Refuses, as a full disk does, to write more than 1,000 bytes to a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_file(path, content):
    write_atomically(path, lambda file: file.write(content))


def write_directory(path, content):
    write_directory_atomically(path, lambda directory: (directory / "file").write_bytes(content))


def write_staged(path, content):
    with staged(path) as directory:
        (directory / "file").write_bytes(content)


WRITERS = [write_file, write_directory, write_staged]


@pytest.mark.parametrize("write", WRITERS)
def test_full_disk_is_told_with_the_path(tmp_path, write):
    path = tmp_path / "target"
    with small_files_only(), pytest.raises(OSError, match="File too large") as full:
        write(path, bytes(10_000))
    assert full.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", WRITERS)
def test_no_temporary_name_is_told(tmp_path, monkeypatch, write):
    def refuse(descriptor):
        raise PermissionError(13, "Permission denied", "a temporary name")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(PermissionError) as refused:
        write(tmp_path / "target", b"content")
    assert refused.value.filename == str(tmp_path / "target")


@pytest.mark.parametrize("write", [write_directory, write_staged])
def test_directories_reach_the_disk_before_and_after_the_rename(tmp_path, monkeypatch, write):
    synced, fsync = [], os.fsync

    def note(descriptor):
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write(tmp_path / "target", b"content")
    assert synced == ["file", "new", tmp_path.name]
    assert (tmp_path / "target" / "file").read_bytes() == b"content"


def test_staging_within_a_directory_syncs_it(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "_sync_directory", synced.append)
    write_staged(tmp_path, b"content")
    assert synced[-1] == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_full_disk_in_a_saved_model_is_told_in_plain_words(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.touch()
    with small_files_only(), pytest.raises(OSError, match="File too large") as full:
        write_saved_model(ServingNetwork.of(tiny_found_network()), tmp_path / "model", labels)
    assert full.value.filename == str(tmp_path / "model")
    assert full.value.strerror == "File too large"


def test_the_new_content_is_synced_before_it_takes_the_name_and_the_directory_after(tmp_path, monkeypatch):
    path = tmp_path / "kept"
    path.write_text("good")
    calls = []

    def note(name: str, original):
        def noted(*arguments: object) -> object:
            calls.append((name, path.read_text()))
            return original(*arguments)

        monkeypatch.setattr(os, name, noted)

    note("fsync", os.fsync)
    note("replace", os.replace)
    files.write_text_atomically(path, "new")
    assert calls == [("fsync", "good"), ("replace", "good"), ("fsync", "new")]
    assert path.read_text() == "new"


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_good_file_and_nothing_beside_it(tmp_path, monkeypatch, broken):
    (tmp_path / "kept").write_text("good")

    def fail(*_: object) -> None:
        raise OSError("broken")

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="broken"):
        files.write_text_atomically(tmp_path / "kept", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("kept", "good")]
