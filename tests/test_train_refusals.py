"""What a training refuses: one clear line, exit code 2, nothing lost."""

from __future__ import annotations

import json

import pytest
from tiny_training import tiny_flags, train

from fairdarts_tf.errors import RunError
from fairdarts_tf.found_network import load_found_network, save_description, save_weights
from fairdarts_tf.settings import SearchSettings


def refused(capsys, *flags: str) -> str:
    assert train(*flags) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if not line.startswith("trains on")]
    assert len(lines) == 1 and captured.out == "", captured
    return lines[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genotype": "FairDARTS_z"}, "Did you mean"),
        ({"genotype": "/nowhere/genotype.json"}, "no file or directory /nowhere/genotype.json"),
        ({"dataset": "digit"}, "digits"),
        ({"cutout": 9}, "wider than the images"),
        ({"auxiliary_weight": 0.4}, "--auxiliary_weight=0"),
        ({"batch_size": 2000}, "larger than its 1350 images"),
        ({"network": "imagenet"}, "too small"),
        ({"layers": 2}, "--layers"),
        ({"epochs": "many"}, "epochs"),
        ({"genotype": "", "init_from": "nowhere"}, "no file or directory nowhere"),
        ({"init_from": "/nowhere"}, "nowhere"),
    ],
)
def test_unfit_flags(tmp_path, capsys, changes, message):
    assert message in refused(capsys, *tiny_flags(tmp_path, **changes))
    assert not (tmp_path / "run").exists()


def test_no_workdir_or_no_genotype(tmp_path, capsys):
    assert "--workdir" in refused(capsys)
    assert "--genotype" in refused(capsys, f"--workdir={tmp_path / 'run'}")


def test_a_directory_that_is_no_training(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    assert "thesis.txt" in refused(capsys, *tiny_flags(tmp_path))
    (tmp_path / "run" / "flags.txt").write_text(
        "".join(f"--{name}={value}\n" for name, value in SearchSettings().as_flags().items())
    )
    assert "another command" in refused(capsys, *tiny_flags(tmp_path))
    assert (tmp_path / "run" / "thesis.txt").read_text() == "precious"


def test_another_genotype_in_a_directory_that_has_one(tmp_path, capsys):
    assert train(*tiny_flags(tmp_path, epochs=1)) == 0
    capsys.readouterr()
    assert "--genotype=FairDARTS_a" in refused(capsys, *tiny_flags(tmp_path, epochs=1, genotype="FairDARTS_a"))


class TestFilesOfATrainedNetwork:
    @pytest.fixture
    def run(self, tmp_path, capsys):
        assert train(*tiny_flags(tmp_path, epochs=1, steps_per_epoch=1)) == 0
        return tmp_path / "run"

    def test_broken_files_are_named(self, run, tmp_path):
        for name, content, message in [
            ("best.npz", b"PK", "corrupt or truncated"),
            ("model.json", b"{", "no readable JSON"),
            ("model.json", b"[]", "format None"),
            ("model.json", b'{"format_version": 1}', "not those of a network"),
            ("genotype.json", b"{}", "genotype"),
        ]:
            before = (run / name).read_bytes()
            (run / name).write_bytes(content)
            with pytest.raises(RunError, match=message):
                load_found_network(run)
            (run / name).write_bytes(before)
        load_found_network(run)

    def test_weights_of_another_size_are_refused(self, run):
        document = json.loads((run / "model.json").read_text())
        document["network"]["init_channels"] = 4
        (run / "model.json").write_text(json.dumps(document))
        with pytest.raises(RunError, match="must have shape"):
            load_found_network(run)

    def test_a_directory_without_a_network(self, tmp_path):
        with pytest.raises(RunError, match="no trained network"):
            load_found_network(tmp_path)

    def test_a_network_without_weights(self, run, tmp_path):
        found = load_found_network(run)
        (tmp_path / "bare").mkdir()
        save_description(tmp_path / "bare", found)
        with pytest.raises(RunError, match="no weights yet"):
            load_found_network(tmp_path / "bare")
        with pytest.raises(OSError):
            save_weights(tmp_path / "absent", "best", {})
