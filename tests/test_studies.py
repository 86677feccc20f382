"""Studies: their registry, their settings at each scale, what they write, and that they do nothing twice."""

from __future__ import annotations

import csv
import dataclasses
import io
import pkgutil
import re
import shutil
import signal
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_search import without_pictures

from fairdarts_tf import data
from fairdarts_tf.cli.study import COMMAND, NAMES, main
from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.evaluation.run import evaluate_run
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.random_search.settings import SHORT_TRAINING
from fairdarts_tf.runs import Run
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.studies import catalogue, stages
from fairdarts_tf.studies.catalogue import STUDIES
from fairdarts_tf.studies.gap import discretisation_gap
from fairdarts_tf.studies.measures import MEASURES
from fairdarts_tf.studies.plan import Plan
from fairdarts_tf.studies.results import Results, judge, spread
from fairdarts_tf.studies.scales import SCALES
from fairdarts_tf.studies.study import DARTS, FAIRDARTS, Claim
from fairdarts_tf.training.settings import TrainSettings

PROJECT = Path(__file__).resolve().parents[1]
RAN = ("skip_counts", "random_control", "zero_one")


def study(*names: str, **flags: object) -> int:
    return COMMAND.execute(main, ["study", *names, *(f"--{name}={value}" for name, value in flags.items())])


def rows_of(workdir: Path, name: str) -> list[dict[str, str]]:
    with open(workdir / name / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def contents(workdir: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (workdir / name).iterdir()}


@pytest.fixture(scope="module", autouse=True)
def _no_pictures_of_runs():
    with pytest.MonkeyPatch.context() as patch:
        without_pictures(patch)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("studies")
    assert study(*RAN, scale="tiny", seeds="0", workdir=workdir) == 0
    return workdir


def never(*arguments: object, **options: object) -> None:
    raise AssertionError("this was run before")


# ----- the registry


def test_every_file_is_a_study_under_its_name():
    modules = {module.name for module in pkgutil.iter_modules(catalogue.__path__)}
    assert modules == set(STUDIES)
    assert all(name == found.name for name, found in STUDIES.items())
    assert tuple(STUDIES) == NAMES, "the command's list"


def test_configurations_of_one_name_are_one():
    """Studies share runs by the name."""
    by_name: dict[str, object] = {}
    for found in STUDIES.values():
        for configuration in found.configurations:
            assert by_name.setdefault(configuration.name, configuration) == configuration
    for configuration in by_name.values():
        assert configuration.search_of in (None, *by_name.values())


def test_studies_name_what_there_is():
    for found in STUDIES.values():
        assert set(found.measures) <= set(MEASURES)
        known = {configuration.name for configuration in found.configurations}
        known |= set() if found.random_skips is None else {"random"}
        assert {name for claim in found.claims for name in (claim.less, claim.more)} <= known


@pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))
def test_all_settings_are_in_range_and_differ_by_configuration(scale, tmp_path: Path):
    plan = Plan(tmp_path, scale)
    found = {
        configuration.name: plan.search_settings(configuration, 0)
        for each in STUDIES.values()
        for configuration in each.configurations
        if not configuration.search_of
    }
    assert len(set(found.values())) == len(found)
    plan.train_settings("FairDARTS_a", 0)


@pytest.mark.parametrize(("configuration", "file"), [(FAIRDARTS, "cifar10"), (DARTS, "darts_first")])
def test_paper_scale_is_that_of_the_papers_flags(configuration, file: str, tmp_path: Path):
    lines = (PROJECT / "configs" / f"{file}.flags").read_text().splitlines()
    flags = dict(line.removeprefix("--").split("=", 1) for line in lines if line.startswith("--"))
    expected = SearchSettings.from_flags(flags)
    assert Plan(tmp_path, SCALES["paper"]).search_settings(configuration, 0) == expected


@pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))
def test_random_cells_are_trained_as_searched_ones(scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plan, asked = Plan(tmp_path, scale), {}

    def stop(settings: object, workdir: Path, **training: object) -> None:
        asked.update(training)
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "run_random_search", stop)
    with pytest.raises(KeyboardInterrupt):
        stages.train_random_cells(plan, 2)
    found = TrainSettings(genotype="FairDARTS_a", **SHORT_TRAINING | asked)
    assert found == dataclasses.replace(plan.train_settings("FairDARTS_a", 0), genotype="FairDARTS_a")


# ----- what a study writes


def test_a_row_for_each_run_with_the_runs_own_numbers(finished: Path):
    rows = rows_of(finished, "skip_counts")
    assert [(row["scale"], row["configuration"], row["seed"]) for row in rows] == [
        ("tiny", "darts", "0"),
        ("tiny", "fairdarts", "0"),
    ]
    search = finished / "runs" / "darts_seed0" / "search"
    genotype = Genotype.load(search)
    assert int(rows[0]["normal_skips"]) == sum(item.op == "skip_connect" for item in genotype.normal)
    with open(search / "history.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert float(rows[0]["search_accuracy"]) == pytest.approx(float(last["search_accuracy"]))


def test_a_search_without_a_genotype_is_a_result_too(finished: Path):
    """After four steps no sigmoid reaches the threshold."""
    row = rows_of(finished, "skip_counts")[1]
    assert row["derived_by"] == "darts" and row["normal_operations"] == "2"
    assert not (finished / "runs" / "fairdarts_seed0" / "search" / "genotype.json").exists()


def test_random_cells_are_the_control(finished: Path):
    rows = [row for row in rows_of(finished, "random_control") if row["configuration"] == "random"]
    assert [row["seed"] for row in rows] == ["1", "2"]
    assert [row["normal_skips"] for row in rows] == ["2", "2"]
    place = finished / "runs" / "random_seed0" / "random_search"
    with open(place / "results.csv", newline="") as file:
        ranking = {row["candidate"]: row for row in csv.DictReader(file)}
    for row in rows:
        assert float(row["validation_accuracy"]) == pytest.approx(
            float(ranking[row["seed"]]["validation_accuracy"]), abs=1e-6
        )
        assert float(row["test_accuracy"]) == pytest.approx(
            evaluate_run(place / f"candidate_{row['seed']}").measures.top_1, abs=1e-6
        )


def test_a_limit_on_skips_shares_the_search_and_where_it_limits_nothing_the_training(finished: Path):
    assert not (finished / "runs" / "darts_two_skips_seed0").joinpath("search").exists()
    rows = {row["configuration"]: row for row in rows_of(finished, "random_control") if row["seed"] == "0"}
    assert int(rows["darts"]["normal_skips"]) <= 2
    assert rows["darts_two_skips"] == rows["darts"] | {"configuration": "darts_two_skips"}
    trained = {path.parent.name for path in finished.glob("runs/*/training")}
    assert trained == {"darts_seed0", "fairdarts_seed0"}


def test_a_derivation_of_another_cell_is_trained(finished: Path, monkeypatch: pytest.MonkeyPatch):
    """Here two operations on each edge, where DARTS keeps one."""
    derivation = {"method": "threshold_edge", "threshold": 0.0}
    other = dataclasses.replace(DARTS, name="other", derivation=derivation, search_of=DARTS)
    each = stages.Stages(Plan(finished, SCALES["tiny"]), other, 0)
    trained = []
    monkeypatch.setattr(stages, "kept", lambda path, flags, compute: trained.append(path) or {})
    each.train()
    assert each.genotype()[0] != dataclasses.replace(each, configuration=DARTS).genotype()[0]
    assert trained == [finished / "runs" / "other_seed0" / "training.json"]


@pytest.mark.parametrize("name", RAN)
def test_figures_and_text(finished: Path, name: str):
    place, found = finished / name, STUDIES[name]
    for picture in found.pictures:
        with Image.open(place / f"{picture.name}.png") as image:
            assert min(image.size) > 100 and len(image.convert("RGB").getcolors(2**20)) > 10
        assert ElementTree.parse(place / f"{picture.name}.svg").getroot().tag.endswith("svg")
    text = (place / "study.md").read_text()
    assert SCALES["tiny"].description in text and "seeds 0." in text
    for column in found.columns:
        values = [float(row[column]) for row in rows_of(finished, name) if row["configuration"] == "darts"]
        if values and column == "normal_skips":
            assert f"DARTS {np.mean(values):.2f}" in text
    assert len(re.findall(r"^- .*\*\*", text, flags=re.MULTILINE)) == len(found.claims)


def test_the_gap_is_the_supernets_accuracy_minus_the_derived_networks(finished: Path):
    """Both measured by other ways: the network as `bin/evaluate` has it, the supernet by its layers."""
    search = finished / "runs" / "darts_seed0" / "search"
    settings = SearchSettings.from_flags(Run(search).settings())
    images = data.load_dataset("digits", "test")
    found = discretisation_gap(search, Genotype.load(search), settings, 10_000)
    assert found["gap_images"] == len(images)
    assert found["derived_accuracy"] == evaluate_run(search).measures.top_1
    from fairdarts_tf.inherited_weights import load_supernet

    mean, std = data.statistics_for("digits", data.load_halves(settings)[0])
    normalised = ((images.images / 255.0 - mean) / std).astype(np.float32)
    labels = np.asarray(load_supernet(search)[0](normalised, training=False)).argmax(axis=1)
    assert found["supernet_accuracy"] == pytest.approx(np.mean(labels == images.labels), abs=2 / len(images))
    assert found["gap"] == found["supernet_accuracy"] - found["derived_accuracy"]
    row = rows_of(finished, "zero_one")[0]
    assert float(row["gap"]) == pytest.approx(float(row["supernet_accuracy"]) - float(row["derived_accuracy"]))
    assert row["gap_images"] == "100"


# ----- going on


def test_nothing_is_done_twice(finished: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither by the study again, nor by another that has the same searches."""
    for name in ("complete_search", "run_training", "run_random_search", "discretisation_gap"):
        monkeypatch.setattr(stages, name, never)
    before = {name: contents(finished, name) for name in RAN}
    assert study(*RAN, scale="tiny", seeds="0", workdir=finished) == 0
    assert {name: contents(finished, name) for name in RAN} == before
    assert study("coexistence", scale="tiny", seeds="0", workdir=finished) == 0
    assert len(rows_of(finished, "coexistence")) == 2


def test_goes_on_after_a_kill_with_the_same_results(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first search is done, the second is killed as it begins; a directory may have moved in between."""
    search, searched = stages.complete_search, []

    def counted(settings: SearchSettings, workdir: Path) -> object:
        searched.append(workdir.parent.name)
        if len(searched) == 1:
            raise KeyboardInterrupt
        return search(settings, workdir)

    monkeypatch.setattr(stages, "complete_search", counted)
    shutil.copytree(finished / "runs" / "darts_seed0", tmp_path / "study" / "runs" / "darts_seed0")
    flags = {"scale": "tiny", "seeds": "0", "workdir": tmp_path / "study"}
    assert study("skip_counts", **flags) == 130
    assert not (tmp_path / "study" / "skip_counts").exists()
    assert study("skip_counts", **flags) == 0
    assert searched == ["fairdarts_seed0"] * 2
    assert contents(tmp_path / "study", "skip_counts") == contents(finished, "skip_counts")


def test_a_signal_stops_a_study_without_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    @dataclasses.dataclass
    class Stopped:
        asked_to_stop: signal.Signals = signal.SIGTERM

    monkeypatch.setattr(stages, "complete_search", lambda settings, workdir: Stopped())
    assert study("skip_counts", scale="tiny", workdir=tmp_path) == 143
    assert not (tmp_path / "skip_counts").exists() and not list(tmp_path.rglob("search.json"))


def test_an_outcome_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(stages, "complete_search", never)
    kept = tmp_path / "runs" / "darts_seed0" / "search.json"
    kept.parent.mkdir(parents=True)
    for content in ("{", '{"settings": 1, "outcome": {}}', "[]"):
        kept.write_text(content)
        assert study("skip_counts", scale="tiny", workdir=tmp_path) == 2
        error = capsys.readouterr().err
        assert str(kept) in error and len(error.splitlines()) == 1


# ----- bad input


def test_refusals(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "file"
    file.touch()
    for names, flags, words in (
        ((), {"workdir": tmp_path / "a"}, "which study?"),
        (("skip_count",), {"workdir": tmp_path / "a"}, "skip_counts"),
        (("noise",), {}, "--workdir"),
        (("noise",), {"workdir": tmp_path / "a", "scale": "huge"}, "--scale"),
        (("noise",), {"workdir": tmp_path / "a", "seeds": "0,x"}, "--seeds=0,x"),
        (("noise",), {"workdir": tmp_path / "a", "seeds": "1,1"}, "--seeds=1,1"),
        (("noise",), {"workdir": file}, "is a file"),
        (("skip_counts",), {"workdir": finished, "scale": "cpu", "seeds": "0"}, "with other settings"),
    ):
        assert study(*names, **flags) == 2
        error = capsys.readouterr().err
        assert words in error and len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# ----- words


def results_of(one: list[float], other: list[float], tmp_path: Path) -> Results:
    values = {"darts": one, "fairdarts": other}
    rows = tuple(
        {"configuration": name, "seed": seed, "gap": value}
        for name, found in values.items()
        for seed, value in enumerate(found)
    )
    return Results(STUDIES["skip_counts"], Plan(tmp_path, SCALES["tiny"]), (), rows)


@pytest.mark.parametrize(
    ("less", "more", "words"),
    [
        (
            [0.1, 0.2],
            [0.3, 0.4],
            "supported: no value of the one reaches the other's; by chance, that is one case of 6",
        ),
        (
            [0.4, 0.5],
            [0.1, 0.2, 0.3],
            "contradicted: every value lies the other way; by chance, that is one case of 10",
        ),
        ([0.1, 0.3], [0.2, 0.4], "too close to tell"),
        ([0.1, 0.2], [0.2, 0.3], "too close to tell"),
        ([0.1], [0.2], "one run, points that way"),
        ([0.2, 0.2], [0.1], "one run, points the other way"),
        ([0.1], [0.1], "one run, no difference"),
        ([], [0.1], "not measured"),
    ],
)
def test_a_claim_is_judged_by_all_runs(less: list[float], more: list[float], words: str, tmp_path: Path):
    told = judge(results_of(less, more, tmp_path), Claim("The claim", "gap", "darts", "fairdarts"))
    assert f"The claim: **{words}" in told


def test_numbers_in_words():
    assert spread([], "skips") == "-"
    assert spread([2], "skips") == "2.00"
    assert spread([1.0, 2.0, 3.0], "skips") == "2.00 ± 1.00 (n=3)"
    assert spread([0.5, 0.7], "test_accuracy") == "60.00 ± 14.14 % (n=2)"
    assert spread([3_362_770.0], "params") == "3,362,770"


# ----- all of them


@pytest.mark.slow
def test_all_run_at_the_smallest_scale(tmp_path: Path):
    """Without stubs: with the seeds that each study has, and its own first derivatives and curvature."""
    assert study("all", scale="tiny", workdir=tmp_path) == 0
    for name, found in STUDIES.items():
        rows = rows_of(tmp_path, name)
        expected = len(found.configurations) * (found.seeds or 1) + (0 if found.random_skips is None else 2)
        assert len(rows) == expected
        text = (tmp_path / name / "study.md").read_text()
        assert all(f"]({picture.name}.png)" in text for picture in found.pictures)
    stopping = {row["configuration"]: row for row in rows_of(tmp_path, "early_stopping")}
    assert float(stopping["darts_stop_eigenvalue"]["dominant_eigenvalue"]) != 0
    assert {row["normal_skips"] for row in rows_of(tmp_path, "without_skip") if "without" in row["configuration"]} == {
        "0"
    }
    table = list(csv.DictReader(io.StringIO((tmp_path / "stability" / "results.csv").read_text())))
    assert [row["seed"] for row in table] == list("0123456")
    with pytest.raises(GenotypeError):
        Genotype.load(tmp_path / "runs" / "fairdarts_seed0" / "search")
    costs = {row["configuration"]: row for row in rows_of(tmp_path, "cost_aware")}
    assert [costs[f"macs_{name}"]["target_macs"] for name in ("low", "middle", "high")] == ["10000", "13000", "17000"]
    assert all(8400 <= float(row["derived_macs"]) <= 19024 for row in costs.values())
