"""One process at a time in a run's directory: who is refused, and that a dead owner holds nobody up."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_search import search, tiny_flags
from tiny_training import tiny_flags as training_flags
from tiny_training import train

from fairdarts_tf.errors import RunError
from fairdarts_tf.run_lock import NAME, RunLock
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings

PROJECT = Path(__file__).resolve().parents[1]
OWNER = """
import sys, time
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings
with Run(sys.argv[1]) as run:
    run.open(SearchSettings().as_flags())
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A process that works in tmp_path / "run" until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "run")],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(("command", "flags_in"), [(search, tiny_flags), (train, training_flags)])
def test_the_second_process_is_refused_and_the_first_named(owner, tmp_path, capsys, command, flags_in):
    before = (tmp_path / "run" / "flags.txt").read_bytes()
    (tmp_path / "run" / "flags.txt").unlink()
    flags = [flag for flag in flags_in(tmp_path) if not flag.startswith("--workdir")]
    assert command(*flags, f"--workdir={tmp_path / 'run'}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"process {owner.pid} on {socket.gethostname()}, since 20" in line and "--workdir" in line
    assert os.listdir(tmp_path / "run") == [NAME]
    (tmp_path / "run" / "flags.txt").write_bytes(before)
    with Run(tmp_path / "run") as run, pytest.raises(RunError, match=f"in use: process {owner.pid} "):
        run.open(SearchSettings().as_flags())


def test_a_killed_owner_holds_nobody_up_and_is_named(owner, tmp_path, capsys):
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert (tmp_path / "run" / NAME).is_file()
    with Run(tmp_path / "run") as run:
        run.refuse_if_in_use()
        run.open(SearchSettings().as_flags())
        assert f"process {os.getpid()} on" in (tmp_path / "run" / NAME).read_text()
    assert f"process {owner.pid} on {socket.gethostname()}" in capsys.readouterr().err
    assert os.listdir(tmp_path / "run") == ["flags.txt"]


def test_an_owner_that_ends_leaves_no_lock(owner, tmp_path, capsys):
    owner.communicate()
    with Run(tmp_path / "run") as run:
        run.open(SearchSettings().as_flags())
    assert capsys.readouterr().err == ""


def test_two_runs_of_one_process_are_kept_apart(tmp_path):
    with Run(tmp_path) as one, Run(tmp_path) as other:
        one.open(SearchSettings().as_flags())
        one.open(SearchSettings().as_flags())
        with pytest.raises(RunError, match=f"process {os.getpid()} "):
            other.refuse_if_in_use()
        with pytest.raises(RunError, match=f"process {os.getpid()} "):
            other.open(SearchSettings().as_flags())
    other.refuse_if_in_use()


def test_a_stale_lock_of_another_machine_is_taken_with_advice(tmp_path, capsys):
    (tmp_path / NAME).write_text("process 12 on far.away, since 2026-01-01 00:00:00 +0000")
    RunLock(tmp_path).acquire()
    error = capsys.readouterr().err
    assert "process 12 on far.away" in error and "stop it" in error


def test_looking_at_a_lock_keeps_nobody_from_taking_it(tmp_path):
    """A shared lock, as whoever looks holds it, is waited for."""
    (tmp_path / NAME).touch()
    with open(tmp_path / NAME, "rb") as looker:
        fcntl.flock(looker, fcntl.LOCK_SH)
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys, pathlib, fairdarts_tf.run_lock as l; l.PATIENCE_SECONDS = 60;"
             "print(flush=True); l.RunLock(pathlib.Path(sys.argv[1])).acquire()", str(tmp_path)],
            cwd=PROJECT, stdout=subprocess.PIPE,
        )  # fmt: skip
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
    assert process.wait(60) == 0


def test_a_lock_whose_name_was_just_removed_is_not_taken_for_the_lock(tmp_path, monkeypatch):
    """Its owner removes the file between our opening it and our locking it."""
    one, other = RunLock(tmp_path), RunLock(tmp_path)
    one.acquire()
    opened = RunLock._open
    calls = []

    def open_and_let_go(lock):
        file = opened(lock)
        calls.append(file)
        if len(calls) == 1:
            one.release()
        return file

    monkeypatch.setattr(RunLock, "_open", open_and_let_go)
    other.acquire()
    assert len(calls) == 2
    with pytest.raises(RunError, match="in use"):
        RunLock(tmp_path).refuse_if_held()


def test_without_locks_a_warning_says_so(tmp_path, monkeypatch, capsys):
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with Run(tmp_path) as run:
        run.refuse_if_in_use()
        run.open(SearchSettings().as_flags())
    assert "has no locks" in capsys.readouterr().err
