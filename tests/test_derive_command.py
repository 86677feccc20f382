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
