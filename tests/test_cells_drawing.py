"""Drawing of cells: what is shown, and that nothing lies upon anything else."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairdarts_tf.derivation import derive
from fairdarts_tf.genotypes import ALL_OPERATIONS, FAIRDARTS_OPERATIONS, Genotype, published
from fairdarts_tf.report.cell_layout import lay_out
from fairdarts_tf.report.cells import draw_genotype, png_bytes, save_png
from fairdarts_tf.report.drawing import COLOURS, Drawing
from fairdarts_tf.report.graphviz_layout import Connection, Place, arrange
from fairdarts_tf.spaces.mobile import MobileSpace

PROJECT = Path(__file__).resolve().parents[1]


def dense(nodes: int = 4) -> Genotype:
    values = np.random.default_rng(0).random((nodes * (nodes + 3) // 2, 7))
    return derive({"normal": values, "reduce": values[::-1]}, FAIRDARTS_OPERATIONS, "threshold_edge", 0.75)


GENOTYPES = [published("FairDARTS_a"), published("FairDARTS_c"), published("DARTS_V2"), published("PDARTS"), dense()]


def shapes_of(figure) -> list:
    from matplotlib.patches import FancyBboxPatch

    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def lines_of(figure) -> list:
    from matplotlib.patches import PathPatch

    return [patch for patch in figure.axes[0].patches if isinstance(patch, PathPatch)]


def test_every_operation_has_a_colour():
    assert set(COLOURS) == {*ALL_OPERATIONS, *MobileSpace().operations} - {"none"}


@pytest.mark.parametrize("genotype", GENOTYPES)
def test_every_part_is_shown_once(genotype):
    labels = [text.get_text() for text in draw_genotype(genotype).axes[0].texts]
    operations = [item.op for item in genotype.normal + genotype.reduce]
    assert sorted(label for label in labels if label in COLOURS) == sorted(operations)
    assert sorted(label for label in labels if label.isdigit()) == sorted(["2", "3", "4", "5"] * 2)
    assert labels.count("$c_{k-2}$") == labels.count("$c_{k-1}$") == labels.count("$c_{k}$") == 2


@pytest.mark.parametrize("genotype", GENOTYPES)
def test_shapes_do_not_meet_and_stay_inside(genotype):
    figure = draw_genotype(genotype)
    boxes = [shape.get_extents() for shape in shapes_of(figure)]
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    outer = figure.bbox
    assert all(outer.x0 < box.x0 and box.x1 < outer.x1 and outer.y0 < box.y0 and box.y1 < outer.y1 for box in boxes)


@pytest.mark.parametrize("genotype", GENOTYPES)
def test_lines_run_through_no_shape(genotype):
    figure = draw_genotype(genotype)
    inner = [shape.get_extents().padded(-2) for shape in shapes_of(figure)]
    for line in lines_of(figure):
        path = line.get_transform().transform_path(line.get_path())
        assert not any(path.intersects_bbox(box, filled=False) for box in inner)


@pytest.mark.parametrize("genotype", GENOTYPES)
def test_text_fits_its_box(genotype):
    figure = draw_genotype(genotype)
    texts = [text for text in figure.axes[0].texts if text.get_text() in COLOURS]
    boxes = [shape.get_extents() for shape in shapes_of(figure)]
    for extent in (text.get_window_extent() for text in texts):
        assert any(box.x0 < extent.x0 and extent.x1 < box.x1 and box.y0 < extent.y0 < box.y1 for box in boxes)


def test_what_does_not_exist_is_dashed():
    def dashed(name: str) -> int:
        figure = draw_genotype(published(name))
        return sum(patch.get_linestyle() not in ("-", "solid") for patch in shapes_of(figure) + lines_of(figure))

    assert dashed("DARTS_V2") == 0
    assert dashed("FairDARTS_a") == 1
    assert dashed("FairDARTS_c") == 4


def test_png(tmp_path: Path):
    import matplotlib.image

    small, large = (matplotlib.image.imread(io.BytesIO(png_bytes(GENOTYPES[0], dpi=dpi))) for dpi in (50, 100))
    assert abs(large.shape[1] - 2 * small.shape[1]) <= 2
    assert large.std() > 0.05
    save_png(GENOTYPES[0], tmp_path / "cells.png", dpi=50)
    assert (tmp_path / "cells.png").read_bytes() == png_bytes(GENOTYPES[0], dpi=50)


def test_importing_does_not_load_matplotlib_nor_drawing_pyplot():
    code = (
        "import sys; from fairdarts_tf.report import cells; assert 'matplotlib' not in sys.modules\n"
        "from fairdarts_tf.genotypes import published; cells.png_bytes(published('SNAS'), 30)\n"
        "print(sorted({'matplotlib.pyplot', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_layout_leads_from_left_to_right_and_keeps_the_spacing():
    source, sink = Place(1, 1), Place(1, 1)
    between = [Place(2, 0.5) for _ in range(4)]
    connections = [Connection(source, place, has_arrow=True) for place in between]
    connections += [Connection(place, sink) for place in between]
    width, height = arrange([source, *between, sink], connections, [source], sink, spacing=0.5, gap=0.25)
    assert (width, height) == pytest.approx((1 + 0.25 + 2 + 0.25 + 1, 4 * 0.5 + 3 * 0.5), abs=0.02)
    assert source.left == pytest.approx(0) and sink.right == pytest.approx(width)
    column = sorted(between, key=lambda place: place.y)
    assert all(lower.y - upper.y == pytest.approx(1, abs=0.02) for upper, lower in itertools.pairwise(column))
    for connection in connections:
        assert connection.route[0] == pytest.approx((connection.start.right, connection.start.y), abs=0.02)
        end = connection.tip if connection.has_arrow else connection.route[-1]
        assert end == pytest.approx((connection.end.left, connection.end.y), abs=0.02)
        assert len(connection.route) % 3 == 1


def test_inputs_stand_first_in_their_order_and_the_output_last():
    for genotype in GENOTYPES:
        for items, concat in [(genotype.normal, genotype.normal_concat), (genotype.reduce, genotype.reduce_concat)]:
            cell = lay_out("normal", "", items, concat, (1.12, 0.4))
            older, newer, *_, output = cell.nodes
            others = [shape for shape in cell.shapes if shape not in (older, newer)]
            assert older.x == newer.x < min(shape.x for shape in others) and older.y < newer.y
            assert output.x == max(shape.x for shape in others)


@pytest.mark.parametrize(
    "items",
    [
        [("skip_connect", 65, 0)],
        [("sep_conv_3x3", to, source) for to in range(2, 12) for source in range(to)][:64],
        [(operation, 2, 1) for operation in ALL_OPERATIONS if operation != "none"],
        [("skip_connect", 2, 0), ("sep_conv_3x3", 4, 3), ("max_pool_3x3", 5, 4), ("dil_conv_3x3", 65, 2)],
    ],
    ids=["far", "many", "parallel", "unreachable"],
)
def test_unusual_cells_are_drawn(items, capfd):
    concat = tuple(sorted({item[1] for item in items}))
    genotype = Genotype(normal=items, normal_concat=concat, reduce=items, reduce_concat=concat)
    boxes = [shape.get_extents() for shape in shapes_of(draw_genotype(genotype))]
    assert len(boxes) == 2 * (len(items) + max(concat) + 2)
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    assert capfd.readouterr() == ("", "")


def test_a_genotype_that_stays_is_laid_out_once(monkeypatch):
    from fairdarts_tf.report import cell_layout

    calls = []
    monkeypatch.setattr(cell_layout, "arrange", lambda *arguments: calls.append(0) or arrange(*arguments))
    lay_out.cache_clear()
    for _ in range(3):
        Drawing.of(published("SNAS"), {})
    assert len(calls) == 2
