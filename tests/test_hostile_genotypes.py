"""Genotypes that a stranger wrote: read or refused with one line, nothing run, little taken."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
from fuzzing import FAST_AND_SLOW, fuzz, little_is_taken, nothing_runs
from hypothesis import strategies as st

from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.genotype_text import MAX_LITERAL_BYTES, MAX_TEXT_BYTES
from fairdarts_tf.genotypes import Genotype, published

ITEM = '{"op": "skip_connect", "to": 2, "from": 0}'
VAST = 10**5000
"""A number that Python would refuse to write in decimal digits."""


def reads_or_refuses(read, argument) -> Genotype | None:
    """Returns the genotype, or None where it was refused as it should be; whatever else is raised fails the test."""
    with nothing_runs():
        try:
            found = read(argument)
        except GenotypeError as error:
            message = str(error)
            found = None
    if found is None:
        assert message.strip() and len(message) < 1_000
        assert "\x1b" not in message
        return None
    assert Genotype.from_json(found.to_json()) == found
    return found


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory):
    """What is imported at a first error, is imported before nothing may be."""
    for text in ("", "{", "Genotype(", "1" * 5000, "{}", '{"normal": NaN}', json.dumps({"normal": 1}), "Genotype()"):
        for read in (Genotype.from_json, Genotype.from_literal, Genotype.load):
            with pytest.raises(GenotypeError):
                read(text)
    path = tmp_path_factory.mktemp("warm") / "genotype.json"
    path.write_bytes(b"\xff")
    with pytest.raises(GenotypeError):
        Genotype.load(path)
    path.write_text("")
    with pytest.raises(GenotypeError):
        Genotype.load(path)


def test_the_guard_sees_what_runs():
    for run in (lambda: eval("1"), lambda: os.system("true"), lambda: pickle.loads(b"cbuiltins\nlen\n.")):
        with pytest.raises(AssertionError), nothing_runs():
            run()


def literal(item: str = "('skip_connect', 2, 0)", concat: str = "[2]", end: str = "") -> str:
    return f"Genotype(normal=[{item}], normal_concat={concat}, reduce=[('skip_connect', 2, 0)], reduce_concat=[2]{end})"


@pytest.mark.parametrize(
    "text",
    [
        literal(f"('skip_connect', {hex(VAST)}, 0)"),
        literal(f"('skip_connect', 2, {hex(VAST)})"),
        literal(f"({hex(VAST)}, 2, 0)"),
        literal(concat=f"[{hex(VAST)}]"),
        literal(concat=hex(VAST)),
        literal(concat=f"range({hex(VAST)})"),
        literal(concat=f"({hex(VAST)}, {hex(VAST)})"),
        literal().replace("normal=[('skip_connect', 2, 0)]", f"normal={hex(VAST)}"),
    ],
)
def test_numbers_that_are_too_long_to_be_written(text: str):
    assert reads_or_refuses(Genotype.from_literal, text) is None


def test_vast_numbers_from_python_are_refused_too():
    for changes in ({"normal": [("skip_connect", VAST, 0)]}, {"normal_concat": [VAST]}, {"space": VAST}):
        fields = {"normal": [("skip_connect", 2, 0)], "normal_concat": [2], "reduce": [("skip_connect", 2, 0)]}
        with pytest.raises(GenotypeError, match="thousands of digits"):
            Genotype(**{**fields, "reduce_concat": [2], **changes})


@pytest.mark.parametrize(
    "expression",
    [
        "open({file!r}, 'w')",
        "__import__('os').system('touch ' + {file!r})",
        "[open({file!r}, 'w') for _ in (1,)]",
        "(lambda: open({file!r}, 'w'))()",
        "eval('open(' + repr({file!r}) + ', \"w\")')",
        "range(open({file!r}, 'w'))",
        "(open({file!r}, 'w'), 2, 0)",
        "(name := open({file!r}, 'w'))",
        "f'{{open({file!r}, \"w\")}}'",
        "print",
        "*open({file!r}, 'w')",
        "(yield)",
        "range.__class__",
        "'skip_connect' * 10**9",
        "10**10**10",
    ],
)
def test_no_expression_is_ever_evaluated(tmp_path: Path, expression: str):
    file = tmp_path / "made"
    expression = expression.format(file=str(file))
    for text in (literal(expression), literal(concat=expression), literal(end=f", space={expression}"), expression):
        assert reads_or_refuses(Genotype.from_literal, text) is None
        (tmp_path / "genotype.json").write_text(text)
        assert reads_or_refuses(Genotype.load, tmp_path) is None
    assert not file.exists()


REPEATED = [
    *("(", "[", "{", "{0:", "[1,", "[],", "()", "-", "not ", "lambda:", "f'{", "a**", "a[", "a=", "a;", "(a)="),
    *("a<b<", "'a'", "~", "yield ", "@", "\\", "\n", "é", "\0", '"""'),
]


@pytest.mark.parametrize("piece", REPEATED)
def test_any_repetition_takes_little(piece: str):
    """A text that nests, or lists, as much as fits: for each way in which parsers were seen to blow up."""
    for length in (MAX_LITERAL_BYTES, MAX_TEXT_BYTES):
        text = (piece * (length // len(piece)))[:length]
        with little_is_taken():
            assert reads_or_refuses(Genotype.from_literal, text) is None
            assert reads_or_refuses(Genotype.from_json, text) is None
            assert reads_or_refuses(Genotype.from_literal, literal(text[: length - 200])) is None
            assert reads_or_refuses(Genotype.from_json, f'{{"normal": [{text[: length - 20]}') is None


@pytest.mark.parametrize("piece", [ITEM, "[]", "{}", "1e999", '"\\ud800"', '{"a":[[[[0]]]]}', "-1", "true", "9" * 4000])
def test_long_lists_in_json_take_little(piece: str):
    items = ",".join([piece] * (MAX_TEXT_BYTES // (len(piece) + 1) - 50))
    document = f'{{"normal": [{items}], "normal_concat": [2], "reduce": [{ITEM}], "reduce_concat": [2]}}'
    with little_is_taken():
        assert reads_or_refuses(Genotype.from_json, document) is None


def test_the_largest_genotype_is_read():
    """What the limits are for must not refuse what a search can find: 64 nodes with two operations each."""
    items = [("sep_conv_3x3", to, source) for to in range(2, 66) for source in (to - 1, to - 2)]
    nodes = tuple(range(2, 66))
    largest = Genotype(normal=items, normal_concat=nodes, reduce=items, reduce_concat=nodes)
    text = f"Genotype(normal={items}, normal_concat=range(2, 66), reduce={items}, reduce_concat={list(nodes)})"
    assert Genotype.from_literal(text) == largest == Genotype.from_json(largest.to_json())


DOCUMENT = published("FairDARTS_a").to_json()
JSON_SCRAPS = [
    "NaN",
    "-Infinity",
    "1e400",
    "9" * 5000,
    "[" * 50,
    '"\\ud800"',
    "null",
    '"normal": [],',
    "\x1b[31m",
    "\\",
]


@st.composite
def damaged(draw: st.DrawFn, text: str, scraps: list[str]) -> str:
    """A text with pieces cut out, doubled, or replaced by scraps."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.one_of(st.sampled_from(scraps), st.text(max_size=4), st.just(text[start:end] * 2)))
        text = text[:start] + piece + text[end:]
    return text


@FAST_AND_SLOW
def test_damaged_json(examples: int):
    fuzz(lambda text: reads_or_refuses(Genotype.from_json, text), damaged(DOCUMENT, JSON_SCRAPS), examples)


LITERAL_SCRAPS = [
    "range(2, 6)",
    "**",
    "0x" + "f" * 5000,
    "open('x')",
    "\\N{BULLET}",
    "'''",
    "f'{1}'",
    "(2,)",
    "\f",
    "\r",
]


@FAST_AND_SLOW
def test_damaged_literals(examples: int):
    text = literal("('skip_connect', 2, 0), ('sep_conv_3x3', 3, 2)", "range(2, 4)")
    fuzz(lambda text: reads_or_refuses(Genotype.from_literal, text), damaged(text, LITERAL_SCRAPS), examples)


def values() -> st.SearchStrategy[object]:
    """What JSON can hold, with numbers and names on both sides of what a genotype may hold."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 70),
        st.sampled_from([2.0, float("nan"), 1e300, 10**4000, "none", "skip_connect", "darts", "\udcff", "a" * 3000]),
    )
    keys = st.sampled_from(["op", "to", "from", "normal", "stride"])
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner), max_leaves=12)


@FAST_AND_SLOW
def test_json_of_any_values(examples: int):
    fields = st.fixed_dictionaries(
        {},
        optional={
            **{
                kind: st.lists(st.fixed_dictionaries({"op": values(), "to": values(), "from": values()}), max_size=3)
                for kind in ("normal", "reduce")
            },
            **{name: values() for name in ("space", "normal_concat", "reduce_concat", "notes")},
        },
    )
    whole = json.loads(DOCUMENT)
    fuzz(lambda value: reads_or_refuses(Genotype.from_json, json.dumps(whole | value)), fields, examples)


@FAST_AND_SLOW
def test_files_of_any_bytes(tmp_path: Path, examples: int):
    content = DOCUMENT.encode()
    path = tmp_path / "genotype.json"

    def check(change: tuple[int, bytes]) -> None:
        position, put = change
        path.write_bytes(content[:position] + put + content[position + len(put) :])
        reads_or_refuses(Genotype.load, path)

    fuzz(check, st.tuples(st.integers(0, len(content)), st.binary(max_size=8)), examples)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "latin-1"])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str):
    path = tmp_path / "genotype.json"
    path.write_bytes((DOCUMENT + "\u00e9").encode(encoding))
    assert reads_or_refuses(Genotype.load, path) is None


def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "genotype.json").mkdir()
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path / "circle", tmp_path, "x" * 10_000, "a\0b"):
        assert reads_or_refuses(Genotype.load, path) is None
