"""Measures a table of latencies, layer by layer, in a file that is complete after each of them."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import tensorflow as tf

from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.devices import configure_runtime
from fairdarts_tf.errors import ConfigurationError, ExportError, RunError, unknown_name
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.latency_table import FORMS, Device, LatencyTable, Timing, load_or_new
from fairdarts_tf.layer_shapes import LayerShape
from fairdarts_tf.prices import latency_price, network_price
from fairdarts_tf.profiling.latency import random_network
from fairdarts_tf.profiling.layer_models import layer_function
from fairdarts_tf.profiling.measure_file import processor_name
from fairdarts_tf.serving import ServingNetwork
from fairdarts_tf.silence import silent_stderr

Function = tf.types.experimental.ConcreteFunction
Call = Callable[[], object]

COPIES = 4
"""How many layers of a kind are compared with one."""

ROUNDS = 5
"""What is compared is timed in turns, so many, that the machine's other work disturbs all of it alike."""

_LIBRARIES = ("tensorflow", "keras", "ai-edge-litert")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A network's latency as a table has it, and as it was measured.

    Attributes:
        form: One of `FORMS`.
        expected_ms: The sum over its layers.
        measured_ms: Median of the runs of the network.
    """

    form: str
    expected_ms: float
    measured_ms: float

    @property
    def ratio(self) -> float:
        """How many times the measured latency the expected one is."""
        return self.expected_ms / self.measured_ms


def measure_layers(
    path: str | os.PathLike[str],
    shapes: Iterable[LayerShape],
    forms: Sequence[str] = FORMS,
    threads: int = 1,
    runs: int = 50,
    report: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> LatencyTable:
    """Measures the layers that a table lacks and writes the table after each of them.

    A layer's time is what one more of its kind adds to a call: a call of four of them minus a call of one, by three.
    So it holds nothing of what every call costs, and times of layers can be added.

    Args:
        path: The table's file; one that exists is gone on with.
        shapes: The layers.
        forms: Some of `FORMS`. Defaults to all.
        threads: Threads that a layer is computed with. Defaults to 1: with one, what layers take adds up to what their
            network takes.
        runs: How many runs are timed. Defaults to 50.
        report: Called with a line on each layer.

    Raises:
        ConfigurationError: When there is no such form.
        RunError: When the file is no table, or was measured elsewhere, or TensorFlow has begun with other threads.
        ExportError: When a layer cannot be converted to TFLite.
        OSError: When the file cannot be written.
    """
    for form in forms:
        if form not in _CALLS:
            raise ConfigurationError(f"--forms: {unknown_name('form', form, FORMS)}")
    table = load_or_new(Path(path), this_device(threads))
    wanted = list(shapes)
    work = [(form, shape) for form in forms for shape in table.missing(form, wanted)]
    if "Keras" in forms:
        use_threads(threads)
    for number, (form, shape) in enumerate(work, start=1):
        timing = _time_layer(form, shape, threads, runs)
        table.timings.setdefault(form, {})[shape] = timing
        table.save(path)
        report(f"{number} of {len(work)}: {form}, {shape}: {timing.median_ms:.4f} ms")
    return table


def compare_networks(
    table: LatencyTable, form: str, genotypes: Sequence[AnyGenotype], size: NetworkSize, runs: int = 50
) -> list[Comparison]:
    """Measures networks with random weights, in turns, beside the sums of their layers' times.

    Args:
        table: It holds their layers.
        form: One of `FORMS`.
        genotypes: The networks'.
        size: Their size.
        runs: How many runs of each are timed. Defaults to 50.
    """
    pixels = tf.TensorSpec((1, size.image_size, size.image_size, size.image_channels), tf.uint8)
    calls = []
    for genotype in genotypes:
        serving = ServingNetwork.of(random_network(genotype, size))
        function = tf.function(serving, input_signature=[pixels], autograph=False).get_concrete_function()
        calls.append(_CALLS[form](function, table.device.threads))
    price = latency_price(table, form)
    return [
        Comparison(form, network_price(genotype, size, price), timing.median_ms)
        for genotype, timing in zip(genotypes, time_calls(calls, runs), strict=True)
    ]


def this_device(threads: int) -> Device:
    """Returns where this process measures."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in _LIBRARIES}
    return Device(processor_name(), cores, threads, versions)


def time_calls(calls: Sequence[Call], runs: int) -> list[Timing]:
    """Returns how long each call takes, timed in turns; the first run of each turn is not counted."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, found in zip(calls, times, strict=True):
            call()
            for _ in range(-(-runs // ROUNDS)):
                start = time.perf_counter()
                call()
                found.append((time.perf_counter() - start) * 1000)
    return [Timing(float(np.median(found)), float(np.percentile(found, 10)), len(found)) for found in times]


def tflite_call(function: Function, threads: int) -> Call:
    """Returns a call of LiteRT on random inputs.

    Raises:
        ExportError: When the function cannot be converted.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        with silent_stderr():
            content = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
    except Exception as error:  # The converter's own error is no public class, and not the only one.
        raise ExportError(f"a layer cannot be converted to TFLite: {str(error)[:300]}. Pass --forms=Keras.") from error
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], _random(tuple(detail["shape"]), detail["dtype"]))
    return interpreter.invoke


def keras_call(function: Function, threads: int) -> Call:
    """Returns a call of TensorFlow on random inputs; its threads are those of the process (see `use_threads`)."""
    captured = {id(tensor) for _, tensor in function.graph.captures}
    inputs = [tensor for tensor in function.inputs if id(tensor) not in captured]
    values = [tf.constant(_random(tuple(tensor.shape), tensor.dtype.as_numpy_dtype)) for tensor in inputs]
    return lambda: function(*values)


def use_threads(threads: int) -> None:
    """Lets TensorFlow compute with so many threads.

    Raises:
        RunError: When it is too late for that.
    """
    wanted, threading = (threads, 1), tf.config.threading
    if (threading.get_inter_op_parallelism_threads(), threading.get_intra_op_parallelism_threads()) != wanted:
        try:
            threading.set_inter_op_parallelism_threads(threads)
            threading.set_intra_op_parallelism_threads(1)
        except RuntimeError:
            raise RunError(
                f"TensorFlow computes already, and its threads can no longer be set to {threads}. Start "
                "bin/measure_latency as a process of its own, or pass --forms=TFLite."
            ) from None
    configure_runtime()


_CALLS: dict[str, Callable[[Function, int], Call]] = {"TFLite": tflite_call, "Keras": keras_call}


def _time_layer(form: str, shape: LayerShape, threads: int, runs: int) -> Timing:
    one, several = time_calls([_CALLS[form](layer_function(shape, copies), threads) for copies in (1, COPIES)], runs)
    differences = (getattr(several, name) - getattr(one, name) for name in ("median_ms", "p10_ms"))
    return Timing(*(max(0.0, difference) / (COPIES - 1) for difference in differences), runs)


def _random(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    generator = np.random.default_rng(0)
    if dtype == np.uint8:
        return generator.integers(0, 256, shape, dtype=np.uint8)
    return generator.normal(size=shape).astype(np.float32)
