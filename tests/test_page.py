"""The page of a sweep in a real browser: it shows the values of the store."""

import json
import re
from typing import Any

import matplotlib.colors
import numpy as np
import pytest
import xarray as xr
from bokeh.models import FixedTicker

import phasejax as pj
from phasejax import cli
from phasejax.page.pack import pack_curves
from phasejax.page.plots import document
from phasejax.plot.style import COLOURS
from phasejax.regimes import NAMES

from .opened import SCREENSHOT, Page


@pytest.fixture(scope="module")
def dataset():
    """The plane of the paper, on real data, with short runs."""
    values = pj.log_axis(0.3, 300, 13)
    problem = pj.problems.digits(samples=16, hidden=(4, 4))
    grid = pj.Grid(a=values, b=values, learning_rate=1e-3)
    swept = pj.sweep(problem, pj.adam, grid, steps=4_096, windows=128)
    return swept.assign_attrs(problem_builtin="digits")


@pytest.fixture
def page(browser, dataset, tmp_path):
    """The page of `dataset`; fails after a message in the console or a network request."""
    page = Page(browser, pj.write_page(dataset, tmp_path / "page.html"))
    yield page
    assert page.said == []
    assert page.asked == [page.url]
    page.tab.close()


def log10(values):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)


def assert_is_the_stores(drawn, cell, resolution=0.001):
    for name, variable in (("low", "loss_min"), ("high", "loss_max")):
        expected = log10(cell[variable].values)
        np.testing.assert_allclose(log10(drawn[name]), expected, atol=0.51 * resolution)
    expected = cell["log10_loss_mean"].values
    np.testing.assert_allclose(log10(drawn["mean"]), expected, atol=0.51 * resolution)


def test_a_click_shows_the_curve_of_the_store(page, dataset):
    for i, j in [(0, 12), (6, 6), (12, 1), (3, 9)]:
        cell = dataset.isel(a=i, b=j)
        page.tab.click("#clear")
        assert page.tab.locator(".panels figure:visible").count() == 0
        page.click(float(cell.a), float(cell.b))
        regime = NAMES[int(cell.regime)]
        assert page.titles()[0] == f"1 a = {float(cell.a):.4g}, b = {float(cell.b):.4g}: {regime}"
        drawn = page.curve(1)
        np.testing.assert_allclose(drawn["t"], dataset.step.values + 16)  # middles of 32 steps
        assert_is_the_stores(drawn, cell)
        assert regime in page.tab.locator("#told").inner_text()
        assert f"{float(cell.late_level):.4g}" in page.tab.locator("table").inner_text()


def test_the_papers_cells_are_open_at_first_and_a_fifth_curve_replaces_the_oldest(page, dataset):
    SCREENSHOT.parent.mkdir(exist_ok=True)
    page.tab.screenshot(path=SCREENSHOT)
    assert [title[0] for title in page.titles()] == ["1", "2", "3"]
    for number, (a, b) in enumerate([(1, 100), (10, 10), (100, 1)], start=1):
        cell = dataset.sel(a=a, b=b, method="nearest")
        assert_is_the_stores(page.curve(number), cell)
    corners = [(0, 0), (12, 12)]
    for i, j in corners:
        page.click(float(dataset.a[i]), float(dataset.b[j]))
    # The fifth curve replaced the oldest.
    assert page.tab.locator(".panels figure:visible").count() == 4
    for number, (i, j) in zip((3, 4), corners, strict=True):
        assert_is_the_stores(page.curve(number), dataset.isel(a=i, b=j))
    page.click(float(dataset.a[12]), float(dataset.b[12]))  # a second click closes it
    assert page.tab.locator(".panels figure:visible").count() == 3
    ranges = page.tab.evaluate(
        "Bokeh.documents[0].roots().slice(1).map(p => [p.y_range.start, p.y_range.end])"
    )
    assert len({tuple(r) for r in ranges[:3]}) == 1  # common axes


def test_hover_shows_the_features_of_the_cell(page, dataset):
    cell = dataset.isel(a=3, b=11)
    page.tab.mouse.move(*page.place(float(cell.a), float(cell.b)))
    page.tab.wait_for_selector(".bk-tooltip-row-value")
    labels = page.tab.locator(".bk-tooltip-row-label").all_inner_texts()
    values = page.tab.locator(".bk-tooltip-row-value").all_inner_texts()
    told = dict(zip((label.rstrip(":") for label in labels), values, strict=True))
    assert told["a"] == f"{float(cell.a):.4g}"
    assert told["b"] == f"{float(cell.b):.4g}"
    assert told["regime"] == NAMES[int(cell.regime)]
    assert float(told["margin"]) == pytest.approx(float(cell.margin), rel=1e-3)
    assert float(told["late level"]) == pytest.approx(float(cell.late_level), rel=1e-3)


def test_the_map_shows_regimes_or_any_feature(page, dataset):
    cell = dataset.isel(a=1, b=11)
    at = float(cell.a), float(cell.b)
    regime = matplotlib.colors.to_rgb(COLOURS[NAMES[int(cell.regime)]])
    np.testing.assert_allclose(page.colour(*at), regime, atol=0.02)
    options = page.tab.locator("#map option").evaluate_all("all => all.map(o => o.value)")
    assert set(options) >= {"regime", "margin", "late_level", "onset", "spike_count", "amplitude"}
    for name in ("late_level", "margin"):
        page.tab.select_option("#map", name)
        values = dataset[name].values
        low, high = np.quantile(values[np.isfinite(values)], [0.02, 0.98])
        share = np.clip((float(cell[name]) - low) / (high - low), 0, 1)
        expected = matplotlib.colormaps["viridis"](share)[:3]
        np.testing.assert_allclose(page.colour(*at), expected, atol=0.03)
    page.tab.select_option("#map", "regime")
    np.testing.assert_allclose(page.colour(*at), regime, atol=0.02)


LABELS = """Bokeh.documents[0].roots()[0].center
    .filter(part => part.type === "Label" && part.visible).map(label => label.text.text)"""


def test_lines_can_be_hidden(page):
    """Checks the colour of a pixel on the diagonal, between two cells."""

    def drawn():
        return page.tab.evaluate(
            """Bokeh.documents[0].roots()[0].renderers
                .filter(r => r.tags.includes("a = b")).map(r => r.visible)"""
        )

    def named():
        return page.tab.evaluate(LABELS)

    assert drawn() == [True, True]
    assert named() == ["a = b"]
    page.tab.uncheck("input.line")
    assert drawn() == [False, False]
    assert named() == []
    page.tab.check("input.line")
    assert drawn() == [True, True]
    assert named() == ["a = b"]


def test_the_page_can_be_used_with_the_keyboard(page, dataset):
    page.tab.click("#clear")
    for _ in range(20):
        page.tab.keyboard.press("Tab")
        if page.tab.evaluate("document.activeElement.id") == "plane":
            break
    else:
        pytest.fail("Tab never came to the plane")
    for _ in range(13):
        page.tab.keyboard.press("ArrowLeft")
        page.tab.keyboard.press("ArrowDown")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.tab.keyboard.press(key)
    cell = dataset.isel(a=2, b=1)
    here = f"a = {float(cell.a):.4g}, b = {float(cell.b):.4g}"
    assert page.tab.locator("#told").inner_text().startswith(here)
    page.tab.keyboard.press("Enter")
    assert here in page.titles()[0]
    assert_is_the_stores(page.curve(1), cell)
    page.tab.keyboard.press("Enter")
    assert page.tab.locator(".panels figure:visible").count() == 0
    for control in ("map", "clear"):
        page.tab.focus(f"#{control}")
        assert page.tab.evaluate("document.activeElement.id") == control


def test_names_from_a_store_are_shown_as_text(browser, dataset, tmp_path):
    """The page shows names that contain HTML or scripts, and does not run them."""
    evil = "</script><img src=x onerror=alert(1)><b>$$x$$"
    named = dataset.rename(a=evil)
    named.attrs = {**dataset.attrs, "title": evil, "failures": [evil], "optimizer": evil}
    named.attrs["axes"] = {evil: dataset.attrs["axes"]["a"], "b": dataset.attrs["axes"]["b"]}
    named["margin"] = named["margin"].assign_attrs(long_name=evil)
    lines = {evil: lambda a: 3 * a}
    page = Page(browser, pj.write_page(named, tmp_path / "evil.html", lines=lines))
    page.tab.select_option("#map", "margin")
    page.click(10.0, 30.0)
    page.tab.mouse.move(*page.place(3.0, 30.0))
    page.tab.wait_for_selector(".bk-tooltip-row-value")
    assert evil in page.tab.locator(".bk-tooltip-row-label").first.inner_text()
    assert page.tab.locator("h1").inner_text() == evil
    assert page.tab.title() == evil
    assert page.tab.locator("img").count() == 0
    assert page.said == []
    assert page.asked == [page.url]
    page.tab.close()


def test_a_large_sweep_opens_fast(browser, tmp_path):
    """128 x 128 cells of 256 windows: less than 15 MB, and less than 3 s of the processor."""
    axis = pj.log_axis(0.3, 300, 128)
    grid = pj.Grid(a=axis, b=axis, learning_rate=1e-3)
    problem = pj.problems.quadratic((1.0, 0.1))
    large = pj.sweep(problem, pj.adam, grid, steps=5_120, windows=256)
    marks = [{"a": 1, "b": 100}, {"a": 10, "b": 10}]
    path = pj.write_page(large, tmp_path / "large.html", marks=marks)
    assert path.stat().st_size < 15e6
    page = Page(browser, path)
    assert 0.1 < page.processor_seconds() < 3
    assert_is_the_stores(page.curve(2), large.sel(a=10, b=10, method="nearest"), 0.02)
    assert page.said == []


def test_view_shows_the_computed_cells_of_a_running_sweep(browser, small, tmp_path, monkeypatch):
    store = tmp_path / "s.zarr"
    pj.sweep(**small, store=store)
    import zarr

    status = zarr.open_array(store / "status", mode="r+")
    status[1, 2] = 0  # not computed yet
    assert cli.main(["view", str(store), "--no-browser"]) == 0
    page = Page(browser, tmp_path / "phase_diagram.html")
    assert page.tab.locator("p[role=status]").first.inner_text() == "11 of 12 cells computed so far"
    assert "not computed yet 1" in page.tab.locator(".regimes").inner_text()
    dataset = pj.open_dataset(store)
    at = float(dataset.a[1]), float(dataset.b[2])
    np.testing.assert_allclose(page.colour(*at), [0xEC / 255] * 3, atol=0.02)
    page.tab.click("#clear")
    page.click(*at)
    assert page.titles()[0].endswith("not computed yet: no curve")
    assert page.said == []
    page.tab.close()


def test_a_refined_sweep_shows_which_cells_were_inferred(browser, tmp_path):
    axis = pj.log_axis(0.3, 300, 5)
    dataset = pj.sweep(
        pj.problems.quadratic(), pj.adam, pj.Grid(a=axis, b=axis), steps=640, windows=64, refine=17
    )
    i, j = np.argwhere(dataset.status.values == 2)[0]
    page = Page(browser, pj.write_page(dataset, tmp_path / "refined.html"))
    page.tab.click("#clear")
    page.click(float(dataset.a[i]), float(dataset.b[j]))
    assert page.titles()[0].endswith("inferred: no curve")
    computed = np.argwhere(dataset.status.values == 1)[40]
    cell = dataset.isel(a=computed[0], b=computed[1])
    page.click(float(cell.a), float(cell.b))
    assert_is_the_stores(page.curve(2), cell)
    assert page.said == []
    page.tab.close()


def test_axes_are_chosen_and_flows_have_a_time(browser, tmp_path):
    grid = pj.Grid(a=[1.0, 2.0, 5.0], b=pj.log_axis(1, 100, 4), seed=[0, 1])
    explicit = pj.Flow(pj.adam_flow, solver="bosh3", rtol=1e-6)
    flow = pj.sweep(pj.problems.quadratic(), explicit, grid, time=5.0, windows=32)
    with pytest.raises(ValueError, match="select one value of the others"):
        pj.write_page(flow, tmp_path / "page.html")
    page = Page(browser, pj.write_page(flow.sel(seed=1), tmp_path / "page.html", x="b"))
    page.tab.click("#clear")
    cell = flow.sel(seed=1).isel(a=1, b=2)
    page.click(float(cell.b), float(cell.a))  # b is horizontal
    drawn = page.curve(1)
    np.testing.assert_allclose(drawn["t"], (np.arange(32) + 0.5) * 5 / 32)
    assert_is_the_stores(drawn, cell, 0.002)  # the resolution for 33 decades
    assert page.said == []
    page.tab.close()


def test_lines_look_different_and_their_names_are_on_the_plane(browser, dataset, tmp_path):
    lines = ["b = 12 a", "b = 90/a", "a = 3"]
    page = Page(browser, pj.write_page(dataset, tmp_path / "page.html", lines=lines))
    assert page.tab.evaluate(LABELS) == ["a = b", *lines]
    dashes = page.tab.evaluate(
        """Bokeh.documents[0].roots()[0].renderers.filter(r => r.tags.length)
            .map(r => String(r.glyph.line_dash.value)).filter((_, i) => i % 2)"""
    )
    assert len(set(dashes)) == len(dashes) == 4
    assert page.said == []
    page.tab.close()


@pytest.mark.parametrize(
    ("names", "x"), [([False, True], "kind"), (["relu", "tanh", "<b>$$x$$</b>"], "b")]
)
def test_axes_of_names_are_labelled_by_name(browser, dataset, tmp_path, names, x):
    """On the axis, in the tooltip, with keys, in captions and in the table."""
    part = dataset.isel(a=slice(0, 12, 4)).isel(a=slice(len(names))).rename(a="kind")
    part = part.assign_coords(kind=("kind", names, {"scale": "category"}))
    axes = {"kind": {"values": names, "scale": "category", "even": False}}
    part.attrs["axes"] = axes | {"b": dataset.attrs["axes"]["b"]}
    marks = [{"kind": names[1], "b": 30}]
    page = Page(browser, pj.write_page(part, tmp_path / "page.html", x=x, marks=marks))
    across = x == "kind"
    cell = part.isel(kind=1).sel(b=30, method="nearest")
    told = [f"kind = {names[1]}", f"b = {float(cell.b):.4g}"][:: 1 if across else -1]
    assert page.titles() == [f"1 {', '.join(told)}: {NAMES[int(cell.regime)]}"]
    assert_is_the_stores(page.curve(1), cell)
    last = len(names) - 1
    at = (last, float(part.b[4]))[:: 1 if across else -1]
    page.click(*at)
    assert f"kind = {names[last]}" in page.titles()[-1]
    assert f"kind = {names[last]}" in page.tab.locator("table").inner_text()
    page.tab.mouse.move(*page.place(*at))
    page.tab.wait_for_selector(".bk-tooltip-row-value")
    values = page.tab.locator(".bk-tooltip-row-value").all_inner_texts()
    assert values[0 if across else 1] == str(names[last])
    page.tab.focus("#plane")
    page.tab.keyboard.press("ArrowLeft" if across else "ArrowDown")
    assert f"kind = {names[last - 1]}" in page.tab.locator("#told").inner_text()
    ticks = page.tab.evaluate(
        """side => [...Bokeh.documents[0].roots()[0][side][0].major_label_overrides.values()]
            .map(text => text.text)""",
        "below" if across else "left",
    )
    assert ticks == [str(name) for name in names]
    assert page.said == []
    page.tab.close()


def test_marked_cells_are_open_at_first(dataset, tmp_path):
    """By default, on another plane than the paper's, those with the largest margins."""
    part = dataset.isel(a=slice(0, 13, 4), b=slice(0, 13, 4))
    own = part.assign_attrs(problem_builtin="")
    for shown_of, marks, shown in (
        (part, (), "[]"),
        (own, [{"a": 0.3, "b": 0.3}, {"a": 1e6, "b": 1}], "[0]"),
        (own, None, None),
    ):
        page = pj.write_page(shown_of, tmp_path / "page.html", marks=marks).read_text()
        found = re.findall(r'"shown": (\[.*?\])', page)[0]
        assert found == (shown or found)
    codes, margins = part.regime.values.ravel(), part.margin.values.ravel()
    cells = json.loads(found)
    assert len({int(codes[i]) for i in cells}) == len(cells) > 0
    assert all(margins[i] == margins[codes == codes[i]].max() for i in cells)
    with pytest.raises(ValueError, match=r"marks = .*: must be at most 4 cells"):
        pj.write_page(part, tmp_path / "page.html", marks=[{"a": 1, "b": 1}] * 5)


def test_the_page_sorts_its_axes(dataset, tmp_path):
    part = dataset.isel(a=slice(0, 13, 4), b=slice(0, 13, 4))
    pages = [pj.write_page(d, tmp_path / "page.html", marks=[{"a": 0.3, "b": 300}]).read_text()
             for d in (part, part.isel(a=[2, 0, 3, 1]))]  # fmt: skip
    packed = [re.findall(r'id="packed">(.*?)</script>', page)[0] for page in pages]
    assert packed[0] == packed[1]


def test_a_narrow_axis_has_ticks(dataset):
    """If 1, 3, 10, ... are too far apart."""
    narrow = dataset.assign_coords(a=("a", np.geomspace(1.2, 2.5, 13), {"scale": "log"}))
    plane: Any = document(narrow, "a", "b", []).roots[0]
    assert not isinstance(plane.below[0].ticker, FixedTicker)
    assert isinstance(plane.left[0].ticker, FixedTicker)


def test_too_many_cells_are_refused(tmp_path):
    values = np.arange(1.0, 401.0)
    cells = xr.DataArray(np.zeros((400, 400), np.int8), {"a": values, "b": values}, ("a", "b"))
    with pytest.raises(ValueError, match="dataset cells = 160000: must be at most 100000"):
        pj.write_page(xr.Dataset({"regime": cells, "status": cells}), tmp_path / "page.html")


def test_windows_are_merged_if_the_file_would_be_too_large():
    """By minimum, maximum and mean; an unpaired last window is kept."""
    rng = np.random.default_rng(0)
    loss = 10.0 ** rng.uniform(-20, 0, (50, 31))
    envelope = {"loss_min": loss, "loss_max": 2 * loss, "log10_loss_mean": np.log10(loss)}
    fine = pack_curves(envelope)
    assert (fine.resolution, fine.merged) == (0.001, 1)
    curves = pack_curves(envelope, budget=2_500)
    assert curves.merged > 1
    codes = curves.low.astype(np.int64) | (curves.high.astype(np.int64) << 8)
    difference = (codes >> 1) ^ -(codes & 1)
    windows = -(-31 // curves.merged)
    values = np.cumsum(difference.reshape(3, 50, windows), axis=-1).astype(np.int16)
    starts = np.arange(0, 31, curves.merged)
    expected = np.log10(
        [np.minimum.reduceat(loss, starts, 1), np.maximum.reduceat(2 * loss, starts, 1)]
    )
    np.testing.assert_allclose(values[:2] * curves.resolution, expected, atol=0.011)
