"""The cells of a genotype as SVG: everything is there, readable on white and on dark, fit for a page with others."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from fairdarts_tf.derivation import confidence, derive
from fairdarts_tf.genotypes import CELL_KINDS, FAIRDARTS_OPERATIONS, Genotype, GenotypeItem, published
from fairdarts_tf.report import cell_layout, cells, cells_svg, drawing

PROJECT = Path(__file__).resolve().parents[1]
SVG = "{http://www.w3.org/2000/svg}"
BACKGROUNDS = ("#FFFFFF", "#111111")


def dense() -> Genotype:
    values = np.random.default_rng(0).random((14, 7))
    return derive({"normal": values, "reduce": values[::-1]}, FAIRDARTS_OPERATIONS, "threshold_edge", 0.75)


GENOTYPES = [published("FairDARTS_a"), published("FairDARTS_c"), published("DARTS_V2"), dense()]


def drawn(genotype: Genotype, notes: drawing.Notes | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(cells_svg.svg(genotype, notes))


def notes_for(genotype: Genotype) -> dict[tuple[str, GenotypeItem], str]:
    return {(kind, item): "0.93 (+0.04)" for kind in CELL_KINDS for item in genotype.items(kind)}


def operations_of(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [group for group in root.iter(f"{SVG}g") if group.get("role") == "img"]


def texts_of(element: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in element.iter(f"{SVG}text")]


@pytest.mark.parametrize("genotype", GENOTYPES)
def test_every_part_is_shown_once(genotype):
    root = drawn(genotype)
    operations = [item.op for kind in CELL_KINDS for item in genotype.items(kind)]
    assert sorted(texts_of(group)[0] for group in operations_of(root)) == sorted(operations)
    texts = texts_of(root)
    assert sorted(text for text in texts if text.isdigit()) == sorted("2345" * 2)
    assert texts.count("Normal cell") == texts.count("Reduction cell") == 1
    assert texts.count("ck") == texts.count("ck\N{MINUS SIGN}1") == texts.count("ck\N{MINUS SIGN}2") == 2


@pytest.mark.parametrize("genotype", GENOTYPES)
def test_operations_tell_what_they_are(genotype):
    for group in operations_of(drawn(genotype, notes_for(genotype))):
        title = group.find(f"{SVG}title").text
        assert group.get("aria-label") == title
        assert re.fullmatch(
            rf"{texts_of(group)[0]} from (input [01]|node [2-4]) to node [2-5]: 0\.93 \(\+0\.04\)", title
        )
        assert texts_of(group)[1] == "0.93 (+0.04)"


@pytest.mark.parametrize("notes", [{}, None])
@pytest.mark.parametrize("genotype", GENOTYPES)
def test_shapes_do_not_meet_and_stay_inside(genotype, notes):
    root = drawn(genotype, notes_for(genotype) if notes is None else notes)
    _, _, width, height = map(float, root.get("viewBox").split())
    for cell in root.findall(f"{SVG}g"):
        left, top = map(float, re.findall(r"[\d.]+", cell.get("transform")))
        boxes = []
        for shape in cell.iter(f"{SVG}rect"):
            x, y, w, h = (float(shape.get(name)) for name in ("x", "y", "width", "height"))
            boxes.append((left + x, top + y, left + x + w, top + y + h))
        assert all(min(x0, y0) > 0 and x1 < width and y1 < height for x0, y0, x1, y1 in boxes)
        meeting = [
            (a, b)
            for a in boxes
            for b in boxes
            if a < b and a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        ]
        assert not meeting


def test_both_drawings_have_one_layout():
    genotype = published("PDARTS")
    _, _, width, height = map(float, cells_svg.svg(genotype).split('viewBox="')[1].split('"')[0].split())
    assert cells.draw_genotype(genotype).get_size_inches() * 100 == pytest.approx([width, height], abs=0.1)
    assert drawing.natural_size(genotype) == pytest.approx((width / 100, height / 100), abs=0.001)


def test_what_does_not_exist_is_dashed_and_not_filled():
    root = drawn(published("FairDARTS_c"))
    dashed = [shape for shape in root.iter(f"{SVG}rect") if shape.get("stroke-dasharray")]
    assert [shape.get("fill") for shape in dashed] == ["none", "none"]
    assert not [shape for shape in drawn(published("DARTS_V2")).iter() if shape.get("stroke-dasharray")]


def test_isolated_nodes_at_the_end_are_shown_on_demand():
    item = GenotypeItem("skip_connect", 2, 0)
    genotype = Genotype(normal=(item,), normal_concat=(2,), reduce=(item,), reduce_concat=(2,))
    assert "3" not in texts_of(drawn(genotype))
    shown = cell_layout.with_all_nodes(genotype, 4)
    assert {"2", "3", "4", "5"} <= set(texts_of(drawn(shown)))
    assert shown.normal == genotype.normal


def test_several_stand_on_one_page():
    content = cells_svg.svg(published("FairDARTS_a"))
    root = ElementTree.fromstring(content)
    assert not [element for element in root.iter() if element.get("id") or element.get("style") or element.get("class")]
    assert not list(root.iter(f"{SVG}style"))
    assert root.get("width") is root.get("height") is None
    assert max(len(cells_svg.svg(genotype, notes_for(genotype)).encode()) for genotype in GENOTYPES) < 40_000


def test_notes_are_text():
    genotype = published("FairDARTS_a")
    note = "</svg><script>\"&' $x_1$"
    root = drawn(genotype, {("normal", genotype.normal[0]): note})
    assert [texts_of(group)[1] for group in operations_of(root) if len(texts_of(group)) > 1] == [note]
    labels = [
        text.get_text() for text in cells.draw_genotype(genotype, {("normal", genotype.normal[0]): note}).axes[0].texts
    ]
    assert note in labels


def test_long_notes_widen_the_boxes():
    genotype = published("FairDARTS_a")
    short, long = (cells.draw_genotype(genotype, {("reduce", genotype.reduce[0]): "0" * length}) for length in (12, 40))
    assert long.get_size_inches()[0] > short.get_size_inches()[0]
    from matplotlib.patches import FancyBboxPatch

    [note] = [text.get_window_extent() for text in long.axes[0].texts if text.get_text() == "0" * 40]
    boxes = [patch.get_extents() for patch in long.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    assert any(box.x0 < note.x0 and note.x1 < box.x1 and box.y0 < note.y0 and note.y1 < box.y1 for box in boxes)


def test_colours_stand_out_on_white_and_on_dark():
    root = drawn(published("FairDARTS_c"))
    used = {path.get("stroke") for path in root.iter(f"{SVG}path")} | set(drawing.LINE_COLOURS.values())
    used |= {text.get("fill") for text in root.iter(f"{SVG}text")} - {"white", "currentColor", drawing.INK}
    for colour in used - {None}:
        assert min(contrast(colour, background) for background in BACKGROUNDS) >= 3, colour
    for colour in drawing.COLOURS.values():
        assert contrast("#FFFFFF", colour) >= 3, colour


def test_operations_without_a_colour_are_drawn(monkeypatch):
    genotype = published("SNAS")
    monkeypatch.setattr(drawing, "COLOURS", {})
    monkeypatch.setattr(drawing, "LINE_COLOURS", {})
    cell_layout.lay_out.cache_clear()
    fills = {group.find(f"{SVG}rect").get("fill") for group in operations_of(drawn(genotype))}
    cell_layout.lay_out.cache_clear()
    assert fills == {drawing.OTHER_COLOUR}
    assert min(contrast(drawing.OTHER_COLOUR, background) for background in BACKGROUNDS) >= 3


def contrast(one: str, other: str) -> float:
    """Returns the ratio of WCAG 2, from 1 to 21."""
    dark, light = sorted(luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    levels = np.array(list(bytes.fromhex(colour.removeprefix("#")))) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_notes_tell_value_and_smallest_margin():
    values = np.full((5, 2), 0.1)
    values[0, 0], values[1, 1] = 0.93, 0.85004
    rows = confidence({"normal": values, "reduce": values}, ("skip_connect", "sep_conv_3x3"))
    assert drawing.notes_of(rows) == {
        (kind, item): note
        for kind in CELL_KINDS
        for item, note in {
            GenotypeItem("skip_connect", 2, 0): "0.93 (+0.08)",
            GenotypeItem("sep_conv_3x3", 2, 1): "0.85 (+4e-05)",
        }.items()
    }
    lone = np.full((2, 1), 0.9)
    rows = confidence({"normal": lone, "reduce": lone}, ("skip_connect",), "darts")
    assert set(drawing.notes_of(rows).values()) == {"0.90"}


def test_svg_needs_no_matplotlib():
    code = (
        "import sys; from fairdarts_tf.report import cells_svg; from fairdarts_tf.genotypes import published\n"
        "cells_svg.svg(published('SNAS')); print(sorted({'matplotlib', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
