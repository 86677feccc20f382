"""Bad input to the search: exit code 2, one line that says what to do, nothing half written."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from PIL import Image
from tiny_search import as_flags, search, tiny_flags

from fairdarts_tf import checkpoints


def refusal(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """Runs the command and returns its one line of complaint."""
    assert search(*flags) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dataset": "cifar11"}, "cifar10"),
        ({"dataset": "cifar10", "data_dir": "/nowhere"}, "--download"),
        ({"operations": "sep_conv_3x4"}, "sep_conv_3x3"),
        ({"relaxation": "softmx"}, "softmax"),
        ({"zero_one": "l3"}, "l2"),
        ({"method": "dart"}, "darts"),
        ({"space": "dart"}, "darts"),
        ({"strategy": "mirror"}, "mirrored"),
        ({"epochs": 0}, "--epochs"),
        ({"epochs": "many"}, "epochs"),
        ({"threshold": 1.5}, "from 0 to 1"),
        ({"train_portion": 0}, "--train_portion"),
        ({"layers": 2}, "--layers"),
        ({"batch_size": 5000}, "--batch_size"),
        ({"warmup_epochs": 2}, "--warmup_epochs"),
        ({"learning_rate_min": 1.0}, "--learning_rate_min"),
        ({"image_size": 2}, "--image_size"),
        ({"epoch": 3}, "epochs"),
        ({"flagfile": "missing.flags"}, "missing.flags"),
    ],
)
def test_flags(capsys, tmp_path, changes, expected):
    workdir = tmp_path / "run"
    flags = [flag for flag in tiny_flags(workdir) if flag.split("=")[0].strip("-") not in changes]
    assert expected in refusal(capsys, *flags, *as_flags(**changes))
    assert not workdir.exists()


def test_no_workdir_and_stray_arguments(capsys, tmp_path):
    assert "--workdir" in refusal(capsys)
    assert "unexpected argument" in refusal(capsys, *tiny_flags(tmp_path), "digits")


def test_help_names_every_flag(capsys):
    assert search("--help") == 0
    text = capsys.readouterr().out
    names = """workdir dataset data_dir image_size train_portion space relaxation operations zero_one zero_one_weight
        init_channels layers nodes epochs steps_per_epoch batch_size learning_rate learning_rate_min
        alpha_learning_rate threshold method seed strategy checkpoint_steps flagfile"""
    for name in names.split():
        assert f"  --{name}=" in text
    assert "  --[no]download " in text


def test_folders(capsys, tmp_path):
    folder, workdir = tmp_path / "images", tmp_path / "run"
    flags = tiny_flags(workdir, dataset=f"folder:{folder}", batch_size=2)
    assert "train" in refusal(capsys, *flags)
    for name in ("cat", "dog"):
        (folder / "train" / name).mkdir(parents=True)
    refusal(capsys, *flags)
    for name in ("cat", "dog"):
        for number in range(8):
            pixels = np.full((16, 16, 3), 30 * number, np.uint8)
            Image.fromarray(pixels).save(folder / "train" / name / f"{number}.png")
    broken = folder / "train" / "dog" / "broken.png"
    broken.write_bytes((folder / "train" / "dog" / "1.png").read_bytes()[:40])
    assert "broken.png" in refusal(capsys, *flags)
    assert not workdir.exists()
    broken.unlink()
    assert search(*flags) == 0


def test_unusable_workdirs(capsys, tmp_path):
    (tmp_path / "file").write_text("kept")
    assert "Not a directory" in refusal(capsys, *tiny_flags(tmp_path / "file"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("kept")
    assert "thesis.tex" in refusal(capsys, *tiny_flags(tmp_path / "other"))
    assert os.listdir(tmp_path / "other") == ["thesis.tex"]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "flags.txt").write_bytes(b"\xff\xfe\x00")
    assert "flags.txt" in refusal(capsys, *tiny_flags(tmp_path / "broken"))


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_workdir_that_cannot_be_written(capsys, tmp_path, monkeypatch, code):
    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fairdarts_tf.temporaries.tempfile.mkstemp", refuse)
    line = refusal(capsys, *tiny_flags(tmp_path / "run"))
    assert os.strerror(code) in line and "--workdir" in line


def test_a_full_disk_keeps_what_was_saved(capsys, tmp_path, monkeypatch):
    flags = tiny_flags(tmp_path / "run", checkpoint_steps=1)
    write = checkpoints.write_atomically

    def fail_at_the_third(path, content):
        if "3.npz" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_atomically", fail_at_the_third)
        assert search(*flags) == 2
    assert "No space left" in capsys.readouterr().err
    names = sorted(os.listdir(tmp_path / "run" / "checkpoints"))
    assert names == ["checkpoint-000000001.npz", "checkpoint-000000002.npz"]
    assert search(*flags) == 0


def test_a_cell_that_would_be_empty(capsys, tmp_path):
    assert search(*tiny_flags(tmp_path / "run", method="threshold_sparse", threshold=1.0)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "would be empty" in error and "--threshold" in error
    assert (tmp_path / "run" / "alphas.npz").exists() and not (tmp_path / "run" / "genotype.json").exists()
