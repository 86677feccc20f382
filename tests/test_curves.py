"""Drawing how a search went with Matplotlib: what the panels show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from report_testing import make_run

from fairdarts_tf.report.curves import draw_curves
from fairdarts_tf.report.run_data import RunData, read_run


def panels_of(run: RunData) -> dict[str, Axes]:
    figure = draw_curves(run.columns, {**run.alphas, "epoch": run.epochs}, run.derivation)
    return {panel.get_title(): panel for panel in figure.axes}


def heights(panel: Axes, epochs: int) -> np.ndarray:
    """Returns how high each stacked area is, (areas, epochs): its outline runs there below and back above."""
    found = []
    for area in panel.collections:
        assert isinstance(area, PolyCollection)
        outline = area.get_paths()[0].vertices
        found.append([np.ptp(outline[np.isclose(outline[:, 0], epoch), 1]) for epoch in range(1, epochs + 1)])
    return np.array(found)


def test_areas_are_the_dominant_operations(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=6, threshold=0.6))
    panels = panels_of(run)
    for kind, name in (("normal", "normal"), ("reduce", "reduction")):
        counts = (run.mixing_weights()[kind] >= 0.6).sum(axis=1)
        shown = heights(panels[f"dominant operations, {name} cell"], 6)
        assert counts.sum() > 0 and np.array_equal(shown.round(6), counts.T)


def test_where_weights_compete_each_edge_has_one_dominant_operation(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=4, relaxation="softmax"))
    shown = heights(panels_of(run)["dominant operations, normal cell"], 4)
    assert shown.sum(axis=0) == pytest.approx([14] * 4)


def test_skips_by_epoch_are_whole_numbers(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", threshold=0.6))
    panel = panels_of(run)["skip connections in the genotype"]
    assert [line.get_label() for line in panel.lines] == ["normal", "reduction"]
    for line, kind in zip(panel.lines, ("normal", "reduce"), strict=True):
        assert np.array_equal(line.get_ydata(), run.columns[f"{kind}_skips"], equal_nan=True)
    assert all(tick == int(tick) for tick in panel.get_yticks())


def test_every_swatch_can_be_told_from_the_ground_of_its_legend(tmp_path: Path):
    legend = panels_of(read_run(make_run(tmp_path / "run", epochs=3)))["operations"].get_legend()
    assert legend.get_frame_on() and legend.get_frame().get_facecolor() == (1, 1, 1, 1)
    swatches = {patch.get_facecolor()[:3] for patch in legend.get_patches()}
    assert len(swatches) == 3 and all(min(colour) < 0.9 for colour in swatches)


def test_one_epoch_is_drawn(tmp_path: Path):
    assert len(panels_of(read_run(make_run(tmp_path / "run", epochs=1)))) == 9
