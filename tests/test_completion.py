"""Completion in bash and zsh, by the shells themselves."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from fairdarts_tf.cli import completion
from fairdarts_tf.cli.completion_scripts import SHELLS, all_commands, completion_script
from fairdarts_tf.derivation import METHODS
from fairdarts_tf.genotypes import published_names

PROJECT = Path(__file__).resolve().parents[1]


def need(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "bash"
    path.write_text(completion_script("bash", all_commands(), PROJECT / "bin"))
    return path


def complete(script: Path, *words: str, cwd: Path) -> list[str]:
    """Returns what bash offers for the last of the words, as it would divide them."""
    function = f"$(complete -p {shlex.quote(words[0])} | sed 's/.*-F \\([^ ]*\\) .*/\\1/')"
    code = (
        f"source {shlex.quote(str(script))}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
        f'{function} {shlex.quote(words[0])} {shlex.quote(words[-1])} {shlex.quote(words[-2])}; printf "%s\\n" '
        '"${COMPREPLY[@]}"'
    )
    result = subprocess.run(
        [need("bash"), "--norc", "-c", code], cwd=cwd, capture_output=True, text=True, check=True, timeout=30
    )
    assert result.stderr == ""
    return sorted(line for line in result.stdout.splitlines() if line)


@pytest.mark.parametrize("program", ["bin/search", "./bin/search", str(PROJECT / "bin" / "search"), "fairdarts-search"])
def test_flags_of_a_command_by_any_of_its_names(script: Path, program: str, tmp_path: Path):
    assert complete(script, program, "--relax", cwd=tmp_path) == ["--relaxation="]
    assert complete(script, program, "--down", cwd=tmp_path) == ["--download"]
    assert complete(script, program, "--nodown", cwd=tmp_path) == ["--nodownload"]
    assert complete(script, program, "--cost_", cwd=tmp_path) == sorted(
        f"--cost_{name}=" for name in ("target", "weight", "channels", "layers", "network", "image_size", "classes")
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["bin/search", "--relaxation", "="], ["sigmoid", "softmax"]),
        (["bin/search", "--relaxation", "=", "so"], ["softmax"]),
        (["bin/search", "--relaxation", "so"], ["softmax"]),
        (["bin/search", "--relaxation=so"], ["--relaxation=softmax"]),
        (["bin/search", "--early_stopping", "=", "skips,ei"], ["skips,eigenvalue"]),
        (["bin/search", "--early_stopping=skips,ei"], ["--early_stopping=skips,eigenvalue"]),
        (["bin/search", "--epochs", "="], []),
        (["bin/search", "--download", ""], []),
        (["fairdarts-measure-latency", "--cost_network", "=", ""], ["cifar", "imagenet"]),
        (["bin/derive", "--method", "="], sorted(METHODS)),
        (["bin/train", "--genotype", "=", "FairDARTS_"], [n for n in published_names() if n.startswith("FairDARTS_")]),
        (["bin/study", "skip"], ["skip_counts"]),
        (["bin/study", "--workdir", "=", "x", "early"], ["early_stopping"]),
        (["bin/completion", ""], list(SHELLS)),
    ],
)
def test_values(script: Path, words: Sequence[str], offered: list[str], tmp_path: Path):
    assert complete(script, *words, cwd=tmp_path) == sorted(offered)


def test_files(script: Path, tmp_path: Path):
    for name in ("runs", "run a.flags", "cat.png"):
        (tmp_path / name).touch()
    assert complete(script, "bin/search", "--workdir", "=", "ru", cwd=tmp_path) == ["run a.flags", "runs"]
    assert complete(script, "bin/search", "--workdir=ru", cwd=tmp_path) == ["--workdir=run a.flags", "--workdir=runs"]
    assert complete(script, "bin/search", "--flagfile", "=", "run ", cwd=tmp_path) == ["run a.flags"]
    assert complete(script, "bin/predict", "--model", "=", "x", "ca", cwd=tmp_path) == ["cat.png"]
    assert complete(script, "bin/search", "--dataset", "=", "folder", ":", "ru", cwd=tmp_path) == [
        "run a.flags",
        "runs",
    ]


def test_no_command_of_the_shell_itself_is_touched(script: Path):
    code = f"source {shlex.quote(str(script))}; complete -p export test profile search"
    result = subprocess.run([need("bash"), "--norc", "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout == "" and result.stderr.count("no completion specification") == 4


def test_the_command_prints_the_script(script: Path, capsys):
    assert completion.COMMAND.execute(completion.main, ["completion", "bash"]) == 0
    assert capsys.readouterr() == (script.read_text() + "\n", "")
    for arguments, words in (([], "which shell?"), (["fish"], "Known: bash, zsh"), (["zs"], "Did you mean 'zsh'?")):
        assert completion.COMMAND.execute(completion.main, ["completion", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_in_zsh(tmp_path: Path):
    """The functions that zsh's completion system calls, with what it hands them, and compadd as a witness."""
    zsh = need("zsh")
    path = tmp_path / "script"
    path.write_text(completion_script("zsh", all_commands(), PROJECT / "bin"))
    subprocess.run([zsh, "-n", path], check=True)
    cases = [
        (["fairdarts-search", "--relax"], ["--relaxation="]),
        (["bin/search", "--relaxation=so"], ["softmax"]),
        (["bin/search", "--early_stopping=skips,ei"], ["eigenvalue"]),
        (["bin/search", "--relaxation", "so"], ["softmax"]),
        (["bin/study", "skip"], ["skip_counts"]),
    ]
    for words, offered in cases:
        code = f"""
            compdef() {{ }}
            compset() {{ PREFIX=${{PREFIX#${{~2}}}} }}
            _files() {{ }}
            compadd() {{
                while [[ $1 != -- ]]; do shift; done; shift
                for word in "$@"; do [[ $word != "$PREFIX"* ]] || print -r -- $word; done
            }}
            source {shlex.quote(str(path))}
            words=({shlex.join(words)}); CURRENT={len(words)}; PREFIX={shlex.quote(words[-1])}
            _fairdarts_complete"""
        result = subprocess.run([zsh, "-f", "-c", code], capture_output=True, text=True, check=False)
        assert (result.stdout.split(), result.stderr) == (offered, ""), words


def test_in_zsh_it_is_registered(tmp_path: Path):
    zsh = need("zsh")
    path = tmp_path / "script"
    path.write_text(completion_script("zsh", all_commands(), PROJECT / "bin"))
    registered = "print $_comps[bin/search] $_comps[fairdarts-search]"
    code = f"autoload -Uz compinit; compinit -D; source {shlex.quote(str(path))}; {registered}"
    result = subprocess.run([zsh, "-f", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["_fairdarts_complete"] * 2
