"""The animation of a search: a frame for each epoch, of one size, from what the run left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairdarts_tf.derivation import derive
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS
from fairdarts_tf.relaxations import relaxation
from fairdarts_tf.report.animation import frames_of, pixels, save_gif
from fairdarts_tf.report.cells import draw_genotype
from fairdarts_tf.report.drawing import COLOURS
from fairdarts_tf.report.run_data import read_run

EPOCHS = 5


def write_history(workdir: Path, operations: int = 7, edges: int = 5, epochs: int = EPOCHS) -> dict[str, np.ndarray]:
    """Writes alphas that start at zero, so that the first epochs have no genotype, and end beyond the threshold."""
    numbers = np.random.default_rng(0)
    growth = np.linspace(0, 1, epochs)[:, None, None]
    alphas = {kind: growth * numbers.uniform(-3, 4, (edges, operations)) for kind in ("normal", "reduce")}
    np.savez(workdir / "history.npz", epoch=np.arange(1, epochs + 1), **alphas)
    return alphas


def shown_in(path: Path) -> tuple[list[np.ndarray], list[float]]:
    """Returns the frames' pixels and their durations in milliseconds."""
    shown, durations = [], []
    with Image.open(path) as gif:
        for index in range(gif.n_frames):
            gif.seek(index)
            shown.append(np.asarray(gif.convert("RGB")))
            durations.append(gif.info["duration"])
    return shown, durations


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("run")
    write_history(workdir)
    assert save_gif(read_run(workdir), workdir / "evolution.gif", fps=5, width=600) == EPOCHS
    return workdir


def test_one_frame_an_epoch_and_the_last_one_stays(run):
    shown, durations = shown_in(run / "evolution.gif")
    assert durations == [200] * (EPOCHS - 1) + [3000]
    assert {frame.shape for frame in shown} == {shown[0].shape}
    assert shown[0].shape[1] == 600
    assert all((frame[:3, :3] == 255).all() for frame in shown)


def test_cells_show_once_there_is_a_genotype(run):
    frames = frames_of(read_run(run))
    assert frames[0].genotype is None and frames[-1].genotype is not None
    shown, _ = shown_in(run / "evolution.gif")
    for frame, image in zip(frames, shown, strict=True):
        items = frame.genotype.normal if frame.genotype else ()
        for operation, colour in COLOURS.items():
            is_there = (image[:, :400] == list(bytes.fromhex(colour[1:]))).all(axis=2).sum() > 50
            if operation in {item.op for item in items}:
                assert is_there
            if not frame.genotype:
                assert not is_there
    message = shown[0][:, :300]
    assert (message < 100).any()


def test_colours_are_few_and_the_file_small(run):
    with Image.open(run / "evolution.gif") as gif:
        assert len(gif.getpalette()) // 3 <= 128
    assert (run / "evolution.gif").stat().st_size < 60_000 * EPOCHS


def test_derived_as_the_run_says(tmp_path):
    alphas = write_history(tmp_path)
    order = tuple(reversed(FAIRDARTS_OPERATIONS))
    (tmp_path / "flags.txt").write_text(
        f"--operations={','.join(order)}\n--relaxation=softmax\n--method=darts\n--threshold=0.5\n--epochs=50\n"
    )
    frames = frames_of(read_run(tmp_path))
    assert len(frames) == EPOCHS
    for index, frame in enumerate(frames):
        values = {kind: relaxation("softmax").of_array(table[index]) for kind, table in alphas.items()}
        wanted = derive(values, order, "darts")
        assert (frame.genotype.normal, frame.genotype.reduce) == (wanted.normal, wanted.reduce)
        assert all(np.array_equal(frame.values[kind], values[kind]) for kind in values)
        assert set(frame.notes) == {(kind, item) for kind in values for item in wanted.items(kind)}


def test_isolated_nodes_are_shown(run):
    assert frames_of(read_run(run))[-1].genotype.normal_concat == (2, 3)


def test_a_single_epoch(tmp_path):
    write_history(tmp_path, epochs=1, edges=2)
    assert save_gif(read_run(tmp_path), tmp_path / "a.gif", width=300) == 1
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size[0] == 300


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fps": 0}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"fps": 51}, "at most 50"),
        ({"width": 199}, "from 200 to 4000"),
        ({"width": 4001}, "from 200 to 4000"),
        ({"path": "absent/evolution.gif"}, "absent"),
    ],
)
def test_refused_options(run, tmp_path, options, words):
    path = tmp_path / options.pop("path", "evolution.gif")
    with pytest.raises(ConfigurationError, match=words):
        save_gif(read_run(run), path, **options)
    assert not list(tmp_path.iterdir())


def test_a_run_without_alphas_is_refused(tmp_path):
    (tmp_path / "history.npz").write_bytes(b"PK")
    with pytest.raises(RunError, match="nothing to animate.*history.npz"):
        frames_of(read_run(tmp_path))


def test_an_epoch_without_a_genotype_says_why(run):
    assert "cell would be empty" in frames_of(read_run(run))[0].reason


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space")

    write_history(tmp_path, edges=2, epochs=1)
    (tmp_path / "a.gif").write_bytes(b"old")
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="no space"):
        save_gif(read_run(tmp_path), tmp_path / "a.gif", width=200)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "history.npz"]
    assert (tmp_path / "a.gif").read_bytes() == b"old"


def test_pixels_are_the_figures(run):
    figure = draw_genotype(frames_of(read_run(run))[-1].genotype)
    width, height = figure.get_size_inches()
    drawn = pixels(figure, 50)
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3
    assert drawn.shape[:2] == pytest.approx((50 * height, 50 * width), abs=1)
    assert drawn.std() > 10
