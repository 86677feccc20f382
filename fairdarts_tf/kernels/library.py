"""Compiles the kernels for this machine, once, and loads them as operations of TensorFlow."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType

import tensorflow as tf

from fairdarts_tf.batch_statistics import are_synchronized
from fairdarts_tf.files import write_atomically, write_text_atomically
from fairdarts_tf.scoped_switch import ScopedSwitch
from fairdarts_tf.second_derivatives import second_derivatives_wanted
from fairdarts_tf.temporaries import temporary_directory

SWITCH = "FAIRDARTS_TF_KERNELS"
"""Environment variable: ``0`` does without the kernels."""

SECONDS_TO_COMPILE = 120
_SOURCES = Path(__file__).parent
_OPTIONS = ("-std=gnu11", "-O3", "-fPIC", "-shared")


def library() -> ModuleType | None:
    """Returns the operations, or None where they cannot be had; the reason is printed, once.

    They are compiled with the C compiler (``$CC``, or ``cc``) into the user's cache directory, in about two seconds,
    when a processor, a version of TensorFlow or the sources are met for the first time.
    """
    # Of several threads one loads: the second copy of an operation would be refused.
    with _loading:
        return _library()


def usable(dtype: tf.DType) -> bool:
    """Returns whether tensors of a dtype can be computed by the kernels, here and now."""
    if dtype != tf.float32 or _portable.is_on() or second_derivatives_wanted() or are_synchronized():
        return False
    return library() is not None


def say_if_left_out(precision: str, xla: bool, synchronized: bool) -> None:
    """Prints that a run does without the kernels, and why, where they could be had otherwise.

    Args:
        precision: A dtype policy.
        xla: Whether XLA compiles the steps.
        synchronized: Whether BatchNorm is synchronised over several replicas.
    """
    reasons = [f"--precision={precision}"] * (precision != "float32") + ["--xla"] * xla
    reasons += ["--sync_batch_norm on several replicas"] * synchronized
    if reasons and library() is not None:
        print(
            f"note: with {' and '.join(reasons)} cells are computed by TensorFlow's own operations, not by the "
            "compiled kernels",
            file=sys.stderr,
        )


def portable_graph(wanted: bool = True) -> contextlib.AbstractContextManager[None]:
    """Within, graphs are built of TensorFlow's own operations alone, as for XLA.

    Args:
        wanted: Defaults to True. False leaves all as it is.
    """
    return _portable.within(wanted)


_portable = ScopedSwitch("portable_graph")

_loading = threading.Lock()


@functools.cache
def _library() -> ModuleType | None:
    if os.environ.get(SWITCH) == "0":
        return None
    if tf.config.list_physical_devices("GPU"):
        return None
    try:
        return _load()
    except (OSError, ValueError, subprocess.SubprocessError, tf.errors.OpError) as error:
        print(
            f"note: the compiled kernels are left out, and training steps take about twice as long: {_cause(error)}",
            file=sys.stderr,
        )
        return None


def _load() -> ModuleType:
    compiler = shlex.split(os.environ.get("CC") or "cc")
    if not compiler or shutil.which(compiler[0]) is None:
        raise FileNotFoundError(
            f"there is no C compiler {' '.join(compiler)!r} ($CC, or cc). Install one, as with apt install gcc."
        )
    sources = sorted(_SOURCES.glob("*.[ch]"))
    name = f"kernels-{_fingerprint(compiler, sources)}.so"
    try:
        return _load_from(_cache() / name, compiler, sources)
    except (OSError, subprocess.SubprocessError, tf.errors.OpError):
        # A cache that is full or cannot be written, or from which nothing may be run.
        with tempfile.TemporaryDirectory(prefix="fairdarts_tf-") as private:
            return _load_from(Path(private) / name, compiler, sources)


def _load_from(path: Path, compiler: list[str], sources: list[Path]) -> ModuleType:
    """Loads a library that is whole, byte by byte, and compiles it where it is absent or is not: a part would crash."""
    if not _is_whole(path):
        _compile(compiler, [source for source in sources if source.suffix == ".c"], path)
    return tf.load_op_library(str(path))


def _is_whole(path: Path) -> bool:
    try:
        return _digest_of(path).read_text() == hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return False


def _digest_of(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _cache() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "fairdarts_tf"


def _compile(compiler: list[str], sources: list[Path], target: Path) -> None:
    """Compiles the library and writes it, and what its bytes add up to, so that no process takes half of it for it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    framework = tf.sysconfig.get_link_flags()
    native = ["-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"]
    undefined = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    with temporary_directory(target, target.parent) as scratch:
        partial = os.path.join(scratch, target.name)
        command = [*compiler, *_OPTIONS, *native, "-I", tf.sysconfig.get_include(), "-o", partial]
        subprocess.run(
            [*command, *map(str, sources), "-lm", *framework, *undefined],
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS_TO_COMPILE,
        )
        content = Path(partial).read_bytes()
    write_atomically(target, lambda file: file.write(content))
    write_text_atomically(_digest_of(target), hashlib.sha256(content).hexdigest())


def _fingerprint(compiler: list[str], sources: list[Path]) -> str:
    """Returns what tells apart libraries that must not be mixed up."""
    digest = hashlib.sha256()
    for part in (*compiler, tf.version.VERSION, sys.platform, platform.machine(), _processor(), *_OPTIONS):
        digest.update(part.encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """Returns the processor's instruction sets, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")


def _cause(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        first = next((line for line in error.stderr.splitlines() if "error" in line), error.stderr.strip()[:200])
        return f"{error.cmd[0]} failed: {first}"
    return next(iter(str(error).splitlines()), type(error).__name__)
