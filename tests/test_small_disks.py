"""A disk that is full, and one that cannot be written: real ones, where this machine lets a test mount them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_search import search, tiny_flags, tiny_settings, without_pictures
from tiny_training import tiny_flags as training_flags
from tiny_training import train

from fairdarts_tf.checkpoints import list_checkpoints, load_checkpoint
from fairdarts_tf.errors import RunError
from fairdarts_tf.event_files import readable_errors
from fairdarts_tf.runs import Run
from fairdarts_tf.search_run import run_search

pytestmark = pytest.mark.filterwarnings("ignore:Even though the .*run_functions_eagerly:UserWarning")


class Disk:
    """A file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mount(self, *options: str) -> None:
        path = str(self.path)
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", path]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("needs a program named mount")
        if done.returncode:
            pytest.skip(f"needs the right to mount a file system: {done.stderr.strip()}")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], capture_output=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    disk = Disk(path)
    yield disk
    disk.unmount()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tiny step takes less time than tracing it, or than a picture."""
    without_pictures(monkeypatch)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Returns the last line of what was said, which must be no traceback."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.splitlines()[-1]


def test_a_search_goes_on_once_a_full_disk_has_space(disk, tmp_path, capsys, quick):
    """The disk has room for two checkpoints of 71 kB, but for no third beside them."""
    disk.mount("size=200k")
    flags = tiny_flags(disk.path / "run", checkpoint_steps=1)
    assert search(*flags) == 2
    line = refusal(capsys)
    assert "No space left on device" in line and "--workdir" in line
    checkpoints = list_checkpoints(disk.path / "run" / "checkpoints")
    assert [int(load_checkpoint(path)["step"]) for path in checkpoints] == [1, 2]
    assert not [name for name in os.listdir(disk.path / "run" / "checkpoints") if name.endswith(".tmp")]
    disk.mount("remount", "size=2m")
    assert search(*flags) == 0
    run_search(tiny_settings(), tmp_path / "whole")
    for name in ("alphas.npz", "history.npz"):
        with np.load(disk.path / "run" / name) as found, np.load(tmp_path / "whole" / name) as expected:
            np.testing.assert_equal(dict(found), dict(expected))


def test_event_files_on_a_full_disk_are_told_of(disk):
    disk.mount("size=16k")
    run = Run(disk.path)
    with pytest.raises(RunError, match="No space left on device"), readable_errors(run):
        writer = tf.summary.create_file_writer(str(run.tensorboard))
        with writer.as_default(step=1):
            for number in range(100):
                tf.summary.histogram(f"values {number}", tf.range(100.0))
                writer.flush()


@pytest.mark.parametrize(("command", "flags_in"), [(search, tiny_flags), (train, training_flags)])
def test_a_disk_that_cannot_be_written_is_refused(disk, capsys, tmp_path, command, flags_in):
    flags = [*flags_in(tmp_path), f"--workdir={disk.path / 'run'}"]
    disk.mount("size=2m")
    disk.mount("remount", "ro")
    assert command(*flags) == 2
    line = refusal(capsys)
    assert "Read-only file system" in line and f"--workdir={disk.path / 'run'}" in line


def test_a_run_on_a_disk_that_became_read_only_is_refused_and_intact(disk, capsys, quick):
    disk.mount("size=2m")
    flags = tiny_flags(disk.path / "run", epochs=1)
    assert search(*flags) == 0
    before = {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
    disk.mount("remount", "ro")
    assert search(*flags) == 2
    assert "Read-only file system" in refusal(capsys)
    assert before == {path: path.read_bytes() for path in disk.path.rglob("*") if path.is_file()}
