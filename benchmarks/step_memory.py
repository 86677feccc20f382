"""Peak memory and time of a step of a search in space S2, in every mode that saves memory, as a Markdown table.

    python -m benchmarks.step_memory --image_size=224 --batches=2,8,32 --num_classes=1000 [--flagfile=SEARCH.flags]

Each number is of a process of its own, that builds the search, runs a step and then some more. The peak is the most
that the process had resident; what it had before the first step is told beside it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))

from absl import app, flags  # noqa: E402

from fairdarts_tf.cli.settings_flags import define_flags, read_settings  # noqa: E402
from fairdarts_tf.settings import SearchSettings  # noqa: E402

MODES = {
    "all operations kept": {},
    "rematerialize": {"rematerialize": True},
    "accumulate, parts of 2": {"accumulate": 2},
    "rematerialize, accumulate, parts of 2": {"rematerialize": True, "accumulate": 2},
    "sampled_paths=2": {"sampled_paths": 2},
}
"""By name, what differs; ``accumulate`` is the number of images in a part."""

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "", "Of a flagfile; nothing is written.")
define_flags(SearchSettings, {}, "search", FLAGS, defaults={"space": "mobile", "image_size": 224})
flags.DEFINE_list("batches", None, "Images of a step in each half; several, comma-separated. Not given: --batch_size.")
flags.DEFINE_list("modes", list(MODES), "Which modes.")
flags.DEFINE_integer("num_classes", 1000, "Number of classes.")
flags.DEFINE_integer("more_steps", 2, "Steps after the first, of which the time is the mean.")
flags.DEFINE_string("measure", "", "Of this program itself: the settings to be measured in this process, as JSON.")


def main(_: list[str]) -> None:
    """Measures each mode with each batch in a process of its own, and prints a line as soon as it is known."""
    if FLAGS.measure:
        print(json.dumps(measure(json.loads(FLAGS.measure))))
        return
    print("| mode | batch | before the first step, GB | peak, GB | s to the end of the first step | s a step |")
    print("|---|---|---|---|---|---|", flush=True)
    settings = read_settings(SearchSettings, FLAGS, None)
    for name in FLAGS.modes:
        for batch in map(int, FLAGS.batches or [settings.batch_size]):
            changes = {"batch_size": batch} | MODES[name]
            if changes.get("accumulate"):
                if batch <= changes["accumulate"]:
                    continue
                changes["accumulate"] = batch // changes["accumulate"]
            chosen = {flag: str(value).lower() for flag, value in changes.items()}
            row = _measured(settings.as_flags() | chosen)
            print(f"| {name} | {batch} | {row} |", flush=True)


def measure(recorded: dict[str, str]) -> dict[str, float]:
    """Runs steps of a search in this process and returns memory in bytes and times in seconds."""
    began = time.perf_counter()
    import numpy as np
    import tensorflow as tf

    from fairdarts_tf import devices
    from fairdarts_tf.search_run import build_search

    settings = SearchSettings.from_flags(recorded)
    devices.configure_runtime()
    side = settings.image_size
    search, _ = build_search(settings, (side, side, 3), FLAGS.num_classes)
    step = tf.function(search.train_step, autograph=False)
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(size=(settings.batch_size, side, side, 3)).astype(np.float32))
    labels = tf.constant(random.integers(0, FLAGS.num_classes, settings.batch_size))
    before = _peak()
    step(((images, labels), (images, labels)))
    first = time.perf_counter()
    for _ in range(FLAGS.more_steps):
        step(((images, labels), (images, labels)))
    seconds = (time.perf_counter() - first) / max(FLAGS.more_steps, 1)
    return {"before": before, "peak": _peak(), "first": first - began, "step": seconds}


def _measured(recorded: dict[str, str]) -> str:
    command = [sys.executable, "-m", "benchmarks.step_memory", f"--measure={json.dumps(recorded)}"]
    options = [f"--{name}={FLAGS[name].value}" for name in ("num_classes", "more_steps")]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        # Of a process that the system killed for its memory nothing else is left.
        return f"- | - | - | ended with code {done.returncode}"
    row = json.loads(done.stdout.splitlines()[-1])
    return f"{row['before'] / 1e9:.2f} | {row['peak'] / 1e9:.2f} | {row['first']:.1f} | {row['step']:.2f}"


def _peak() -> int:
    """Returns the most memory that this process had resident, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    app.run(main)
