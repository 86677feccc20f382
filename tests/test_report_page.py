"""The page of a run as text: what it holds, what it escapes, how large it is and how fast it is written."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from report_testing import HOSTILE, Elements, change_flag, make_run

from fairdarts_tf.genotypes import DARTS_OPERATIONS, Genotype, published_names
from fairdarts_tf.report import figures, page
from fairdarts_tf.report.evolution import evolution_of
from fairdarts_tf.report.run_data import read_run
from fairdarts_tf.spaces.darts import DartsSpace

PROJECT = Path(__file__).resolve().parents[1]


def rendered(workdir: Path) -> Elements:
    return Elements(page.render_report(read_run(workdir)))


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_page_holds_what_a_run_left(workdir: Path):
    found = rendered(workdir)
    plots = {attributes["id"] for tag, attributes in found.elements if attributes.get("class") == "plot"}
    data = json.loads(found.data)
    assert plots == set(data["figures"])
    assert plots >= {
        f"{name}_{kind}"
        for name in ("heat_sigmoid", "heat_softmax", "trajectories", "dominant")
        for kind in ("normal", "reduce")
    } | {"states", "skips", "loss", "accuracy", "zero_one"}
    assert "Finished: 12 of 12 epochs" in found.text
    assert data["replay"]["epochs"] == list(range(1, 13))
    rows = sum(tag == "tr" for tag, _ in found.elements) - 1
    genotype = Genotype.load(workdir)
    assert rows == len(genotype.normal) + len(genotype.reduce)


def test_replay_holds_the_mixing_weights_and_the_choices_of_each_epoch(workdir: Path):
    run = read_run(workdir)
    replay = json.loads(rendered(workdir).data)["replay"]
    shown = np.array(replay["tables"]["heat_softmax_reduce"])
    assert np.abs(shown - run.mixing_weights("softmax")["reduce"]).max() < 1e-4
    edges = figures.row_names(run.derivation.space, "normal")
    genotype = Genotype.load(workdir)
    chosen = {
        (edges[row], run.derivation.operations[column]) for row, column in replay["chosen"]["heat_sigmoid_normal"][-1]
    }
    assert chosen == {(f"{item.source} → {item.to}", item.op) for item in genotype.normal}


def test_replay_holds_value_and_margin_of_every_operation_of_each_epoch(workdir: Path):
    run = read_run(workdir)
    replay = json.loads(rendered(workdir).data)["replay"]
    epochs = evolution_of(run).epochs
    assert [len(notes) for notes in replay["notes"]] == [len(epoch.confidence) for epoch in epochs]
    for index, epoch in enumerate(epochs):
        if epoch.genotype is None:
            continue
        items = [(kind, item) for kind in ("normal", "reduce") for item in epoch.genotype.items(kind)]
        for (kind, item), note in zip(items, replay["notes"][index], strict=True):
            row = figures.row_names(run.derivation.space, kind).index(f"{item.source} → {item.to}")
            column = run.derivation.operations.index(item.op)
            value = run.mixing_weights()[kind][index, row, column]
            assert re.fullmatch(rf"{value:.2f} \(\+[\d.e-]+\)", note)


def test_no_zero_has_a_sign():
    figure = figures.curves({"zero-one loss": ([1, 2], [-1e-9, -0.02])}, "zero-one loss")
    assert json.dumps(figure["data"][0]["y"]) == "[0.0, -0.02]"


def test_counts_change_halfway_between_epochs_so_that_the_last_change_shows():
    figure = figures.curves({"normal cell": ([1, 2, 3], [0, 0, 2])}, "skip connections", whole=True)
    assert figure["data"][0]["line"]["shape"] == "hvh"


def test_equal_genotypes_are_drawn_once(workdir: Path):
    found = rendered(workdir)
    templates = sum(tag == "template" for tag, _ in found.elements)
    places = [place for place in json.loads(found.data)["replay"]["drawings"] if place is not None]
    assert templates == len(set(places)) == max(places) + 1


def test_trajectories_have_one_gap_after_each_edge():
    weights = np.random.default_rng(0).random((3, 5, 2))
    space = DartsSpace(("skip_connect", "sep_conv_3x3"), nodes=2)
    trace = figures.trajectories([1, 2, 3], weights, space, "normal", 0.85)["data"][1]
    assert np.array_equal(np.array(trace["y"], float)[[0, 1, 2]], weights[:, 0, 1].round(4))
    assert trace["y"][3::4] == [None] * 5
    assert trace["text"][4] == "1 → 2"


def test_dominant_operations_are_those_at_or_above_the_threshold():
    weights = np.array([[[0.9, 0.1], [0.85, 0.2]], [[0.1, 0.86], [0.8, 0.9]]])
    figure = figures.dominant_operations([1, 2], weights, ["skip_connect", "sep_conv_3x3"], 0.85)
    assert [trace["y"] for trace in figure["data"]] == [[2, 0], [0, 2]]


@pytest.mark.parametrize("where", ["dataset", "operations", "method", "threshold", "relaxation", "note"])
def test_nothing_from_a_file_becomes_markup(workdir: Path, where: str):
    change_flag(workdir, where, ",".join([HOSTILE] * 7) if where == "operations" else HOSTILE.replace("\u2028", ""))
    found = rendered(workdir)
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in found.elements)
    assert sum(tag == "script" for tag, _ in found.elements) == 3
    json.loads(found.data)
    assert "<img src=x onerror=alert(1)>" in found.text


def test_hostile_names_of_directories(tmp_path: Path):
    parent = tmp_path / "<img src=x onerror=alert(1)>"
    parent.mkdir()
    found = rendered(make_run(parent / "<b onclick=x>"))
    assert not any(tag in ("img", "b") and attributes.get("class") is None for tag, attributes in found.elements)
    assert "<b onclick=x>" in found.text


def test_json_cannot_end_its_element():
    text = page.json_for_script({HOSTILE: [HOSTILE]})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE]}
    with pytest.raises(ValueError):
        page.json_for_script(float("nan"))


def test_plotly_shows_names_letter_by_letter():
    space = dataclasses.replace(DartsSpace.unknown({"normal": (2, 1)}), operations=("<b>%{x}</b>",))
    figure = figures.trajectories([1], np.zeros((1, 2, 1)), space, "normal", None)
    assert figure["data"][0]["name"] == "&lt;b&gt;% {x}&lt;/b&gt;"
    curves = figures.curves({"%{x}": ([1], [1])}, "accuracy")
    assert curves["data"][0]["name"] == "% {x}"
    assert "%{x}</b>" not in figure["data"][0]["hovertemplate"].partition("<br>")[0]


def test_page_refers_to_nothing_elsewhere(workdir: Path):
    found = rendered(workdir)
    for tag, attributes in found.elements:
        assert not {"src", "srcset", "data", "action", "background", "poster"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
        assert tag not in ("link", "base", "iframe", "object", "embed")
    policy = next(a["content"] for tag, a in found.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    styles = (PROJECT / "fairdarts_tf/report/assets/report.css").read_text()
    assert "url(" not in styles and "@import" not in styles


def test_scripts_cannot_end_their_element():
    for name in ("report.js", "plotly-cartesian.min.js"):
        text = (PROJECT / "fairdarts_tf/report/assets" / name).read_text(encoding="utf-8")
        assert not re.search(r"</script|<!--", text, re.IGNORECASE)


def test_fifty_epochs_are_small_and_fast(tmp_path: Path):
    workdir = make_run(tmp_path / "run", epochs=50)
    began = time.perf_counter()
    path = page.write_report(workdir)
    assert time.perf_counter() - began < 10
    assert path == workdir / "report.html"
    assert path.stat().st_size < 5e6


@pytest.mark.parametrize(
    "settings",
    [
        {"relaxation": "softmax", "operations": DARTS_OPERATIONS, "method": "darts", "threshold": 0.2},
        {"nodes": 1, "threshold": 0.6},
        {"nodes": 7, "operations": ("none", "skip_connect", "sep_conv_7x7", "conv_7x1_1x7")},
        {"method": "threshold_edge"},
        {"threshold": 1.0},
        {"epochs": 1, "threshold": 0.1},
    ],
)
def test_other_searches(tmp_path: Path, settings: dict):
    workdir = make_run(tmp_path / "run", **settings)
    found = rendered(workdir)
    first = next(a["id"] for _, a in found.elements if (a.get("id") or "").startswith("heat_"))
    assert first == f"heat_{settings.get('relaxation', 'sigmoid')}_normal"
    assert ("There is no genotype: the normal cell would be empty" in found.text) == (settings.get("threshold") == 1.0)


def test_missing_genotype_is_derived_and_said(workdir: Path):
    (workdir / "genotype.json").unlink()
    assert "genotype.json is missing" in rendered(workdir).text


def test_other_genotype_than_the_alphas_give_is_said(workdir: Path):
    Genotype.load(published_names()[0]).save(workdir / "genotype.json")
    assert "not what the recorded alphas give" in rendered(workdir).text


@pytest.mark.parametrize("left", [["flags.txt"], ["history.csv"], ["history.npz"], ["alphas.npz"], ["genotype.json"]])
def test_a_page_of_one_file_alone(workdir: Path, left: list[str]):
    for path in workdir.iterdir():
        if path.name not in left:
            path.unlink()
    found = rendered(workdir)
    assert "What ran" in found.text
    if left != ["flags.txt"]:
        assert "flags.txt is missing" in found.text


def test_reload_only_while_watched(workdir: Path):
    run = read_run(workdir)
    assert "data-reload-seconds" not in dict(Elements(page.render_report(run)).elements)["body"]
    assert dict(Elements(page.render_report(run, 3)).elements)["body"]["data-reload-seconds"] == "3"


def test_a_failed_write_leaves_the_old_page(workdir: Path, monkeypatch: pytest.MonkeyPatch):
    path = page.write_report(workdir)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        page.write_report(workdir)
    assert path.read_bytes() == before
    assert not list(workdir.glob(".*"))


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (0.85, "on from 0.85, off at 0.15 or below, and undecided between."),
        (0.4, "on from 0.4, and off below."),
    ],
)
def test_what_is_on_and_off_is_what_the_history_counts(tmp_path: Path, threshold: float, words: str):
    workdir = make_run(tmp_path / "run", threshold=threshold)
    assert words in rendered(workdir).text
    undecided = read_run(workdir).columns["operations_undecided"]
    assert bool(undecided.any()) == ("undecided" in words)


def test_paths_and_lists_may_break_after_their_separators(workdir: Path):
    change_flag(workdir, "data_dir", "/a<b/c,d")
    text = page.render_report(read_run(workdir))
    assert "/<wbr>a&lt;b/<wbr>c,<wbr>d" in text


def test_without_a_genotype_the_skips_say_so(tmp_path: Path):
    found = rendered(make_run(tmp_path / "run", threshold=1.0))
    assert "No epoch has a genotype." in found.text and "Not recorded." not in found.text


@pytest.mark.parametrize("method", ["darts", "threshold_sparse"])
def test_a_threshold_is_named_where_it_plays_a_part(tmp_path: Path, method: str):
    found = rendered(make_run(tmp_path / "run", method=method, threshold=0.3))
    assert ("or over the threshold of 0.3" in found.text) == (method != "darts")


def test_names_that_are_no_utf_8(tmp_path: Path):
    path = page.write_report(make_run(tmp_path / os.fsdecode(b"x\xff"), epochs=2))
    assert "<h1>x\ufffd</h1>" in path.read_text(encoding="utf-8")


def test_needs_no_tensorflow():
    check = (
        "import sys, fairdarts_tf.cli.report; print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", check], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
