"""Many steps: memory, file descriptors and files stay as small as they were."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest
from tiny_search import tiny_settings

from fairdarts_tf.recorder import Recorder
from fairdarts_tf.search_run import run_search

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
STEPS_PER_EPOCH = 20


@dataclasses.dataclass(frozen=True)
class Sample:
    """What the process holds, and the bytes of the run's files, after a step.

    Attributes:
        memory: Resident, in bytes.
        descriptors: Open file descriptors.
        history: Bytes of history.csv.
        events: Bytes of TensorBoard's files.
        checkpoint: Bytes of the newest checkpoint.
    """

    memory: int
    descriptors: int
    history: int
    events: int
    checkpoint: int


def sample(workdir: Path) -> Sample:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    history = workdir / "history.csv"
    checkpoints = sorted((workdir / "checkpoints").glob("*.npz"))
    return Sample(
        memory=pages * os.sysconf("SC_PAGE_SIZE"),
        descriptors=len(os.listdir("/proc/self/fd")),
        history=history.stat().st_size if history.exists() else 0,
        events=sum(path.stat().st_size for path in workdir.glob("tensorboard/*")),
        checkpoint=checkpoints[-1].stat().st_size if checkpoints else 0,
    )


def run(workdir: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> dict[int, Sample]:
    """Searches for so many steps and returns a sample of each epoch's first step, by step."""
    samples = {}
    count_step = Recorder.on_train_batch_end

    def counted(recorder: Recorder, batch: int, logs: dict[str, float] | None = None) -> None:
        count_step(recorder, batch, logs)
        if recorder.step % STEPS_PER_EPOCH == 1:
            samples[recorder.step - 1] = sample(workdir)

    monkeypatch.setattr(Recorder, "on_train_batch_end", counted)
    epochs = steps // STEPS_PER_EPOCH + 1
    run_search(tiny_settings(epochs=epochs, steps_per_epoch=STEPS_PER_EPOCH, checkpoint_steps=7), workdir)
    return samples


def open_in(folder: Path) -> list[str]:
    """Returns the files of a folder that this process has open."""
    opened = []
    for name in os.listdir("/proc/self/fd"):
        try:
            opened.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return [path for path in opened if path.startswith(str(folder))]


@pytest.mark.parametrize(("first", "last"), [(80, 180), pytest.param(200, 2000, marks=pytest.mark.slow)])
def test_a_long_search_holds_no_more_than_a_short_one(tmp_path, monkeypatch, first, last):
    samples = run(tmp_path, monkeypatch, last)
    before, after = samples[first], samples[last]
    print(before, after, sep="\n")
    assert after.memory < 1.01 * before.memory
    assert after.descriptors <= before.descriptors
    assert open_in(tmp_path) == []
    epochs = (last - first) // STEPS_PER_EPOCH
    assert 0 < after.history - before.history <= 150 * epochs
    assert 0 < after.events - before.events <= 200_000 * epochs
    assert 0 < after.checkpoint - before.checkpoint <= 1000 * epochs
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
