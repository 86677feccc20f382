"""The page that compares runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from report_testing import HOSTILE, Elements, change_flag, make_run

from fairdarts_tf.errors import ConfigurationError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.report import cell_layout
from fairdarts_tf.report.comparison import render_comparison, write_comparison
from fairdarts_tf.report.run_data import read_run
from fairdarts_tf.report.summary import differing_flags, share_of_equal_items


def compared(*workdirs: Path) -> Elements:
    return Elements(render_comparison([read_run(workdir) for workdir in workdirs]))


def test_compares_runs_of_different_shape(tmp_path: Path):
    one = make_run(tmp_path / "one")
    other = make_run(tmp_path / "other", nodes=2, relaxation="softmax", threshold=0.3, seed=1, epochs=5)
    found = compared(one, other)
    data = json.loads(found.data)["figures"]
    assert [trace["name"] for trace in data["curve_search_accuracy"]["data"]] == ["one", "other"]
    assert (len(data["heat_normal_0"]["data"][0]["z"]), len(data["heat_normal_1"]["data"][0]["z"])) == (14, 5)
    for flag in ("--nodes", "--relaxation", "--threshold", "--epochs"):
        assert flag in found.text
    assert "--batch_size" not in found.text


def test_shows_the_cells_of_each_run(tmp_path: Path):
    runs = [make_run(tmp_path / "one"), make_run(tmp_path / "none", threshold=1.0), make_run(tmp_path / "two", seed=1)]
    found = compared(*runs)
    assert sum(tag == "svg" for tag, _ in found.elements) == 2
    assert found.text.count("There is no genotype.") == 1
    assert set(json.loads(found.data)["figures"]) >= {"curve_normal_skips", "curve_reduce_skips"}


def test_runs_of_one_name_are_told_apart(tmp_path: Path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        make_run(tmp_path / place / "run", epochs=2)
    text = compared(tmp_path / "a" / "run", tmp_path / "b" / "run").text
    assert str(tmp_path / "a" / "run") in text and str(tmp_path / "b" / "run") in text


def test_agreement_is_the_share_of_items_that_both_have():
    def genotype(*items: tuple) -> Genotype:
        return Genotype(normal=items, normal_concat=(2,), reduce=(("skip_connect", 2, 0),), reduce_concat=(2,))

    first = genotype(("skip_connect", 2, 0), ("sep_conv_3x3", 2, 1))
    assert share_of_equal_items(first, first) == 1
    assert share_of_equal_items(first, genotype(("skip_connect", 2, 0))) == pytest.approx(2 / 3)
    assert share_of_equal_items(first, genotype(("skip_connect", 2, 1))) == pytest.approx(1 / 4)


def test_the_directory_is_no_difference(tmp_path: Path):
    runs = {name: read_run(make_run(tmp_path / name, epochs=2, seed=len(name))) for name in ("a", "bb")}
    assert differing_flags(runs) == []


def test_broken_and_hostile_runs_are_compared_too(tmp_path: Path):
    whole, broken = make_run(tmp_path / "whole", epochs=3), make_run(tmp_path / "broken", epochs=3)
    change_flag(broken, "dataset", HOSTILE)
    (broken / "history.npz").write_bytes(b"PK")
    (broken / "history.csv").unlink()
    early = make_run(tmp_path / "early", recorded=0)
    found = compared(whole, broken, early)
    assert not any(tag == "img" for tag, _ in found.elements)
    assert "broken: history.csv is missing" in found.text


def test_names_that_are_no_utf_8(tmp_path: Path):
    runs = [make_run(tmp_path / os.fsdecode(name), epochs=2) for name in (b"x\xff", b"x\xfe")]
    text = write_comparison(runs, tmp_path / "both.html").read_text(encoding="utf-8")
    assert "x\ufffd" in text


def test_without_graphviz_all_but_the_cells_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    runs = [make_run(tmp_path / name, epochs=2, threshold=0.1) for name in ("one", "other")]
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    cell_layout.lay_out.cache_clear()
    found = compared(*runs)
    assert found.text.count("cells cannot be drawn") == 1
    assert found.text.count("The cells could not be drawn.") == 2
    assert "curve_search_accuracy" in json.loads(found.data)["figures"]


@pytest.mark.parametrize("name", ["history.csv", "flags.txt"])
def test_no_file_of_a_search_is_overwritten(tmp_path: Path, name: str):
    runs = [make_run(tmp_path / name, epochs=2) for name in ("one", "other")]
    before = (runs[1] / name).read_bytes()
    with pytest.raises(ConfigurationError, match="--output"):
        write_comparison(runs, runs[1] / name)
    assert (runs[1] / name).read_bytes() == before


def test_written_where_it_is_told(tmp_path: Path):
    workdirs = [make_run(tmp_path / name, epochs=2) for name in ("one", "other")]
    path = write_comparison(workdirs, tmp_path / "both.html")
    assert path.read_text().startswith("<!doctype html>")
