"""Genotypes of search space S2: what they say, how they are written and read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fuzzing import FAST_AND_SLOW, fuzz, nothing_runs
from hypothesis import strategies as st

import fairdarts_tf as fd
from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.genotype_files import GENOTYPES, genotype_class, genotype_from_json, load_genotype
from fairdarts_tf.genotypes import Genotype, published
from fairdarts_tf.mobile_genotypes import LayerItem, MobileGenotype, MobileLayer, MobileStage, bottleneck
from fairdarts_tf.spaces import SPACES, search_space

STAGES = (
    MobileStage(24, 1, ("mbconv6_5x5", "skip_connect")),
    MobileStage(40, 2, ("mbconv3_7x7",)),
    MobileStage(40, 1, ("skip_connect", "mbconv3_3x3")),
)
GENOTYPE = MobileGenotype(stages=STAGES)
TEXT = """{
  "space": "mobile",
  "stem_width": 32,
  "stem_stride": 2,
  "first_width": 16,
  "stages": [
    {"width": 24, "stride": 1, "layers": ["mbconv6_5x5", "skip_connect"]},
    {"width": 40, "stride": 2, "layers": ["mbconv3_7x7"]},
    {"width": 40, "stride": 1, "layers": ["skip_connect", "mbconv3_3x3"]}
  ],
  "head_width": 1280
}"""


def test_json_has_a_fixed_form_and_is_read_back(tmp_path: Path):
    assert GENOTYPE.to_json() == TEXT
    assert MobileGenotype.from_json(TEXT) == GENOTYPE == genotype_from_json(TEXT)
    assert hash(MobileGenotype.from_json(TEXT)) == hash(GENOTYPE)
    GENOTYPE.save(tmp_path / "genotype.json")
    assert load_genotype(tmp_path) == load_genotype(tmp_path / "genotype.json") == GENOTYPE
    assert fd.load_genotype(tmp_path) == GENOTYPE


def test_layers_and_items_by_hand():
    assert list(GENOTYPE.layers()) == [
        MobileLayer(1, "mbconv6_5x5", 16, 24, 1),
        MobileLayer(2, "skip_connect", 24, 24, 1),
        MobileLayer(3, "mbconv3_7x7", 24, 40, 2),
        MobileLayer(4, "skip_connect", 40, 40, 1),
        MobileLayer(5, "mbconv3_3x3", 40, 40, 1),
    ]
    assert [layer.keeps_shape for layer in GENOTYPE.layers()] == [False, True, False, True, True]
    assert GENOTYPE.items()[1] == LayerItem("skip_connect", 2) and GENOTYPE.items()[1].place == "2"
    assert GENOTYPE.kinds == ("layers",) and GENOTYPE.skips("layers") == 2
    assert bottleneck("mbconv6_5x5") == (6, 5) and bottleneck("mbconv6_5x5").name == "mbconv6_5x5"


def test_every_space_has_a_class_of_genotypes_and_each_is_loaded_by_its_space(tmp_path: Path):
    assert set(GENOTYPES) == set(SPACES)
    for space in SPACES:
        assert genotype_class(space).kinds == tuple(search_space(space).titles)
    cells = published("FairDARTS_a")
    assert load_genotype("FairDARTS_a") == cells == genotype_from_json(cells.to_json())
    GENOTYPE.save(tmp_path / "genotype.json")
    with pytest.raises(GenotypeError, match="of the search space 'mobile'. Expected 'darts'; load_genotype"):
        Genotype.load(tmp_path)
    with pytest.raises(GenotypeError, match="'mobil'. Expected 'darts' or 'mobile'"):
        genotype_from_json('{"space": "mobil"}')


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem_width": 0}, "stem_width is 0. Expected a whole number from 1 to 8192"),
        ({"stem_width": True}, "stem_width is True"),
        ({"stem_stride": 3}, "stem_stride is 3"),
        ({"first_width": 1.5}, "first_width is 1.5"),
        ({"head_width": "8"}, "head_width is '8'"),
        ({"space": "darts"}, "of the search space 'darts'"),
        ({"stages": ()}, "the stages are"),
        ({"stages": "ab"}, "the stages are 'ab'"),
        ({"stages": [(8, 1)]}, "stage 1 is"),
        ({"stages": [(8, 3, ["mbconv3_3x3"])]}, "the stride of stage 1 is 3"),
        ({"stages": [(8, 1, [])]}, "the layers of stage 1"),
        ({"stages": [(8, 1, ["mbconv3_3x3"] * 257)]}, "the layers of stage 1"),
        ({"stages": [(8, 1, ["mbconv3_3x3"] * 200)] * 2}, "more than 256 layers"),
        ({"stages": [(8, 1, ["mbconv3_3x5"])]}, "'mbconv3_3x5' is unknown"),
        ({"stages": [(8, 1, ["mbconv3_4x4"])]}, "4 pixels. Expected an odd number"),
        ({"stages": [(8, 1, ["mbconv33_3x3"])]}, "expansion of mbconv33_3x3 is 33"),
        ({"stages": [(8, 1, ["mbconv٣_3x3"])]}, "is unknown"),
        ({"stages": [(8, 1, [["skip_connect"]])]}, "is unknown"),
        ({"stages": [(16, 2, ["skip_connect"])]}, "layer 1 is skipped, but changes the shape"),
        ({"stages": [(8, 1, ["skip_connect"])]}, "reads 16 channels, gives 8"),
        ({"stages": [(10**5000, 1, ["mbconv3_3x3"])]}, "a number of thousands of digits"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(GenotypeError, match=message):
        MobileGenotype(**{"stages": STAGES} | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected a JSON object"),
        ('{"space": "mobile"}', "without stem_width"),
        (TEXT.replace('"width": 24', '"wide": 24'), "stage 1 is"),
        (TEXT.replace("24", "NaN"), "NaN"),
        (TEXT[:-5], "broken JSON"),
        (TEXT.replace('"stages": [', '"stages": {"a": [').replace("\n  ],", "\n  ]},"), "the stages are"),
    ],
)
def test_refuses_text(text, message):
    with pytest.raises(GenotypeError, match=message):
        MobileGenotype.from_json(text)


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["mbconv6_5x5", "mbconv0_3x3", "skip_connect", "mobile", "darts", "width", "layers"]),
)
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
STAGE = st.fixed_dictionaries(
    {"width": ATOMS, "stride": st.sampled_from([1, 2, 3, None]), "layers": st.lists(ATOMS, max_size=3)}
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "space": st.sampled_from(["mobile", "darts", None]),
        "stem_width": st.integers(-1, 9000) | VALUES,
        "stem_stride": st.integers(0, 3) | VALUES,
        "first_width": st.integers(1, 64) | VALUES,
        "stages": st.lists(STAGE | VALUES, max_size=3) | VALUES,
        "head_width": st.integers(1, 64) | VALUES,
    }
)
BROKEN = st.tuples(st.integers(0, len(TEXT)), st.integers(0, 40), st.text(max_size=6)).map(
    lambda cut: TEXT[: cut[0]] + cut[2] + TEXT[cut[0] + cut[1] :]
)


@FAST_AND_SLOW
def test_whatever_a_text_holds_it_is_read_or_refused(examples: int):
    for text in ("", "{", TEXT, "{}", '{"space": "mobile"}'):
        reads_or_refuses(text)
    fuzz(reads_or_refuses, st.one_of(DOCUMENTS.map(json.dumps), BROKEN), examples)


def reads_or_refuses(text: str) -> None:
    with nothing_runs():
        for read in (genotype_from_json, MobileGenotype.from_json):
            try:
                found = read(text)
            except GenotypeError as error:
                assert 0 < len(str(error)) < 1_000
            else:
                assert genotype_from_json(found.to_json()) == found
