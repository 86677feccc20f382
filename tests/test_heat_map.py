"""Heat maps of mixing weights: order, scale and what fits."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest

from fairdarts_tf.alphas import edge_names, nodes_of
from fairdarts_tf.errors import GenotypeError
from fairdarts_tf.genotypes import FAIRDARTS_OPERATIONS
from fairdarts_tf.report.heat_map import draw_heat_maps, draw_relaxations, png_bytes
from fairdarts_tf.sensitivity import DerivationSettings
from fairdarts_tf.spaces.darts import DartsSpace

EDGES_OF_FOUR_NODES = ["0>2", "1>2", "0>3", "1>3", "2>3", "0>4", "1>4", "2>4", "3>4"]


def values_of(edges: int, operations: int = 7) -> dict[str, np.ndarray]:
    numbers = np.random.default_rng(0)
    return {kind: numbers.random((edges, operations)) for kind in ("normal", "reduce")}


def space_of(values: dict[str, np.ndarray]) -> DartsSpace:
    """Returns the space of tables."""
    rows, columns = values["normal"].shape
    return DartsSpace(FAIRDARTS_OPERATIONS[:columns], nodes=nodes_of(rows))


def test_names_of_edges():
    assert edge_names(9) == EDGES_OF_FOUR_NODES
    with pytest.raises(GenotypeError, match="no cell has 3 edges"):
        edge_names(3)


@pytest.mark.parametrize("stacked", [False, True])
def test_tables_names_and_values(stacked):
    values = values_of(9)
    panels = draw_heat_maps(values, space_of(values), stacked).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["Normal cell", "Reduction cell"]
    for panel, table in zip(panels, values.values(), strict=True):
        assert np.array_equal(panel.images[0].get_array(), table)
        assert [label.get_text() for label in panel.get_yticklabels()] == EDGES_OF_FOUR_NODES
        assert [label.get_text() for label in panel.get_xticklabels()] == list(FAIRDARTS_OPERATIONS)
        written = {text.get_position(): text.get_text() for text in panel.texts}
        assert written == {(column, row): f"{value:.2f}" for (row, column), value in np.ndenumerate(table)}


def test_softmax_stands_beside_sigmoid_of_the_same_alphas():
    alphas = {kind: table - 0.5 for kind, table in values_of(9).items()}
    figure = draw_relaxations(alphas, DerivationSettings(space_of(alphas), "sigmoid", "darts", 0.85))
    shown = {panel.get_title(loc="left"): panel.images[0].get_array() for panel in figure.axes}
    for kind, name in (("normal", "Normal cell"), ("reduce", "Reduction cell")):
        powers = np.exp(alphas[kind])
        np.testing.assert_allclose(shown[f"{name}, sigmoid"], powers / (1 + powers))
        np.testing.assert_allclose(shown[f"{name}, softmax"], powers / powers.sum(axis=1, keepdims=True))
    left, right, below, _ = (panel.get_position() for panel in figure.axes)
    assert left.y0 == right.y0 > below.y0 and left.x1 < right.x0 and left.x0 == below.x0


def test_scale_is_fixed():
    for level in (0.0, 0.3, 1.0):
        table = np.full((2, 2), level)
        values = {"normal": table, "reduce": table}
        for panel in draw_heat_maps(values, space_of(values)).axes:
            assert panel.images[0].get_clim() == (0, 1)


@pytest.mark.parametrize("edges", [2, 14, 54, 2144])
@pytest.mark.parametrize("stacked", [False, True])
def test_everything_stays_inside_and_apart(edges, stacked):
    figure = draw_heat_maps(values_of(edges), space_of(values_of(edges)), stacked)
    figure.canvas.draw()
    outer = figure.bbox
    panels = [panel.get_tightbbox() for panel in figure.axes]
    assert not panels[0].overlaps(panels[1])
    assert all(
        outer.x0 <= box.x0 and box.x1 <= outer.x1 and outer.y0 <= box.y0 and box.y1 <= outer.y1 for box in panels
    )
    for panel in figure.axes:
        names = [label.get_window_extent() for label in panel.get_yticklabels()]
        assert not any(upper.overlaps(lower) for upper, lower in zip(names, names[1:], strict=False))
        assert bool(panel.texts) == (edges <= 14)


def test_png():
    image = matplotlib.image.imread(io.BytesIO(png_bytes(values_of(2), space_of(values_of(2)), dpi=50)))
    width, height = draw_heat_maps(values_of(2), space_of(values_of(2))).get_size_inches()
    assert image.shape[:2] == pytest.approx((50 * height, 50 * width), abs=1)
    assert image.std() > 0.05
