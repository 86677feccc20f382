"""One process at a time in a run's directory: a lock that is free again as soon as its owner is dead.

The lock is the kernel's (`flock`) on a file in the directory, not the file: a file that a killed process left behind
holds nobody up. It says who works there, for whoever is refused. Linux hands `flock` on NFS to the server, so that it
holds between machines too, unless the mount says ``local_lock=flock`` or ``nolock``; where a file system has no locks
at all, a warning says that nothing keeps two processes apart.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
from pathlib import Path
from typing import BinaryIO

from fairdarts_tf.errors import RunError
from fairdarts_tf.files import open_file, readable

NAME = ".lock"
PATIENCE_SECONDS = 0.5
"""How long a lock is asked for again: whoever looks whether it is free holds it for an instant."""
_PAUSE_SECONDS = 0.05

_MOST_BYTES = 200
_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK}


class RunLock:
    """The lock of one run's directory.

    Args:
        workdir: The directory.
    """

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self._path = workdir / NAME
        self._file: BinaryIO | None = None

    def acquire(self) -> None:
        """Takes the lock, unless this object has it, and writes down who owns it.

        Raises:
            RunError: When another process, or another run of this one, works in the directory; its owner is named.
            OSError: When the file cannot be made.
        """
        if self._file is not None:
            return
        until = time.monotonic() + PATIENCE_SECONDS
        while self._file is None:
            with contextlib.ExitStack() as on_failure:
                file = on_failure.enter_context(self._open())
                shared = self._lock(file, until)
                # Otherwise its owner removed it between our opening and our locking it.
                if self._is_current(file):
                    self._tell(_text(file), shared)
                    _write_owner(file)
                    on_failure.pop_all()
                    self._file = file

    def release(self) -> None:
        """Gives the lock up, if this object has it, and removes the file."""
        if self._file is None:
            return
        # While it is held: whoever has opened it by then finds that the name is gone, and opens it anew.
        with contextlib.suppress(OSError):
            self._path.unlink()
        self._file.close()
        self._file = None

    def refuse_if_held(self) -> None:
        """Checks, making nothing, that no other process works in the directory.

        Raises:
            RunError: When one does; it is named.
        """
        try:
            file = open_file(self._path)
        except OSError:
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._refusal(file) from None
            except OSError:
                return

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        return os.fdopen(descriptor, "r+b", buffering=0)

    def _lock(self, file: BinaryIO, until: float) -> bool:
        """Waits for the lock; returns whether others see it, False where the file system has no locks."""
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > until:
                    raise self._refusal(file) from None
                time.sleep(_PAUSE_SECONDS)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                return False

    def _is_current(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def _tell(self, left: str, shared: bool) -> None:
        """Says who was here before and was cut off, and where nothing would keep another out."""
        if not shared:
            owner = f" {left}, may still work there." if left else ""
            print(
                f"warning: the file system of --workdir={readable(self._workdir)} has no locks: nothing keeps two "
                f"processes apart.{owner}",
                file=sys.stderr,
            )
        elif left:
            print(f"note: {left}, worked in {readable(self._workdir)} and was cut off{_where(left)}.", file=sys.stderr)

    def _refusal(self, file: BinaryIO) -> RunError:
        owner = _text(file) or "another process"
        return RunError(
            f"--workdir={self._workdir} is in use: {owner}, works there. Wait until it ends, stop it, or name another "
            "directory."
        )


def _write_owner(file: BinaryIO) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    file.seek(0)
    file.truncate()
    file.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}".encode()[:_MOST_BYTES])


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return "".join(filter(str.isprintable, file.read(_MOST_BYTES).decode("utf-8", "replace"))).strip()


def _where(owner: str) -> str:
    """Returns what to add where the owner was another machine, whose locks a file system may not show."""
    if f" on {socket.gethostname()}, since " in owner:
        return ""
    return "; if it still runs on that machine, stop it: the file system does not show its locks here"
