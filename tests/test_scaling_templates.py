"""The templates in docs/scaling.md: each worker gets a TF_CONFIG that this program reads, and the same command."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from fairdarts_tf.cluster import read_cluster
from fairdarts_tf.settings import SearchSettings
from fairdarts_tf.settings_checks import as_flags

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
STAND_INS = {
    "scontrol": """
        if [ "$1" = show ]; then printf 'node0\\nnode1\\nnode2\\n'; else echo "$@" >> requeued; fi
    """,
    "srun": """
        shift
        for SLURM_PROCID in 0 1 2; do export SLURM_PROCID; "$@" || code=$?; done
        exit ${code:-0}
    """,
    "bin/search": """
        printf '%s\\n' "$TF_CONFIG" >> clusters
        printf '%s\\n' "$*" >> commands
        exit ${EXIT_CODE:-0}
    """,
}


def block(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]


def run(script: str, folder: Path, **environment: str) -> int:
    """Runs a script beside stand-ins of what it calls; returns its exit code."""
    for name, body in STAND_INS.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/bash\n" + textwrap.dedent(body))
        path.chmod(0o755)
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    return subprocess.run(["bash", "-c", script], cwd=folder, env={"PATH": path} | environment, check=False).returncode


def assert_three_workers(folder: Path, first_address: str) -> None:
    clusters = [read_cluster({"TF_CONFIG": line}) for line in (folder / "clusters").read_text().splitlines()]
    assert [cluster.index for cluster in clusters] == [0, 1, 2]
    assert {len(cluster.workers) for cluster in clusters} == {3}
    assert len({cluster.workers for cluster in clusters}) == 1
    assert clusters[0].workers[0] == first_address
    commands = set((folder / "commands").read_text().splitlines())
    assert len(commands) == 1
    known = {"workdir", "flagfile", *as_flags(SearchSettings())}
    assert set(re.findall(r"--(\w+)", commands.pop())) <= known


def test_slurm_gives_up_at_last(tmp_path: Path):
    known = {"SLURM_JOB_NODELIST": "node[0-2]", "SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "100"}
    assert run(block("bash"), tmp_path, EXIT_CODE="75", **known) == 75
    assert not (tmp_path / "requeued").exists()


@pytest.mark.parametrize(
    ("code", "requeued"), [(0, False), (2, False), (3, False), (75, True), (137, True), (143, True)]
)
def test_slurm(tmp_path: Path, code: int, requeued: bool):
    assert run(block("bash"), tmp_path, EXIT_CODE=str(code), SLURM_JOB_NODELIST="node[0-2]", SLURM_JOB_ID="7") == code
    assert_three_workers(tmp_path, "node0:23456")
    assert (tmp_path / "requeued").exists() == (code > 3)


def test_kubernetes(tmp_path: Path):
    page = block("yaml")
    script = textwrap.dedent(re.search(r"- \|\n((?: {14}.*\n)+)", page)[1])
    for index in range(3):
        assert run(script, tmp_path, WORKERS="3", JOB_COMPLETION_INDEX=str(index)) == 0
    assert_three_workers(tmp_path, "search-0.search:23456")
