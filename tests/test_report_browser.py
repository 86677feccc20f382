"""The page in headless Chromium: it draws, moves, follows dark and light, and fits a phone. Leaves screenshots."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, find_browser
from report_testing import HOSTILE, change_flag, make_run

from fairdarts_tf.report.comparison import write_comparison
from fairdarts_tf.report.page import write_report

SCREENSHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
MAP = "document.getElementById('heat_sigmoid_normal')"
OUTLINES = f"{MAP}.layout.shapes.length"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        pytest.skip("needs Chromium or Chrome on PATH, as of the package chromium")
    browser = Browser(executable, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of 50 epochs, the first of which have no genotype."""
    return write_report(make_run(tmp_path_factory.mktemp("runs") / "fifty_epochs", epochs=50, threshold=0.9))


@pytest.fixture
def desktop(browser: Browser) -> Browser:
    browser.complaints.clear()
    browser.resize(1280, 900)
    browser.prefer("light")
    return browser


def move_to(browser: Browser, index: int) -> None:
    browser.evaluate(
        f"(() => {{ const slider = document.getElementById('epoch'); slider.value = {index};"
        "slider.dispatchEvent(new Event('input')); })()"
    )


def test_draws_without_a_complaint(desktop: Browser, report: Path):
    desktop.open(report)
    plots = desktop.evaluate("document.querySelectorAll('.plot').length")
    assert plots == desktop.evaluate("document.querySelectorAll('.plot .main-svg:first-child').length") == 13
    assert desktop.evaluate("document.querySelectorAll('#found svg rect').length") > 10
    assert desktop.complaints == []
    desktop.screenshot(SCREENSHOTS / "report-light.png")


def test_opens_in_two_seconds(desktop: Browser, report: Path):
    assert statistics.median(desktop.open(report) for _ in range(5)) < 2


def test_slider_moves_heat_maps_and_cells(desktop: Browser, report: Path):
    desktop.open(report)
    table, cells = f"JSON.stringify({MAP}.data[0].z)", "document.querySelector('#stage svg').outerHTML"
    before = desktop.evaluate(table), desktop.evaluate(cells)
    move_to(desktop, 25)
    desktop.wait_for(f"{table} !== {before[0]!r}")
    assert desktop.evaluate(cells) != before[1]
    assert desktop.evaluate("document.getElementById('epoch').getAttribute('aria-valuetext')") == "epoch 26 of 50"
    move_to(desktop, 0)
    assert "No genotype after epoch 1" in desktop.evaluate("document.querySelector('#stage').textContent")
    desktop.wait_for(f"{OUTLINES} === 0")
    move_to(desktop, 49)
    desktop.wait_for(f"{table} === {before[0]!r}")
    assert desktop.evaluate(cells) == before[1]
    assert desktop.complaints == []


def contrast(one: str, other: str) -> float:
    """Returns the contrast of two colours, given as ``rgb(...)``, from 1 to 21, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_values_in_heat_maps_are_legible_and_follow_the_slider(desktop: Browser, report: Path, scheme: str):
    desktop.prefer(scheme)
    desktop.open(report)
    move_to(desktop, 30)
    desktop.wait_for(f"{MAP}.data[1].text[3] === {MAP}.data[0].z[0][3].toFixed(2)")
    written = f"[...{MAP}.querySelectorAll('.textpoint text')]"
    texts, inks = desktop.evaluate(
        f"[{written}.map((text) => text.textContent), {written}.map((text) => getComputedStyle(text).fill)]"
    )
    values = desktop.evaluate(f"{MAP}.data[0].z.flat()")
    assert np.abs(np.array(texts, float) - values).max() < 0.0051
    stops = desktop.evaluate(f"{MAP}.data[0].colorscale.map((stop) => stop[1])")
    colours = np.array([[int(stop[place : place + 2], 16) for place in (1, 3, 5)] for stop in stops])
    for value, ink in zip(values, inks, strict=True):
        ground = [round(np.interp(value, (0, 0.5, 1), channel)) for channel in colours.T]
        assert contrast(ink, f"rgb{tuple(ground)}") > 4.3, value


def test_slider_moves_the_values_in_the_cells(desktop: Browser, report: Path):
    desktop.open(report)
    shown = "[...document.querySelectorAll('#stage g[role=img]')].map((group) => group.textContent)"
    labels = "[...document.querySelectorAll('#stage g[role=img]')].map((group) => group.getAttribute('aria-label'))"
    data = "JSON.parse(document.getElementById('page-data').textContent).replay"
    drawings, notes = desktop.evaluate(f"[{data}.drawings, {data}.notes]")
    epochs = [index for index, drawing in enumerate(drawings) if drawing is not None]
    for index in (epochs[0], epochs[-2], epochs[-1]):
        move_to(desktop, index)
        for note, text, label in zip(notes[index], desktop.evaluate(shown), desktop.evaluate(labels), strict=True):
            assert text.endswith(note) and label.endswith(f": {note}")


def test_keyboard_moves_plays_and_pauses(desktop: Browser, report: Path):
    desktop.open(report)
    value = "Number(document.getElementById('epoch').value)"
    desktop.evaluate("document.getElementById('epoch').focus()")
    desktop.press("ArrowLeft", 37)
    desktop.wait_for(f"{value} === 48")
    move_to(desktop, 10)
    desktop.evaluate("document.getElementById('play').focus()")
    desktop.press(" ", 32)
    desktop.wait_for(f"{value} >= 12")
    assert desktop.evaluate("document.getElementById('play').getAttribute('aria-label')") == "Pause"
    desktop.press(" ", 32)
    stopped = desktop.evaluate(value)
    desktop.evaluate("new Promise((resolve) => setTimeout(resolve, 500))")
    assert desktop.evaluate(value) == stopped


def test_legend_toggles_an_operation_and_colours_keep_it(desktop: Browser, report: Path):
    desktop.open(report)
    plot = "document.getElementById('trajectories_normal')"
    assert desktop.evaluate(f"{plot}.data[2].name") == "skip_connect"
    desktop.click(f"{plot}.querySelectorAll('.legendtoggle')[2]")
    desktop.wait_for(f"{plot}._fullData[2].visible === 'legendonly'")
    desktop.prefer("dark")
    desktop.wait_for(f"{plot}._fullData[3].line.color !== '#2472B8'")
    assert desktop.evaluate(f"{plot}._fullData.map((trace) => trace.visible)") == [
        "legendonly" if index == 2 else True for index in range(7)
    ]


def test_hover_tells_edge_operation_value_and_epoch(desktop: Browser, report: Path):
    desktop.open(report)
    plot = "document.getElementById('trajectories_reduce')"
    desktop.evaluate(f"void Plotly.Fx.hover({plot}, [{{curveNumber: 3, pointNumber: 51}}])")
    desktop.wait_for(f"{plot}.querySelector('.hovertext')")
    told = desktop.evaluate(f"{plot}.querySelector('.hovertext').textContent")
    value = desktop.evaluate(f"{plot}.data[3].y[51]")
    assert told == f"sep_conv_3x3edge 1 → 2{value:.4f} at epoch 1"


def test_plots_follow_dark_and_light(desktop: Browser, report: Path):
    desktop.open(report)
    ink = "document.getElementById('loss')._fullLayout.font.color"
    assert desktop.evaluate(ink) == "#1c2430"
    desktop.prefer("dark")
    desktop.wait_for(f"{ink} === '#e6eaf0'")
    assert desktop.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
    desktop.screenshot(SCREENSHOTS / "report-dark.png")
    desktop.prefer("light")
    desktop.wait_for(f"{ink} === '#1c2430'")


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_pages_do_not_scroll_sideways(desktop: Browser, report: Path, width: int):
    desktop.resize(width, 780, mobile=True)
    desktop.open(report)
    assert desktop.evaluate(OVERFLOW) == 0
    assert desktop.evaluate(f"{MAP}.offsetWidth") <= width
    desktop.screenshot(SCREENSHOTS / f"report-{width}.png")
    assert desktop.complaints == []


@pytest.mark.parametrize("width", [320, 1280])
def test_legends_overlap_nothing(desktop: Browser, report: Path, tmp_path: Path, width: int):
    names = [f"a_search_with_a_long_name_and_seed_{seed}" for seed in range(5)]
    runs = [make_run(tmp_path / name, seed=seed, epochs=3) for seed, name in enumerate(names)]
    desktop.resize(width, 780, mobile=width < 760)
    for place in (report, write_comparison(runs, tmp_path / "comparison.html")):
        desktop.open(place)
        boxes = desktop.evaluate(
            "[...document.querySelectorAll('.plot')].filter((plot) => plot.querySelector('.legend')).map((plot) => {"
            "const box = (name) => plot.querySelector(name).getBoundingClientRect();"
            "const [legend, title, ground, whole] = ['.legend', '.xtitle', '.nsewdrag', '.main-svg'].map(box);"
            "return [plot.id, title.bottom, legend.top, legend.bottom, whole.bottom, ground.height]; })"
        )
        assert len(boxes) >= 8
        for name, title, top, bottom, end, height in boxes:
            assert title <= top + 1 and bottom <= end + 1, name
            assert height >= 100, name
        desktop.screenshot(SCREENSHOTS / f"{place.stem}-legends-{width}.png")
    assert desktop.complaints == []


def test_prints_on_light_pages(desktop: Browser, report: Path, tmp_path: Path):
    desktop.prefer("dark")
    desktop.open(report)
    desktop.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert desktop.complaints == []


def test_nothing_from_a_file_runs(desktop: Browser, tmp_path: Path):
    workdir = make_run(tmp_path / "run", epochs=3)
    change_flag(workdir, "operations", ",".join(f"{HOSTILE[:-6]}{index}" for index in range(7)))
    change_flag(workdir, "dataset", HOSTILE[:-6])
    desktop.open(write_report(workdir))
    assert desktop.evaluate("document.querySelectorAll('img').length") == 0
    ticks = desktop.evaluate(f"[...{MAP}.querySelectorAll('.xtick text')].map((tick) => tick.textContent)")
    assert ticks[0].startswith("</script><img src=x onerror=alert(1)>")
    assert desktop.complaints == []


def test_a_run_before_its_first_epoch(desktop: Browser, tmp_path: Path):
    desktop.open(write_report(make_run(tmp_path / "run", recorded=0)))
    assert "No epoch has been recorded yet" in desktop.evaluate("document.body.textContent")
    assert desktop.complaints == []


def test_watched_page_loads_itself_anew(desktop: Browser, tmp_path: Path):
    workdir = make_run(tmp_path / "run", recorded=2, epochs=9, threshold=0.1)
    desktop.open(write_report(workdir, reload_seconds=0.5))
    make_run(workdir, recorded=4, epochs=9, threshold=0.1)
    write_report(workdir)
    desktop.wait_for("document.body && document.body.textContent.includes('4 of 9 epochs')", timeout=15)


def test_comparison(desktop: Browser, tmp_path: Path):
    runs = [make_run(tmp_path / f"seed_{seed}", seed=seed) for seed in range(3)]
    page = write_comparison(runs, tmp_path / "comparison.html")
    desktop.open(page)
    assert desktop.evaluate("document.querySelectorAll('.plot .main-svg:first-child').length") == 14
    assert desktop.evaluate("document.querySelectorAll('#cells svg').length") == 3
    desktop.screenshot(SCREENSHOTS / "comparison-light.png")
    desktop.prefer("dark")
    desktop.wait_for("document.getElementById('curve_zero_one')._fullLayout.font.color === '#e6eaf0'")
    desktop.screenshot(SCREENSHOTS / "comparison-dark.png")
    desktop.resize(360, 780, mobile=True)
    desktop.open(page)
    assert desktop.evaluate(OVERFLOW) == 0
    desktop.screenshot(SCREENSHOTS / "comparison-360.png")
    assert desktop.complaints == []
