"""A training whose data or genotype are no longer what they were: refused, and what it left still works."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_training import GENOTYPE, tiny_flags, train

from fairdarts_tf.cli import evaluate
from fairdarts_tf.found_network import load_found_network
from fairdarts_tf.genotypes import Genotype

CLASSES = ("ash", "birch")


def write_class(root: Path, name: str) -> None:
    """Writes images of one class; each class has its own, always the same."""
    random = np.random.default_rng(len(name))
    for split, count in (("train", 12), ("test", 3)):
        folder = root / split / name
        folder.mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and a finished training on them; it is written anew for each test from here."""
    root = tmp_path_factory.mktemp("finished")
    for name in CLASSES:
        write_class(root / "images", name)
    assert train(*flags(root)) == 0
    return root


@pytest.fixture
def root(finished: Path) -> Path:
    """The same place, as the training left it."""
    kept = finished.with_name("kept")
    shutil.copytree(finished, kept)
    yield finished
    shutil.rmtree(finished)
    kept.rename(finished)


def flags(root: Path) -> list[str]:
    """Returns the training's command line."""
    return tiny_flags(
        root, dataset=f"folder:{root / 'images'}", batch_size=4, epochs=1, steps_per_epoch=1, validation_portion=0.25
    )


def refused(capsys: pytest.CaptureFixture[str], root: Path) -> str:
    """Starts the training again, checks that it was refused and wrote nothing, and returns its line."""
    before = contents(root)
    capsys.readouterr()
    assert train(f"--workdir={root / 'run'}") == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1, captured
    assert contents(root) == before
    return captured.err


def test_a_class_more(root, capsys):
    write_class(root / "images", "cedar")
    line = refused(capsys, root)
    assert "3 classes" in line and "the run has 2" in line and "--workdir" in line
    for split in ("train", "test"):
        shutil.rmtree(root / "images" / split / "cedar")
    assert evaluate.COMMAND.execute(evaluate.main, ["evaluate", f"--workdir={root / 'run'}"]) == 0


def test_a_class_renamed(root, capsys):
    for split in ("train", "test"):
        (root / "images" / split / "birch").rename(root / "images" / split / "beech")
    line = refused(capsys, root)
    assert "class 1 is 'beech'" in line and "the run has 'birch'" in line


def test_other_images_are_normalised_otherwise(root, capsys):
    Image.new("RGB", (8, 8)).save(root / "images" / "train" / "ash" / "0.png")
    assert "mean" in refused(capsys, root)


def test_images_of_another_size(root, capsys):
    for file in (root / "images").rglob("*.png"):
        with Image.open(file) as image:
            image.resize((12, 12)).save(file)
    line = refused(capsys, root)
    assert "12 x 12 x 3" in line and "the run has 8 x 8 x 3" in line


def test_another_genotype_in_the_file(root, capsys):
    # Pooling has no weights: the checkpoint fits the other cells as well.
    items = tuple(("avg_pool_3x3" if item.op == "max_pool_3x3" else item.op, *item[1:]) for item in GENOTYPE.reduce)
    other = Genotype(
        normal=GENOTYPE.normal,
        normal_concat=GENOTYPE.normal_concat,
        reduce=items,
        reduce_concat=GENOTYPE.reduce_concat,
    )
    other.save(root / "tiny.json")
    assert f"--genotype={root / 'run' / 'genotype.json'}" in refused(capsys, root)
    (root / "tiny.json").unlink()
    assert train(f"--workdir={root / 'run'}") == 0


def test_going_on_with_the_runs_own_genotype_as_the_message_says(root, capsys):
    file = root / "run" / "flags.txt"
    file.write_text(file.read_text().replace(str(root / "tiny.json"), str(root / "run" / "genotype.json")))
    (root / "tiny.json").write_text("another")
    assert train(f"--workdir={root / 'run'}") == 0


def test_the_same_genotype_under_another_name(root, capsys, monkeypatch):
    """As a file that was moved has, and a relative name in another working directory."""
    before = (root / "run" / "flags.txt").read_bytes()
    (root / "tiny.json").rename(root / "moved.json")
    monkeypatch.chdir(root / "images")
    assert train(*flags(root), "--genotype=../moved.json") == 0
    assert (root / "run" / "flags.txt").read_bytes() == before
    capsys.readouterr()
    for other in ("../absent.json", "FairDARTS_a"):
        assert train(*flags(root), f"--genotype={other}") == 2
        assert f"--genotype={other} (the run has {root / 'tiny.json'})" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_fit_leaves_the_description(root, capsys):
    (newest,) = sorted((root / "run" / "checkpoints").iterdir())[-1:]
    with np.load(newest) as archive:
        arrays = {name: archive[name] for name in archive.files if "classifier" not in name}
    np.savez(newest, **arrays)
    (root / "run" / "model.json").unlink()
    assert "does not fit the run" in refused(capsys, root)


def test_an_unchanged_run_may_be_started_again(root):
    before = contents(root / "run")
    assert train(*flags(root)) == 0
    names = ("model.json", "genotype.json", "best.npz", "last.npz", "history.csv")
    after = contents(root / "run")
    assert all(before[str(root / "run" / name)] == after[str(root / "run" / name)] for name in names)
    assert load_found_network(root / "run").class_names == CLASSES
