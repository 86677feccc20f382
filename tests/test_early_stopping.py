"""Early stopping: each criterion by hand, and a search that stops, resumes and keeps the epoch that counts."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from tiny_search import search, tiny_settings

from fairdarts_tf import settings_values
from fairdarts_tf.cli import derive
from fairdarts_tf.early_stopping import CRITERIA, FILE, Stop, find_stop
from fairdarts_tf.errors import ConfigurationError, RunError
from fairdarts_tf.genotypes import Genotype
from fairdarts_tf.history import History
from fairdarts_tf.report.page import write_report
from fairdarts_tf.search_run import run_search
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.spaces import space_of

LEARNABLE = ("skip_connect", "sep_conv_3x3", "dil_conv_3x3")


def history(rows: list[dict[str, object]], tables: list[np.ndarray] | None = None) -> History:
    found = History()
    tables = tables or [np.zeros((2, 3))] * len(rows)
    for row, table in zip(rows, tables, strict=True):
        found.append({"normal_skips": 0} | row, {"normal": table, "reduce": table})
    return found


def settings(*criteria: str, **changes: object) -> SearchSettings:
    return SearchSettings(early_stopping=criteria, operations=LEARNABLE, **changes)


def test_settings_name_the_criteria():
    assert set(settings_values.STOP_CRITERIA) == set(CRITERIA)
    with pytest.raises(ConfigurationError, match="Did you mean 'skips'"):
        SearchSettings(early_stopping=("skip",))
    with pytest.raises(ConfigurationError, match="fewer than two"):
        space_of(SearchSettings(early_stopping=("ranking",), operations=("skip_connect", "sep_conv_3x3")))
    with pytest.raises(ConfigurationError, match="never ends the search"):
        SearchSettings(early_stopping=("skips",), max_skips=1)
    with pytest.raises(ConfigurationError, match="--precision=float32"):
        SearchSettings(early_stopping=("eigenvalue",), precision="mixed_float16")
    assert SearchSettings(early_stopping=("eigenvalue",)).measures_eigenvalue


def test_without_criteria_nothing_stops():
    assert find_stop(history([{"normal_skips": 8}] * 30), settings()) is None


def test_skips():
    rows = [{"normal_skips": skips} for skips in (2, 0, 1, 3)]
    wanted = settings("skips", warmup_epochs=1)
    stops = [find_stop(history(rows[:count]), wanted) for count in range(1, 5)]
    assert stops[:3] == [None] * 3
    assert (stops[3].criterion, stops[3].after, stops[3].counts) == ("skips", 4, 4)
    assert find_stop(history(rows[:3]), settings("skips", stop_skips=1)).after == 3


def test_ranking():
    """The skip's rank counts for nothing; a change on one edge of one cell begins the count anew."""
    steady = [np.array([[value, 0.2, 0.1], [0.0, -0.3, -0.1]]) for value in (0.0, 0.15, 0.3, 0.5)]
    wanted = settings("ranking", stop_ranking_epochs=3)
    assert find_stop(history([{}] * 2, steady[:2]), wanted) is None
    assert find_stop(history([{}] * 3, steady[:3]), wanted).after == 3
    changed = np.array([[0.0, 0.2, 0.1], [0.0, -0.1, -0.3]])
    assert find_stop(history([{}] * 4, [steady[0], changed, *steady[2:]]), wanted) is None
    assert find_stop(history([{}] * 4, [changed, *steady[1:]]), wanted).after == 4
    assert find_stop(history([{}] * 3, steady[:3]), settings("ranking", stop_ranking_epochs=3, warmup_epochs=1)) is None


def test_eigenvalue():
    """Means over two epochs: 1.0, then 1.2, then 1.5, of which 1.0 is less than three quarters."""
    values = [1.0, 1.0, 1.2, 1.2, 1.8]
    rows = [{"dominant_eigenvalue": value} for value in values]
    wanted = settings("eigenvalue", stop_eigenvalue_epochs=2)
    stops = [find_stop(history(rows[:count]), wanted) for count in range(1, 6)]
    assert stops[:4] == [None] * 4
    # (1.0 + 1.2) / 2 = 1.1 two epochs ago, (1.2 + 1.8) / 2 = 1.5 now: 0.733.
    assert (stops[4].after, stops[4].counts) == (5, 3)
    assert (
        find_stop(history(rows), settings("eigenvalue", stop_eigenvalue_epochs=2, stop_eigenvalue_ratio=0.73)) is None
    )
    rows[3] = {"dominant_eigenvalue": None}
    assert find_stop(history(rows), wanted) is None
    falling = [{"dominant_eigenvalue": value} for value in (1.0, 0.5, -1.0, -2.0)]
    assert find_stop(history(falling), wanted) is None


def test_the_first_criterion_that_is_met_counts():
    rows = [{"normal_skips": 3, "dominant_eigenvalue": value} for value in (1.0, 9.0)]
    found = find_stop(history(rows), settings("eigenvalue", "skips", stop_eigenvalue_epochs=1))
    assert (found.criterion, found.after, found.counts) == ("eigenvalue", 2, 1)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"criterion": "skips"}', b"[" * 9000])
def test_a_broken_record_is_one_clear_error(tmp_path: Path, content: bytes):
    assert Stop.load(tmp_path) is None
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(RunError, match=FILE):
        Stop.load(tmp_path)
    (tmp_path / FILE).write_text('{"criterion": "skips", "reason": "x", "after": 2, "counts": 3}')
    with pytest.raises(RunError, match=FILE):
        Stop.load(tmp_path)


FOUR_EPOCHS = {"epochs": 4, "zero_one": "none", "alpha_noise": 1.0, "seed": 1}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that stops as soon as its curvature has grown at all from one epoch to the next."""
    workdir = tmp_path_factory.mktemp("stopped")
    limits = {"stop_eigenvalue_epochs": 1, "stop_eigenvalue_ratio": 1.0, "eigenvalue_images": 8}
    result = run_search(tiny_settings(early_stopping=("eigenvalue",), **limits, **FOUR_EPOCHS), workdir)
    assert result.early_stop is not None
    return workdir


def test_a_search_stops_and_keeps_the_epoch_that_counts(stopped: Path, capsys: pytest.CaptureFixture[str]):
    stop = Stop.load(stopped)
    assert stop.criterion == "eigenvalue" and stop.counts == stop.after - 1 < 4
    with np.load(stopped / "history.npz") as recorded, np.load(stopped / "alphas.npz") as alphas:
        assert len(recorded["epoch"]) == stop.after
        for kind in ("normal", "reduce"):
            np.testing.assert_array_equal(alphas[kind], recorded[kind][stop.counts - 1])
    before = (stopped / "history.csv").read_bytes()
    assert "dominant_eigenvalue" in before.decode().splitlines()[0]
    assert search(f"--workdir={stopped}") == 0
    assert (stopped / "history.csv").read_bytes() == before
    assert "stopped early" in capsys.readouterr().err
    assert derive.COMMAND.execute(derive.main, ["derive", f"--alphas={stopped}"]) == 0
    assert Genotype.from_json(capsys.readouterr().out) == Genotype.load(stopped)
    assert derive.COMMAND.execute(derive.main, ["derive", f"--alphas={stopped}", "--report"]) == 0
    assert f"the last {stop.counts} epochs up to epoch {stop.counts}" in capsys.readouterr().err


def test_the_report_says_so(stopped: Path):
    page = write_report(stopped).read_text()
    assert "Stopped early after" in page and "the largest eigenvalue grew" in page


def test_measuring_the_curvature_changes_nothing_else(stopped: Path, tmp_path: Path):
    plain = run_search(tiny_settings(**FOUR_EPOCHS), tmp_path).history
    assert len(plain.rows) == 4 and plain.rows[0]["dominant_eigenvalue"] is None
    with np.load(stopped / "history.npz") as recorded:
        for kind in ("normal", "reduce"):
            for epoch, table in enumerate(recorded[kind]):
                np.testing.assert_array_equal(plain.alphas[epoch][kind], table)
    with open(stopped / "history.csv", newline="") as file:
        assert np.isfinite(float(next(csv.DictReader(file))["dominant_eigenvalue"]))
