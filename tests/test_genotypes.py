"""Genotypes: checks, the readers of JSON and literals, published cells, nodes that do not exist."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.genotype_text import MAX_TEXT_BYTES
from fairdarts_tf.genotypes import (
    ALL_OPERATIONS,
    DARTS_OPERATIONS,
    FAIRDARTS_OPERATIONS,
    Genotype,
    GenotypeItem,
    check_operations,
    published,
    published_names,
)
from fairdarts_tf.report.run_records import read_genotype
from fairdarts_tf.training.settings import TrainSettings

DARTS_LITERAL = """Genotype(
    normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)],
    normal_concat=range(2, 4),
    reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1)],
    reduce_concat=[2, 3])"""
FAIRDARTS_LITERAL = """found = Genotype(
    normal=[('sep_conv_3x3', 2, 0), ('skip_connect', 4, 2)], normal_concat=range(2, 6),
    reduce=[('dil_conv_5x5', 3, 1)], reduce_concat=range(2, 6))"""
REDUCE = [("skip_connect", 2, 0)]


def genotype(normal=(("sep_conv_3x3", 2, 0),), normal_concat=(2,), **others) -> Genotype:
    return Genotype(normal=normal, normal_concat=normal_concat, reduce=REDUCE, reduce_concat=(2,), **others)


def test_operation_lists():
    assert DARTS_OPERATIONS[0] == "none" and DARTS_OPERATIONS[1:] == FAIRDARTS_OPERATIONS
    assert len(FAIRDARTS_OPERATIONS) == 7 and len(ALL_OPERATIONS) == len(set(ALL_OPERATIONS)) == 10


def test_equal_by_value_and_hashable():
    assert genotype() == genotype(normal=[["sep_conv_3x3", 2, 0]], normal_concat=[2])
    assert len({genotype(), genotype(), genotype(normal=[("skip_connect", 2, 1)])}) == 2
    assert genotype().normal == (GenotypeItem("sep_conv_3x3", 2, 0),)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normal": [("sep_conv_3x4", 2, 0)]}, "Did you mean 'sep_conv_3x3'"),
        ({"normal": [("none", 2, 0)]}, "unknown operation 'none'"),
        ({"normal": [(3, 2, 0)]}, "Expected the name"),
        ({"normal": [("skip_connect", 2, 2)]}, "from 0 to 1"),
        ({"normal": [("skip_connect", 2, -1)]}, "from 0 to 1"),
        ({"normal": [("skip_connect", 1, 0)]}, "from 2 to 65"),
        ({"normal": [("skip_connect", 66, 0)]}, "from 2 to 65"),
        ({"normal": [("skip_connect", 2.0, 0)]}, "2.0"),
        ({"normal": [("skip_connect", 2, True)]}, "True"),
        ({"normal": [("skip_connect", 2)]}, "Expected (operation, to, from)"),
        ({"normal": [("skip_connect", 2, 0), ("skip_connect", 2, 0)]}, "twice"),
        ({"normal": []}, "normal cell is empty"),
        ({"normal": [("skip_connect", 4, 3)], "normal_concat": [4]}, "normal cell is empty"),
        ({"normal": "sep"}, "no list"),
        ({"normal": None}, "no list"),
        ({"normal_concat": []}, "at least one node"),
        ({"normal_concat": [2, 2]}, "each node once"),
        ({"normal_concat": [1, 2]}, "from 2 to 65"),
        ({"normal_concat": [True]}, "True"),
        ({"normal_concat": 2}, "no list"),
        ({"space": "dart"}, "Expected 'darts'"),
    ],
)
def test_checks(changes, words):
    with pytest.raises(GenotypeError) as error:
        genotype(**changes)
    assert words in str(error.value)


def test_two_operations_on_one_edge_are_allowed():
    assert len(genotype(normal=[("skip_connect", 2, 0), ("sep_conv_3x3", 2, 0)]).normal) == 2


def test_json_form():
    assert genotype().to_json() == (
        '{\n  "space": "darts",\n'
        '  "normal": [\n    {"op": "sep_conv_3x3", "to": 2, "from": 0}\n  ],\n  "normal_concat": [2],\n'
        '  "reduce": [\n    {"op": "skip_connect", "to": 2, "from": 0}\n  ],\n  "reduce_concat": [2]\n}'
    )


def edges() -> st.SearchStrategy[tuple[int, int]]:
    return st.integers(2, 65).flatmap(lambda to: st.tuples(st.just(to), st.integers(0, to - 1)))


def cells() -> st.SearchStrategy[list[tuple[str, int, int]]]:
    operations = st.sampled_from([name for name in ALL_OPERATIONS if name != "none"])
    items = st.lists(st.builds(lambda op, edge: (op, *edge), operations, edges()), unique=True, max_size=12)
    return items.map(lambda cell: list(dict.fromkeys([("skip_connect", 2, 0), *cell])))


@settings(deadline=None)
@given(cells(), cells(), st.permutations(range(2, 9)))
def test_json_round_trip(normal, reduce, concat):
    original = Genotype(normal=normal, normal_concat=concat, reduce=reduce, reduce_concat=(2,))
    assert Genotype.from_json(original.to_json()) == original
    pruned = original.pruned()
    assert pruned.pruned() == pruned and set(pruned.normal_concat) <= set(pruned.nodes("normal"))


def document(**changes) -> str:
    return json.dumps(json.loads(genotype().to_json()) | changes)


def test_json_without_space_and_with_notes():
    fields = json.loads(document(params=123))
    del fields["space"]
    assert Genotype.from_json(json.dumps(fields)) == genotype()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "broken JSON"),
        ("{", "broken JSON"),
        ("[]", "a JSON object"),
        ("{}", "without normal, normal_concat, reduce, reduce_concat"),
        ("[" * 200_000, "nested too deeply"),
        ("9" * 5_000, "broken JSON"),
        ('{"normal": NaN}', "NaN"),
        ('{"normal": 1, "normal": 2}', "twice"),
        (document(normal={}), "Expected a list"),
        (document(normal=[{"op": "skip_connect", "to": 2}]), '"op", "to", "from"'),
        (document(normal=[{"op": "skip_connect", "to": 2, "from": 0, "stride": 2}]), '"op", "to", "from"'),
        (document(normal=[{"op": "skip_connect", "to": "2", "from": 0}]), "'2'"),
        (document(normal=[{"op": ["skip_connect"], "to": 2, "from": 0}]), "Expected the name"),
        (document(normal_concat="2"), "Expected a list"),
        (document(normal_concat=[2.5]), "2.5"),
        (document(space=["darts"]), "Expected 'darts'"),
        (" " * (MAX_TEXT_BYTES + 1), "longer than"),
    ],
)
def test_broken_json(text, words):
    with pytest.raises(GenotypeError) as error:
        Genotype.from_json(text)
    assert words in str(error.value)
    assert len(str(error.value)) < 500


def test_darts_literal():
    read = Genotype.from_literal(DARTS_LITERAL)
    assert read.normal == (
        ("sep_conv_3x3", 2, 0),
        ("sep_conv_3x3", 2, 1),
        ("skip_connect", 3, 0),
        ("dil_conv_3x3", 3, 2),
    )
    assert read.normal_concat == read.reduce_concat == (2, 3)


def test_fairdarts_literal_with_a_name():
    read = Genotype.from_literal(FAIRDARTS_LITERAL)
    assert read.normal == (("sep_conv_3x3", 2, 0), ("skip_connect", 4, 2))
    assert read.reduce == (("dil_conv_5x5", 3, 1),)
    assert read.normal_concat == (2, 3, 4, 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Genotype",
        "Genotype()",
        "other" + DARTS_LITERAL,
        DARTS_LITERAL + "\n" + DARTS_LITERAL,
        "import os\n" + DARTS_LITERAL,
        DARTS_LITERAL.replace("range(2, 4)", "range(2, 10**9)"),
        DARTS_LITERAL.replace("range(2, 4)", "range(2, 1000000000)"),
        DARTS_LITERAL.replace("range(2, 4)", "range(2, 4, step=1)"),
        DARTS_LITERAL.replace("range(2, 4)", "open('x')"),
        DARTS_LITERAL.replace("range(2, 4)", "range('2')"),
        DARTS_LITERAL.replace("range(2, 4)", "[*range(2, 4)]"),
        DARTS_LITERAL.replace("range(2, 4)", "range(2, 2)"),
        DARTS_LITERAL.replace("[2, 3])", "[2, 3], normal=[])"),
        DARTS_LITERAL.replace("reduce_concat=[2, 3]", "**{}"),
        DARTS_LITERAL.replace("('sep_conv_3x3', 0), ", "", 1),
        DARTS_LITERAL.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 2, 0)"),
        DARTS_LITERAL.replace("('sep_conv_3x3', 0)", "(f'sep_conv_3x3', 0)"),
        DARTS_LITERAL.replace("('sep_conv_3x3', 0)", "(b'sep_conv_3x3', 0)"),
        DARTS_LITERAL.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', False)"),
        DARTS_LITERAL.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', -1)"),
        DARTS_LITERAL.replace("('sep_conv_3x3', 0)", "(__import__('os').getcwd(), 0)"),
        "Genotype(normal=" + "(" * 100_000,
        "-" * 500_000 + "1",
        "a" + ".b" * 300_000,
        "Genotype(normal=\0)",
    ],
)
def test_broken_literals(text):
    with pytest.raises(GenotypeError):
        Genotype.from_literal(text)


LITERAL_PIECES = [
    "Genotype(",
    "normal=",
    "reduce_concat=",
    "range(2, 6)",
    "('skip_connect', 0)",
    "[",
    "]",
    ",",
    ")",
    "=",
    "**",
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(ALL_OPERATIONS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["op", "to", "from"]), inner),
    max_leaves=8,
)


def reads_or_refuses(read, argument) -> None:
    try:
        assert isinstance(read(argument), Genotype)
    except GenotypeError as error:
        assert str(error).strip()


@settings(max_examples=300, deadline=None)
@given(st.text() | st.lists(st.sampled_from(LITERAL_PIECES)).map("".join))
def test_any_text_is_read_or_refused(text):
    reads_or_refuses(Genotype.from_json, text)
    reads_or_refuses(Genotype.from_literal, text)


@settings(deadline=None)
@given(st.sampled_from(["space", "normal", "normal_concat", "reduce", "reduce_concat"]), JSON_VALUES)
def test_any_value_of_a_field_is_read_or_refused(field, value):
    reads_or_refuses(Genotype.from_json, document(**{field: value}))


@settings(deadline=None)
@given(st.sampled_from([DARTS_LITERAL, FAIRDARTS_LITERAL]), st.integers(0, 400), st.text(max_size=3))
def test_damaged_literals_are_read_or_refused(literal, position, damage):
    reads_or_refuses(Genotype.from_literal, literal[:position] + damage + literal[position + 1 :])
    reads_or_refuses(Genotype.from_literal, literal[:position])


@settings(max_examples=100, deadline=None)
@given(st.binary())
def test_any_file_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "file"
    path.write_bytes(content)
    reads_or_refuses(Genotype.load, path)


@settings(deadline=None)
@given(st.text())
def test_any_name_is_read_or_refused(name):
    reads_or_refuses(Genotype.load, "no such folder/" + name)


def test_load_by_name_file_literal_and_directory(tmp_path: Path):
    wanted = published("FairDARTS_b")
    wanted.save(tmp_path / "genotype.json")
    (tmp_path / "literal.py").write_text(FAIRDARTS_LITERAL)
    (tmp_path / "marked.json").write_bytes(b"\xef\xbb\xbf" + wanted.to_json().encode())
    assert Genotype.load("FairDARTS_b") == wanted
    assert Genotype.load(tmp_path) == wanted
    assert Genotype.load(str(tmp_path / "genotype.json")) == wanted
    assert Genotype.load(tmp_path / "marked.json") == wanted
    assert Genotype.load(tmp_path / "literal.py") == Genotype.from_literal(FAIRDARTS_LITERAL)


def test_a_published_name_means_the_published_cell_and_a_path_the_file(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = published("FairDARTS_b")
    (tmp_path / "FairDARTS_a").mkdir()
    own.save(tmp_path / "FairDARTS_a" / "genotype.json")
    assert Genotype.load("FairDARTS_a") == published("FairDARTS_a")
    assert Genotype.load("./FairDARTS_a") == Genotype.load(Path("FairDARTS_a")) == own
    assert read_genotype(Path("FairDARTS_a"), []) == own
    assert TrainSettings(genotype="FairDARTS_a").named_genotype == "FairDARTS_a"
    assert Genotype.load(TrainSettings(init_from="FairDARTS_a").named_genotype) == own


def test_a_path_that_is_absent_is_no_unknown_name(tmp_path: Path):
    for path in (f"{tmp_path}/FairDARTS_a", "./FairDARTS_z", Path("FairDARTS_z")):
        with pytest.raises(GenotypeError, match=r"^there is no file or directory .*FairDARTS_"):
            Genotype.load(path)


def test_load_names_the_file_and_suggests(tmp_path: Path):
    (tmp_path / "latin").write_bytes("{\u00e9".encode("latin-1"))
    with pytest.raises(GenotypeError, match=r"latin: it is no UTF-8"):
        Genotype.load(tmp_path / "latin")
    with pytest.raises(GenotypeError, match=r"genotype\.json: there is no such file"):
        Genotype.load(tmp_path)
    with pytest.raises(GenotypeError, match="Did you mean 'FairDARTS_a'"):
        Genotype.load("FairDART_a")
    with pytest.raises(GenotypeError, match="Did you mean 'DARTS_V2'"):
        published("DARTS_V3")


def test_load_reads_no_more_than_the_limit(tmp_path: Path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(10**12)
    with pytest.raises(GenotypeError, match="longer than"):
        Genotype.load(tmp_path / "large")


def test_save_leaves_an_older_file_when_it_fails(tmp_path: Path, monkeypatch):
    path = tmp_path / "genotype.json"
    genotype().save(path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        published("SNAS").save(path)
    assert Genotype.load(path) == genotype()
    assert os.listdir(tmp_path) == ["genotype.json"]


def test_nodes_without_inputs_cascade():
    cell = [("skip_connect", 2, 1), ("sep_conv_3x3", 4, 3), ("max_pool_3x3", 5, 4), ("max_pool_3x3", 5, 2)]
    found = genotype(normal=cell, normal_concat=(5, 4, 3, 2))
    assert found.nodes("normal") == (2, 5)
    assert found.pruned().normal == (cell[0], cell[3])
    assert found.pruned().normal_concat == (5, 2)
    assert found.pruned().reduce == found.reduce


@pytest.mark.parametrize("name", published_names())
def test_published_cells(name):
    cell = published(name)
    assert Genotype.from_json(cell.to_json()) == cell
    assert cell.normal_concat == cell.reduce_concat == (2, 3, 4, 5)
    assert cell.pruned().nodes("normal") == cell.nodes("normal")


def test_published_cells_with_missing_nodes():
    assert published("FairDARTS_a").nodes("normal") == (2, 4, 5)
    incomplete = published("FairDARTS_c")
    assert ("skip_connect", 5, 3) in incomplete.normal
    assert ("skip_connect", 5, 3) not in incomplete.pruned().normal
    assert incomplete.pruned().normal_concat == (2, 4, 5)


def test_published_cells_equal_the_facts(shared: Path):
    facts = json.loads((shared / "facts" / "genotypes.json").read_text())
    assert set(published_names()) == set(facts)
    for name, fields in facts.items():
        assert Genotype.from_json(json.dumps(fields)) == published(name)


@pytest.mark.parametrize("operations", [("none",), (), ("skip_connect", "skip_connect"), ("skip_conect",)])
def test_check_operations(operations):
    with pytest.raises(GenotypeError):
        check_operations(operations)
