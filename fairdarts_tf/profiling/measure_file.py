"""Run as a process of its own: times a stored network and prints what it took, as JSON."""

from __future__ import annotations

import json
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np

from fairdarts_tf.profiling.measurements import WARM_UP
from fairdarts_tf.runtimes import Runtime, open_model


def main(path: str, runs: int) -> None:
    """Prints median and 90th percentile of a run, and peak memory."""
    on_tensorflow = Path(path).suffix != ".tflite"
    if on_tensorflow:
        from fairdarts_tf.devices import configure_runtime

        configure_runtime()
    else:
        import ai_edge_litert.interpreter  # noqa: F401
    library = peak_memory()
    times = time_runs(open_model(path), runs)
    document = {
        "device": (on_tensorflow and _gpu()) or processor_name(),
        "median_ms": float(np.median(times)),
        "p90_ms": float(np.percentile(times, 90)),
        "peak_memory_bytes": peak_memory(),
        "library_memory_bytes": library,
    }
    print(json.dumps(document))


def time_runs(runtime: Runtime, runs: int) -> list[float]:
    """Returns the time of each run with one random image, in ms; the first runs are not counted."""
    image = np.random.default_rng(0).integers(0, 256, (1, *runtime.image_shape), dtype=np.uint8)
    times = []
    for _ in range(WARM_UP + runs):
        start = time.perf_counter()
        runtime.probabilities(image)
        times.append((time.perf_counter() - start) * 1000)
    return times[WARM_UP:]


def peak_memory() -> int:
    """Returns the most memory that this process has had resident, in bytes."""
    try:
        # Linux hands the peak of the process that started this one on to getrusage, but not to this file.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _gpu() -> str:
    """Returns the name of the GPU that TensorFlow computes on, or nothing."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else ""


def processor_name() -> str:
    """Returns the model name of this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
