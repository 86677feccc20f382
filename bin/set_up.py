"""Makes or renews .venv or .venv-lowest. Run by environment.sh with a bare Python, so the standard library is all."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
EXIT_FAILED = 2
EXIT_INTERRUPTED = 130


def main(command: str, kind: str, checksum: str) -> int:
    """Sets up and returns the exit code.

    Args:
        command: The script that was started; the head of every line printed.
        kind: ``"run"``, or ``"dev"`` for the tests' packages besides; ``"lowest"`` for both in .venv-lowest, in the
            oldest versions.
        checksum: Of the files that say what to install; kept in the environment to tell when they change.
    """
    environment = ROOT / (".venv-lowest" if kind == "lowest" else ".venv")
    try:
        with _locked(environment, command) as lock:
            _set_up(environment, command, kind, checksum, lock)
    except KeyboardInterrupt:
        print(f"{command}: set-up interrupted; start again to finish it.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except subprocess.CalledProcessError:
        advice = "See the message above; check the network and the free space, then start again."
        print(f"{command}: the set-up of {environment} failed. {advice}", file=sys.stderr)
        return EXIT_FAILED
    except OSError as error:
        advice = "Check the permissions and the free space, or activate an environment of your own."
        print(f"{command}: cannot set up {environment}: {error.strerror}. {advice}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _set_up(environment: Path, command: str, kind: str, checksum: str, lock: TextIO) -> None:
    python = environment / "bin" / "python"
    stamps = {name: environment / f".made-for-{name}" for name in ("run", "dev", "lowest")}
    if python.exists() and _read(stamps[kind]) == checksum:
        return  # another start did the work while this one waited for the lock

    print(f"{command}: setting up {environment}, once: about 3-5 minutes and 3 GB.", file=sys.stderr, flush=True)
    for stamp in stamps.values():
        stamp.unlink(missing_ok=True)
    # The lock file says "unfinished" while an environment is new. One that was cut off then is made afresh, since pip
    # takes a package that it wrote only half for a whole one. An environment that someone else made is never cleared.
    if _read(Path(lock.name)) or not python.exists():
        Path(lock.name).write_text("unfinished")
        _call([sys.executable, "-m", "venv", "--clear", str(environment)], lock)
    project = str(ROOT) if kind == "run" else f"{ROOT}[dev]"
    constraints = "constraints-lowest.txt" if kind == "lowest" else "constraints.txt"
    options = ["-qq", "--no-input", "--disable-pip-version-check", "-c", str(ROOT / constraints)]
    _call([str(python), "-m", "pip", "install", *options, "-e", project], lock)
    for name in {"run", kind}:
        stamps[name].write_text(checksum)
    Path(lock.name).write_text("")


@contextmanager
def _locked(environment: Path, command: str) -> Iterator[TextIO]:
    """Holds a lock that ends with the last process that has it open, so that none is ever left behind."""
    with environment.with_name(f"{environment.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{command}: waiting for another start that is setting up {environment}.", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _call(arguments: list[str], lock: TextIO) -> None:
    """Runs a program that keeps the lock even when this one is killed."""
    subprocess.run(arguments, check=True, stdout=sys.stderr, pass_fds=[lock.fileno()])


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
