"""Python within pipelines: refused, and waited for, when the process ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from photographs import write_folder

from fairdarts_tf.data.python_calls import PythonCalls

PROJECT = Path(__file__).resolve().parents[1]
READS_AHEAD = """
import sys, numpy as np
from fairdarts_tf.data import Augmentation, load_dataset
from fairdarts_tf.data.pipeline import train_batches
images = load_dataset(f"folder:{sys.argv[1]}", image_size=224, storage="encoded")
order, constant = np.tile(np.arange(len(images)), 50), np.full(3, 0.5)
recipe = Augmentation(resized_crop=sys.argv[2] == "resized")
options = {"batch_size": 16, "seed": 0, "mean": constant, "std": constant, "augmentation": recipe}
batches = iter(train_batches(images, order, **options))
next(batches)
sys.exit(7)
"""


def test_what_runs_is_waited_for_and_what_comes_later_refused():
    calls, started, done = PythonCalls(), threading.Event(), []

    def work(number: int) -> int:
        started.set()
        time.sleep(0.3)
        done.append(number)
        return number + 1

    guarded = calls.guarded(work)
    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    started.wait()
    assert guarded(10) == 11
    threads.append(threading.Thread(target=guarded, args=(20,)))
    threads[-1].start()
    calls.finish()
    assert sorted(done) == [0, 1, 2, 10, 20]
    with pytest.raises(RuntimeError, match="the process ends"):
        guarded(30)
    assert 30 not in done


@pytest.mark.slow
@pytest.mark.parametrize("crop", ["resized", "padded"])
def test_a_process_ends_while_a_pipeline_reads_ahead(tmp_path: Path, crop: str):
    write_folder(tmp_path)
    for _ in range(3):
        program = [sys.executable, "-c", READS_AHEAD, str(tmp_path), crop]
        assert subprocess.run(program, cwd=PROJECT, stderr=subprocess.DEVNULL, timeout=100, check=False).returncode == 7
