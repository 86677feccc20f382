"""Latency and memory of a network on this device, in each form that it can be run in.

Each form is run in a process of its own, so that no form profits from what another has loaded, and peak memory is that
of a program which does nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fairdarts_tf.costs import NetworkSize
from fairdarts_tf.errors import RunError
from fairdarts_tf.export.saved_model import write_saved_model
from fairdarts_tf.export.tflite import convert
from fairdarts_tf.export.verification import size_in_bytes
from fairdarts_tf.found_network import FoundNetwork, read_weights, save_description, save_weights
from fairdarts_tf.genotype_files import AnyGenotype
from fairdarts_tf.labels import LABELS_FILE, labels_text
from fairdarts_tf.profiling.measurements import FORMS, Latency, Measurements
from fairdarts_tf.serving import ServingNetwork
from fairdarts_tf.spaces import search_space
from fairdarts_tf.spaces.network_options import NetworkOptions

RUNS = 50
PACKAGES = Path(__file__).resolve().parents[2]


def measure_latency(
    genotype: AnyGenotype, size: NetworkSize, runs: int = RUNS, forms: Sequence[str] = FORMS
) -> Measurements:
    """Measures a network with random weights as Keras, SavedModel and TFLite (float32) run it, one image at a time.

    Args:
        genotype: The cells.
        size: The network's size.
        runs: How many runs are timed. Defaults to 50.
        forms: Some of `FORMS`. Defaults to all.

    Raises:
        RunError: When a form cannot be run.
        ExportError: When the network cannot be converted.
        OSError: When there is no room for the files.
    """
    with tempfile.TemporaryDirectory(prefix="fairdarts-profile-") as directory:
        files = _write_forms(random_network(genotype, size), Path(directory))
        rows = tuple(_measure(form, files[form], runs) for form in forms)
    return Measurements(runs, os.cpu_count() or 1, rows)


def random_network(genotype: AnyGenotype, size: NetworkSize) -> FoundNetwork:
    """Returns the network of a genotype with random weights."""
    options = NetworkOptions(init_channels=size.init_channels, layers=size.layers, stem=size.stem)
    network = search_space(genotype.space).network(genotype, size.num_classes, options, name="network")
    shape = (size.image_size, size.image_size, size.image_channels)
    network.build((None, *shape))
    names = tuple(str(label) for label in range(size.num_classes))
    mean, std = np.full(size.image_channels, 0.5, np.float32), np.full(size.image_channels, 0.25, np.float32)
    return FoundNetwork(network, names, shape, mean, std)


def _write_forms(found: FoundNetwork, directory: Path) -> dict[str, Path]:
    """Writes each form and returns where it is."""
    names = ("keras", "saved_model", "network.tflite")
    files = {form: directory / name for form, name in zip(FORMS, names, strict=True)}
    files["Keras"].mkdir()
    save_description(files["Keras"], found)
    save_weights(files["Keras"], "best", read_weights(found.network))
    labels = directory / LABELS_FILE
    labels.write_text(labels_text(found.class_names), encoding="utf-8")
    write_saved_model(ServingNetwork.of(found), files["SavedModel"], labels, batch_size=1)
    files["TFLite"].write_bytes(convert(files["SavedModel"], batch_size=1))
    return files


def _measure(form: str, path: Path, runs: int) -> Latency:
    command = [sys.executable, "-m", "fairdarts_tf.profiling.measure_file", str(path), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"its process ended with code {done.returncode}"]
        raise RunError(f"the latency of {form} cannot be measured: {reason[0]}. Pass --nolatency to count only.")
    return Latency(form=form, file_bytes=size_in_bytes(path), **json.loads(done.stdout.splitlines()[-1]))


def _environment() -> Mapping[str, str]:
    """Lets the process find this package where it is not installed."""
    places = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places), "TF_CPP_MIN_LOG_LEVEL": "3"}
