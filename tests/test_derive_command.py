"""The command `derive`: output, defaults from a search's flags, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairdarts_tf.derivation import derive
from fairdarts_tf.genotypes import DARTS_OPERATIONS, FAIRDARTS_OPERATIONS, Genotype
from fairdarts_tf.relaxations import RELAXATIONS

PROJECT = Path(__file__).resolve().parents[1]
TABLES = {
    kind: np.random.default_rng(seed).normal(2.0, 1.0, (14, 7)).astype(np.float32)
    for seed, kind in enumerate(("normal", "reduce"))
}


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fairdarts_tf.cli.derive", *map(str, arguments)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


def wanted(operations=FAIRDARTS_OPERATIONS, relaxation="sigmoid", tables=TABLES, **settings) -> Genotype:
    return derive(
        {kind: RELAXATIONS[relaxation].of_array(table) for kind, table in tables.items()}, operations, **settings
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    np.savez(tmp_path / "alphas.npz", **TABLES)
    return tmp_path


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("derive: ") and result.stderr.count("\n") == 1
    return result.stderr


def test_genotype_alone_on_stdout(run: Path):
    result = command(f"--alphas={run}")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == wanted().to_json() + "\n"


def test_report_goes_to_stderr(run: Path):
    result = command(f"--alphas={run / 'alphas.npz'}", "--report", f"--output={run / 'found.json'}")
    assert Genotype.from_json(result.stdout) == Genotype.load(run / "found.json") == wanted()
    assert len(result.stderr.splitlines()) == len(wanted().normal) + len(wanted().reduce) + 3


def test_flags_decide(run: Path):
    result = command(f"--alphas={run}", "--method=threshold_edge", "--threshold=0.9")
    assert Genotype.from_json(result.stdout) == wanted(method="threshold_edge", threshold=0.9)
    result = command(f"--alphas={run}", "--relaxation=softmax", "--threshold=0.2")
    assert Genotype.from_json(result.stdout) == wanted(relaxation="softmax", threshold=0.2)


def test_a_searchs_flags_are_the_defaults(run: Path):
    order = tuple(reversed(FAIRDARTS_OPERATIONS))
    (run / "flags.txt").write_text(
        f"# a search\n--epochs=3\n--nodownload\n--operations={','.join(order)}\n--method=darts\n--relaxation=softmax\n"
    )
    found = wanted(order, "softmax", method="darts")
    for place in (run, run / "alphas.npz"):
        assert Genotype.from_json(command(f"--alphas={place}").stdout) == found
    given = command(f"--alphas={run}", "--method=threshold_edge", "--relaxation=sigmoid")
    assert Genotype.from_json(given.stdout) == wanted(order, method="threshold_edge")


def test_operations_by_the_number_of_columns(run: Path):
    tables = {kind: np.column_stack([np.full(14, 9.0), table]) for kind, table in TABLES.items()}
    np.savez(run / "alphas.npz", **tables)
    assert Genotype.from_json(command(f"--alphas={run}").stdout) == wanted(DARTS_OPERATIONS, tables=tables)
    np.savez(run / "alphas.npz", **{kind: table[:, :2] for kind, table in TABLES.items()})
    assert "2 columns" in refused(command(f"--alphas={run}"))
    assert command(f"--alphas={run}", "--operations=skip_connect, sep_conv_3x3").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold=0.9999"], "largest value is 0.9"),
        (["--method=dart"], "Did you mean 'darts'"),
        (["--relaxation=relu"], "unknown relaxation"),
        (["--threshold=2"], "from 0 to 1"),
        (["--threshold=nan"], "from 0 to 1"),
        (["--threshold=high"], "threshold"),
        (["--operations=skip_connect"], "7"),
        (["--operations=skip_conect"], "Did you mean 'skip_connect'"),
        (["--thresold=1"], "thresold"),
        (["extra"], "extra"),
        (["--output=absent/genotype.json"], "absent"),
        (["--alphas="], "--alphas"),
        (["--alphas=absent"], "no such file"),
    ],
)
def test_bad_input_is_one_line(run: Path, arguments, words):
    assert words in refused(command(f"--alphas={run}", *arguments))


@pytest.mark.parametrize("flags", [b"\xff\xfe", b"#" * 1_000_001, b"--threshold=high", b"--method=best"])
def test_broken_flags_of_a_search(run: Path, flags):
    (run / "flags.txt").write_bytes(flags)
    refused(command(f"--alphas={run}"))


def test_broken_alphas_leave_the_output_alone(run: Path):
    wanted().save(run / "found.json")
    (run / "alphas.npz").write_bytes((run / "alphas.npz").read_bytes()[:300])
    assert "alphas.npz" in refused(command(f"--alphas={run}", "--method=darts", f"--output={run / 'found.json'}"))
    assert Genotype.load(run / "found.json") == wanted()
    assert sorted(path.name for path in run.iterdir()) == ["alphas.npz", "found.json"]


def test_help():
    result = command("--help")
    assert result.returncode == 0 and "--threshold" in result.stdout


def test_starts_without_tensorflow():
    check = (
        "import sys, fairdarts_tf.cli.derive; print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", check], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three searches whose alphas differ, each with a history of three epochs."""
    paths = []
    for seed in range(3):
        path = tmp_path / f"run_{seed}"
        path.mkdir()
        random = np.random.default_rng(seed)
        history = {kind: random.normal(2.0, 1.0, (3, 14, 7)).astype(np.float32) for kind in TABLES}
        np.savez(path / "history.npz", epoch=np.arange(1, 4), **history)
        np.savez(path / "alphas.npz", **{kind: table[-1] for kind, table in history.items()})
        (path / "flags.txt").write_text("--threshold=0.8\n--max_skips=1\n")
        paths.append(path)
    return paths


def sigmoids(path: Path) -> dict[str, np.ndarray]:
    """Returns the mixing weights of all epochs."""
    with np.load(path / "history.npz") as history:
        return {kind: 1 / (1 + np.exp(-history[kind].astype(np.float64))) for kind in TABLES}


def test_a_consensus_of_several_searches(runs: list[Path]):
    result = command(f"--alphas={','.join(map(str, runs))}", "--consensus", "--report")
    weights = [sigmoids(path) for path in runs]
    mean = {kind: np.mean([run[kind][-1] for run in weights], axis=0) for kind in TABLES}
    found = Genotype.from_json(result.stdout)
    assert found == derive(mean, FAIRDARTS_OPERATIONS, threshold=0.8, max_skips=1)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("agreement of 3 runs: 0.")
    assert "share of 3 searches" in result.stderr
    assert "--consensus" in refused(command(f"--alphas={runs[0]},{runs[1]}"))
    (runs[1] / "flags.txt").write_text("--threshold=0.7\n--max_skips=1\n")
    assert "--threshold was 0.8 and 0.7" in refused(command(f"--alphas={runs[0]},{runs[1]}", "--consensus"))


def test_the_mean_of_the_last_epochs(runs: list[Path]):
    result = command(f"--alphas={runs[0]}", "--average_last=2", "--max_skips=-1", "--report")
    mean = {kind: table[-2:].mean(axis=0) for kind, table in sigmoids(runs[0]).items()}
    assert Genotype.from_json(result.stdout) == derive(mean, FAIRDARTS_OPERATIONS, threshold=0.8)
    assert "share of the last 3 epochs" in result.stderr
    assert "history.npz" in refused(command(f"--alphas={runs[0] / 'alphas.npz'}", "--average_last=2"))
    (runs[0] / "flags.txt").write_text("--max_skips=two\n")
    assert "whole number" in refused(command(f"--alphas={runs[0]}"))
