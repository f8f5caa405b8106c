"""Replayed cells on the page, in a real browser: every step of `pj.replay`, and where it is."""

import json
import re

import numpy as np
import pytest

import phasejax as pj
from phasejax import cli
from phasejax.regimes import NAMES

from .opened import Page

STEPS = 640
CELLS = [(1.0, 100.0), (10.0, 1.0)]
"""a and b of the replayed cells."""
PROBLEM = pj.problems.quadratic()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The folder of a sweep."""
    path = tmp_path_factory.mktemp("replayed") / "s"
    grid = pj.Grid(a=pj.log_axis(1, 100, 3), b=pj.log_axis(1, 100, 3))
    pj.sweep(PROBLEM, pj.adam, grid, steps=STEPS, windows=16, store=path)
    return path


@pytest.fixture(scope="module")
def dataset(store):
    return pj.open_dataset(store).load()


@pytest.fixture(scope="module")
def runs(dataset):
    return [pj.replay(dataset, PROBLEM, a=a, b=b) for a, b in CELLS]


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page of a dataset; the test fails after a message in the console or a request."""
    pages = []

    def open_page(dataset, **given):
        pages.append(Page(browser, pj.write_page(dataset, tmp_path / "page.html", **given)))
        return pages[-1]

    yield open_page
    for page in pages:
        assert page.said == []
        assert page.asked == [page.url]
        page.tab.close()


def steps_of(page, panel):
    """Step and loss in a panel, and whether each step is a dot."""
    step, loss, dots = page.tab.evaluate(
        """panel => {
            const [_band, line, _mean, dots] = Bokeh.documents[0].roots()[panel].renderers;
            const { step, loss } = dots.data_source.data;
            if (line.data_source !== dots.data_source) throw Error("line and dots differ");
            return [Array.from(step), Array.from(loss, String), dots.visible];
        }""",
        panel,
    )
    return np.array(step), np.array(loss, float), dots


def frame(page, panel):
    """Left, top, width and height of a panel's frame on the screen, in pixels."""
    return page.tab.evaluate(
        """panel => {
            const view = Bokeh.index.get_by_id(Bokeh.documents[0].roots()[panel].id);
            const { left, top } = view.el.getBoundingClientRect();
            const { bbox } = view.frame;
            return [left + bbox.left, top + bbox.top, bbox.width, bbox.height];
        }""",
        panel,
    )


def ranges(page, panel):
    return page.tab.evaluate(
        """panel => {
            const { x_range, y_range } = Bokeh.documents[0].roots()[panel];
            return [x_range.start, x_range.end, y_range.start, y_range.end];
        }""",
        panel,
    )


@pytest.mark.parametrize("minimum", [0.0, -0.5])
def test_the_page_has_the_losses_that_replay_returned(opened, dataset, runs, minimum):
    """Every bit; over the minimum, as the axis of the panel says."""
    page = opened(dataset.assign_attrs(minimum=minimum), replays=runs)
    for panel, ((a, b), run) in enumerate(zip(CELLS, runs, strict=True), start=1):
        assert page.titles()[panel - 1].startswith(f"{panel} a = {a:g}, b = {b:g}: ")
        step, loss, dots = steps_of(page, panel)
        np.testing.assert_array_equal(step, run["step"])
        np.testing.assert_array_equal(loss, run["loss"] - minimum)
        assert not dots
        band = page.curve(panel)  # from side to side of each window
        starts = dataset["step"].values
        np.testing.assert_array_equal(band["t"][::2], starts - 0.5)
        np.testing.assert_array_equal(band["t"][1::2], [*(starts[1:] - 0.5), STEPS - 0.5])
        low, high = (np.interp(step, band["t"], band[side]) for side in ("low", "high"))
        assert np.all((low <= 1.002 * loss) & (loss <= 1.002 * high))
    page.click(100.0, 1.0)  # not replayed
    assert page.titles()[2].startswith("3 a = 100, b = 1: ")
    assert steps_of(page, 3)[0].size == 0


def test_replayed_cells_have_rings_and_a_legend(opened, dataset, runs):
    page = opened(dataset, replays=runs, marks=())
    assert page.titles() == []
    rings = page.tab.evaluate(
        """Bokeh.documents[0].roots()[0].renderers
            .filter(r => r.glyph.type === "Scatter" && r.glyph.fill_color.value === null)
            .map(r => ["x", "y"].map(name => Array.from(r.data_source.data[name])))"""
    )
    expected = np.transpose(CELLS)
    assert len(rings) == 2  # black on white
    for ring in rings:
        np.testing.assert_allclose(ring, expected)
    assert "loss of every step 2" in page.tab.locator(".regimes").inner_text()


def test_single_steps_are_seen_after_a_zoom(opened, dataset, runs):
    page = opened(dataset, replays=runs)
    whole = ranges(page, 1)
    left, top, width, height = frame(page, 1)
    mouse = page.tab.mouse
    mouse.move(left + 0.5 * width, top + 1)
    mouse.down()
    mouse.move(left + 0.55 * width, top + height / 2)
    mouse.move(left + 0.6 * width, top + height - 1)
    mouse.up()
    page.tab.wait_for_function("Bokeh.documents[0].roots()[1].renderers[3].visible")
    start, end, low, high = ranges(page, 1)
    np.testing.assert_allclose([start, end], [0.5 * STEPS, 0.6 * STEPS], atol=3)
    assert not steps_of(page, 2)[2]  # the other panel is as it was
    step = round((start + end) / 2)
    loss = runs[0]["loss"].values[step]
    across = (step - start) / (end - start)
    up = np.log(loss / low) / np.log(high / low)
    mouse.move(left + across * width, top + (1 - up) * height)
    page.tab.wait_for_selector(".bk-tooltip-row-value")
    told = page.tab.locator(".bk-tooltip-row-value").all_inner_texts()
    assert told == [str(step), f"{loss:.6g}"]
    page.tab.locator(".bk-tool-icon-reset").nth(1).click()  # the first is the plane's
    page.tab.wait_for_function("!Bokeh.documents[0].roots()[1].renderers[3].visible")
    assert ranges(page, 1) == pytest.approx(whole)


def test_an_inferred_cell_has_the_curve_of_its_steps(opened, dataset, runs):
    inferred = dataset.copy(deep=True)
    inferred["status"].loc[{"a": 1, "b": 100}] = 2
    run = runs[0].copy()
    del run.attrs["same_bits"]  # there is no envelope to compare with
    page = opened(inferred, replays=[run])
    regime = NAMES[int(dataset["regime"].sel(a=1, b=100))]
    assert page.titles() == [f"1 a = 1, b = 100: {regime}"]
    np.testing.assert_array_equal(steps_of(page, 1)[1], run["loss"])
    np.testing.assert_array_equal(page.curve(1)["low"], run["loss"])
    assert ranges(page, 1)[3] >= run["loss"].max()


def test_a_page_says_if_steps_do_not_have_the_bits_of_the_sweep(opened, dataset, runs):
    page = opened(dataset, replays=[runs[0], runs[1].assign_attrs(same_bits=False)])
    said = [title.endswith(", steps rounded unlike the sweep's") for title in page.titles()]
    assert said == [False, True]


def about_of(path):
    return json.loads(re.findall(r'id="about">(.*?)</script>', path.read_text())[0])


def test_a_page_without_replays_has_nothing_of_them(dataset, tmp_path):
    page = pj.write_page(dataset, tmp_path / "page.html")
    assert "function replayedCells" not in page.read_text()
    assert "every step" not in page.read_text()
    assert "replays" not in about_of(page)


def test_view_replays_cells(store, tmp_path):
    """Two of them, of which one is not exactly on the grid; they are open at first."""
    page = tmp_path / "page.html"
    words = ["view", str(store), "--no-browser", "--output", str(page)]
    assert cli.main([*words, "--replay", "a=1,b=90", "--replay", "a=10,b=1"]) == 0
    about = about_of(page)
    assert about["replays"] == {"cells": [2, 3], "same": [True, True]}
    assert about["shown"] == [2, 3]
    assert [part["size"] for part in about["layout"] if part["name"] == "replayed"] == [2 * STEPS]


@pytest.mark.parametrize(
    ("replay", "message"),
    [
        ("a=1,c=1", "--replay = 'c': unknown; known are a, b"),
        ("a=1", "--replay = {'a': 1}: must give every axis; missing are b"),
        ("a=1,b=1e6", "--replay = 'b=1000000.0': must be on the grid, 1 to 100"),
        ("a=x,b=1", "--replay = 'a=x': must be a finite number on the axis a"),
        ("a", "--replay = 'a': must be NAME=VALUE,... such as a=1,b=100"),
    ],
)
def test_view_refuses_a_cell_before_it_runs_one(store, tmp_path, capsys, replay, message):
    page = tmp_path / "page.html"
    words = ["view", str(store), "--no-browser", "--output", str(page)]
    assert cli.main([*words, "--replay", "a=1,b=1", "--replay", replay]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not page.exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(["--mark", "a=1"], "--mark"), (["--x", "c"], "--x = 'c'"), (["--line", "none"], "--line")],
)
def test_view_refuses_other_arguments_before_it_runs_a_cell(
    store, tmp_path, capsys, monkeypatch, wrong, message
):
    monkeypatch.setattr(pj, "replay", lambda *_, **__: pytest.fail("a cell ran"))
    page = tmp_path / "page.html"
    words = ["view", str(store), "--no-browser", "--output", str(page), "--replay", "a=1,b=1"]
    assert cli.main([*words, *wrong]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not page.exists()


def test_view_refuses_a_flow_which_has_no_steps(tmp_path, capsys):
    grid = pj.Grid(a=[1.0, 2.0], b=[1.0, 2.0])
    pj.sweep(PROBLEM, pj.adam_flow, grid, time=1.0, windows=8, store=tmp_path / "s")
    words = ["view", str(tmp_path / "s"), "--no-browser", "--replay", "a=1,b=1"]
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith("error: --replay: adam_flow is a flow, whose steps")
    assert not (tmp_path / "phase_diagram.html").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run.isel(step=slice(64)), "replay = 'a=1,b=100': must be of this sweep"),
        (lambda run: run.assign(loss=2 * run["loss"]), "replay = 'a=1,b=100': must be of this"),
        (lambda run: run.assign_coords(a=3.0), "replay = 'a=3,b=100': must be a cell of the page"),
        (lambda run: run.drop_vars("b"), "must be what phasejax.replay returned, with a, b"),
        (lambda run: run.drop_vars("loss"), "must be what phasejax.replay returned, with a, b"),
    ],
)
def test_a_replay_of_another_sweep_is_refused(dataset, runs, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        pj.write_page(dataset, tmp_path / "page.html", replays=[change(runs[0])])
    assert not (tmp_path / "page.html").exists()


def test_a_replay_of_another_seed_than_the_selected_one_is_refused(dataset, runs, tmp_path):
    seeds = {"seed": {"values": [0, 1], "scale": "linear", "even": True}}
    part = dataset.assign_coords(seed=1).assign_attrs(axes=dataset.attrs["axes"] | seeds)
    pj.write_page(part, tmp_path / "1.html", replays=[runs[0].assign_coords(seed=1)])
    with pytest.raises(ValueError, match="'a=1,b=100,seed=0': must be a cell of the page"):
        pj.write_page(part, tmp_path / "0.html", replays=[runs[0].assign_coords(seed=0)])


def test_too_many_steps_are_refused(dataset, runs, tmp_path, monkeypatch):
    monkeypatch.setattr("phasejax.page.replays.MOST_STEPS", 1_000)
    pj.write_page(dataset, tmp_path / "page.html", replays=[runs[0], runs[0]])  # one cell
    with pytest.raises(ValueError, match="replay steps = 1280: must be at most 1000"):
        pj.write_page(dataset, tmp_path / "page.html", replays=runs)
