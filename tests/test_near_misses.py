"""What commands say of flags and names that are nearly right, and where these stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairdarts_tf.cli import derive, evaluate, profile, search, study, train


def refused(module, capsys, *arguments: object) -> str:
    name = module.COMMAND.name
    assert module.COMMAND.execute(module.main, [name, *map(str, arguments)]) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1
    return output.err.removeprefix(f"{name}: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("module", "arguments", "suggested"),
    [
        (search, ["--epcohs=3"], "--epochs?"),
        (search, ["--nodownlaod"], "--nodownload?"),
        (search, ["--flagfiel=x"], "--flagfile?"),
        (search, ["--relaxation=sigmod"], "'sigmoid'?"),
        (search, ["--workdir=new", "--early_stopping=skip"], "'skips'?"),
        (search, ["--workdir=new", "--operations=skip_conect,sep_conv_3x3"], "'skip_connect'?"),
        (search, ["--workdir=new", "--space=mobil"], "'mobile'?"),
        (train, ["--workdir=new", "--genotype=FairDARTS_aa"], "'FairDARTS_a'?"),
        (train, ["--schedule=cosin"], "'cosine'?"),
        (evaluate, ["--weights=bset"], "'best'?"),
        (profile, ["--genotype=FairDRATS_b", "--nolatency"], "'FairDARTS_b'?"),
        (derive, ["--methd=darts"], "--method?"),
        (study, ["skip_count", "--workdir=new"], "'skip_counts'?"),
        (study, ["skip_counts", "--workdir=new", "--scale=cpuu"], "'cpu'?"),
    ],
)
def test_suggests_what_was_meant(module, arguments, suggested, capsys):
    assert f"Did you mean {suggested}" in refused(module, capsys, *arguments)


def test_what_is_like_nothing_gets_no_suggestion(capsys):
    message = refused(search, capsys, "--zzzzzz=3")
    assert message == "unknown flag --zzzzzz. --help lists all flags."


@pytest.mark.parametrize(
    ("module", "argument", "message"),
    [
        (search, "--epochs=abc", "--epochs is 'abc', but must be a whole number."),
        (search, "--learning_rate=a: b", "--learning_rate is 'a: b', but must be a number."),
        (search, "--xla=maybe", "--xla is 'maybe', but must be true or false."),
        (train, "--init_channels=many", "--init_channels is 'many', but must be a whole number or auto."),
    ],
)
def test_a_value_of_another_type_is_told_what_it_must_be(module, argument, message, capsys):
    assert refused(module, capsys, argument) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--epcohs=3", "unknown flag --epcohs. Did you mean --epochs?"),
        ("--nodownlaod", "unknown flag --nodownlaod. Did you mean --nodownload?"),
        ("--relaxation=sigmod", "--relaxation: unknown value 'sigmod'. Did you mean 'sigmoid'?"),
        ("--epochs=3.5", "--epochs is '3.5', but must be a whole number."),
        ("--epochs=0", "--epochs is 0, but must be from 1"),
    ],
)
def test_in_a_flagfile_the_file_and_line_are_named(tmp_path: Path, line, message, capsys):
    inner, outer = tmp_path / "inner.flags", tmp_path / "outer.flags"
    inner.write_text(f"# a comment\n\n  {line}\n")
    outer.write_text(f"--batch_size=32\n--flagfile={inner}\n")
    for arguments in ([f"--flagfile={inner}"], ["--flagfile", inner], [f"--flagfile={outer}"]):
        found = refused(search, capsys, "--workdir=new", *arguments)
        assert found.startswith(f"{inner}, line 3: {message}")


def test_what_the_command_line_says_last_is_no_fault_of_the_file(tmp_path: Path, capsys):
    file = tmp_path / "a.flags"
    file.write_text("--epochs=3\n")
    assert refused(search, capsys, "--workdir=new", f"--flagfile={file}", "--epochs=0").startswith("--epochs is 0")
    file.write_text("--epochs=0\n")
    found = refused(search, capsys, "--workdir=new", "--epochs=3", f"--flagfile={file}")
    assert found.startswith(f"{file}, line 1: --epochs is 0")


def test_a_flagfile_that_is_not_there(tmp_path: Path, capsys):
    (tmp_path / "cifar10.flags").write_text("")
    found = refused(search, capsys, f"--flagfile={tmp_path / 'cifra10.flags'}")
    assert found.startswith(f"--flagfile: cannot read '{tmp_path / 'cifra10.flags'}': No such file or directory.")
    assert found.endswith(f"Did you mean '{tmp_path / 'cifar10.flags'}'?")
