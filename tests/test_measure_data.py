"""The command `measure_data` on few images: what it reports agrees with itself, and bad input is one line."""

from __future__ import annotations

import json

import pytest

from fairdarts_tf.benchmarking.data_settings import FORMS, RECIPES, DataMeasurement
from fairdarts_tf.cli.measure_data import COMMAND, main
from fairdarts_tf.errors import ConfigurationError

TINY = ["--dataset=digits", "--image_size=8", "--resize_size=10", "--batch_size=20", "--seconds=0.2"]


def measure(*flags: str) -> int:
    return COMMAND.execute(main, ["measure_data", *TINY, *flags])


def test_each_pair_is_measured(capsys: pytest.CaptureFixture[str]):
    assert measure("--storages=memory", "--recipes=squares,resized", "--format=json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["images"] == 1500 and document["cores"] >= 1
    assert list(document["loading_seconds"]) == ["memory"]
    assert [(row["storage"], row["recipe"]) for row in document["rows"]] == [
        ("memory", "squares"),
        ("memory", "resized"),
    ]
    for row in document["rows"]:
        assert row["images_per_second"] >= 20 / 1, "at least a batch came"
        # The threads of a process cannot take more time than its cores have, but for the clock's own grain.
        assert 0 < row["images_per_second"] * row["core_milliseconds"] / 1000 < 1.3 * document["cores"] + 0.5


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]):
    assert measure("--storages=memory", "--recipes=squares") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1500 images, 8 x 8 pixels in squares of 10, batches of 20")
    (row,) = [line for line in lines if line.startswith("memory, squares")]
    rate, milliseconds, of_core, cores = map(float, row.split()[2:])
    assert rate > 0 and of_core == pytest.approx(1000 / milliseconds, rel=0.2, abs=1) or milliseconds < 0.1
    assert cores == pytest.approx(milliseconds, abs=0.06)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--storages=tape"], "unknown value 'tape'"),
        (["--storages=auto"], "unknown value 'auto'"),
        (["--recipes=resize"], "Did you mean 'resized'?"),
        (["--recipes="], "nothing is measured"),
        (["--storages=disk"], "--cache_dir"),
        (["--resize_size=4"], "--resize_size is 4, below"),
        (["--batch_size=2000"], "at most 1500"),
        (["--dataset=folder:/nowhere"], "no image folder"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], flags: list[str], part: str):
    assert measure(*flags) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = [line for line in output.err.splitlines() if line.startswith("measure_data: ")]
    assert part in line


def test_all_forms_and_recipes_can_be_asked_for():
    settings = DataMeasurement(storages=FORMS, recipes=tuple(RECIPES), cache_dir="there")
    assert settings.storages == ("memory", "disk", "encoded")
    with pytest.raises(ConfigurationError, match="--seconds"):
        DataMeasurement(seconds=0)
