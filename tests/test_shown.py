"""What probes measured is shown: in a sentence, as maps, and on the page."""

import json
import re
from typing import Any

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize

import phasejax as pj
from phasejax import cli
from phasejax.page import probes
from phasejax.page.pack import pack_probes
from phasejax.page.probes import carried
from phasejax.regimes.explain import explain
from phasejax.results.axes import cell_edges

from .drawn import check_figure
from .opened import SCREENSHOT, Page


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A sweep with spikes, at the edge of stability and far from it."""
    path = tmp_path_factory.mktemp("shown") / "s.zarr"
    values = pj.log_axis(0.3, 300, 5)
    grid = pj.Grid(a=values, b=values, learning_rate=1e-3)
    given = {"steps": 4_096, "windows": 128, "probes": ["sharpness", "predictor", "lyapunov"]}
    pj.sweep(pj.problems.quadratic(), pj.adam, grid, **given, store=path)
    return path


@pytest.fixture(scope="module")
def dataset(store):
    return pj.open_dataset(store)


@pytest.fixture(scope="module")
def plain(dataset):
    """The same sweep without probes."""
    return dataset.drop_vars(dataset.attrs["measured"]).assign_attrs(measured=[])


NEVER = {"edge_onset": np.nan, "edge_crossing": np.nan, "edge_peak": 0.31, "edge_late": 0.2}
NEAR = NEVER | {"edge_onset": 1796.0, "edge_peak": 0.93, "edge_late": 0.88}
AT = NEAR | {"edge_crossing": 5859.0, "spikes_at_edge": 31.0}
FORETOLD = {"spikes_missed": 0.0, "false_alarms": 1.0, "warning_steps": 5.0}
SILENT = FORETOLD | {"false_alarms": 0.0, "warning_steps": np.nan}


@pytest.mark.parametrize(
    ("spikes", "crossings", "numbers", "text"),
    [
        (0, 0, NEVER, "never came near the edge of stability (at most 0.31 of it)"),
        (
            0,
            0,
            NEAR,
            "came to 0.8 of the edge of stability at step 1,796 and was at 0.88 of it late in the "
            "run",
        ),
        (
            31,
            32,
            AT | FORETOLD,
            "reached the edge of stability at step 5,859; 31 of 31 spikes began there; 31 of 32 "
            "crossings of the spike predictor announced a spike, 5 steps ahead",
        ),
        (
            0,
            0,
            AT,
            "reached the edge of stability at step 5,859 and was at 0.88 of it late in the run",
        ),
        (
            1,
            0,
            SILENT | {"spikes_missed": 1.0},
            "the spike predictor never crossed its threshold; 1 spike came without a crossing",
        ),
        (2, 0, {name: np.nan for name in AT | FORETOLD}, "not measured"),
    ],
)
def test_a_sentence_says_what_the_mechanism_was(spikes, crossings, numbers, text):
    cell = xr.Dataset({"spike_count": float(spikes), "loss_max": ("window", [1.0, 0.1])})
    numbers = {"spikes_at_edge": 0.0} | numbers if "edge_peak" in numbers else numbers
    numbers = {"crossings": float(crossings)} | numbers
    assert explain(cell, xr.Dataset(numbers)) == text


def test_a_cell_has_its_mechanism_and_the_numbers_of_probes(store, dataset, capsys):
    numbers = pj.mechanism(dataset)
    spiking = dataset.spike_count.where(numbers.spikes_announced > 0)
    i, j = np.unravel_index(spiking.fillna(0).values.argmax(), spiking.shape)
    at = {"a": float(dataset.a[i]), "b": float(dataset.b[j])}
    cell, here = pj.cell(dataset, at), numbers.isel(a=i, b=j)
    sentence = cell["mechanism"]
    assert sentence.startswith(f"reached the edge of stability at step {here.edge_crossing:,.0f}; ")
    assert "of the spike predictor announced a spike" in sentence
    assert {str(name): cell[str(name)] for name in numbers} == pytest.approx(
        {str(name): float(here[name]) for name in numbers}, nan_ok=True
    )
    assert cell["lyapunov_exponent"] == float(dataset.lyapunov_exponent[i, j])
    assert "edge_ratio" not in cell  # has a value per window
    where = f"a={at['a']},b={at['b']}"
    assert cli.main(["info", str(store), "--at", where]) == 0
    assert f"mechanism            {sentence}\n" in capsys.readouterr().out
    assert cli.main(["info", str(store), "--at", where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mechanism"] == sentence


def test_a_cell_without_probes_has_no_mechanism(plain):
    cell = pj.cell(plain, {"a": 1, "b": 1})
    assert "mechanism" not in cell
    assert list(cell)[-1] == "spike_height"


def drawn(figure):
    """The cells of a map `[y, x]`, its colour map's name and norm, and the label of its bar."""
    panel, bar = figure.axes
    mesh: Any = panel.collections[0]
    return mesh.get_array(), mesh.get_cmap().name, mesh.norm, " ".join(bar.get_ylabel().split())


@pytest.mark.parametrize(
    ("name", "colours", "middle"),
    [
        ("edge_ratio", "RdBu_r", 1),
        ("predictor_max", "RdBu_r", 1),
        ("lyapunov_exponent", "RdBu_r", 0),
        ("sharpness", "viridis", None),
        ("edge_crossing", "viridis", None),
        ("late_level", "viridis", None),
    ],
)
def test_any_variable_is_drawn_over_the_plane(dataset, name, colours, middle):
    figure = pj.variable_map(dataset, name)
    check_figure(figure)
    shown, cmap, norm, label = drawn(figure)
    source = pj.mechanism(dataset) if name not in dataset else dataset
    values = source[name]
    assert values.attrs["long_name"].replace("log10", r"$\log_{10}$") in label
    if "window" in values.dims:
        values = values.isel(window=slice(-32, None)).median("window")
        assert "late median" in label
    expected = np.clip(values.values.T, norm.vmin, norm.vmax)  # [b, a]
    np.testing.assert_array_equal(np.ma.filled(shown, np.nan), expected)
    assert cmap == colours
    if middle is not None:
        assert (norm.vmin + norm.vmax) / 2 == pytest.approx(middle, abs=1e-12)
    assert isinstance(norm, LogNorm) == (name == "sharpness")
    legend: Any = figure.axes[0].get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    missing = int(values.isnull().sum())
    assert texts == ["border between regimes", *[f"no value  {missing}"] * (missing > 0)]


def test_borders_lie_between_cells_of_different_regimes(dataset):
    codes = np.zeros((5, 5), np.int8)
    codes[2, 3] = 1
    figure = pj.variable_map(dataset.assign(regime=(("a", "b"), codes)), "margin")
    lines = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    left, right = cell_edges(dataset, "a")[2:4]
    low, high = cell_edges(dataset, "b")[3:5]
    corners = {(left, low), (left, high), (right, low), (right, high)}
    for line in lines:
        assert len(line.get_segments()) == 4
        assert {tuple(point) for segment in line.get_segments() for point in segment} == corners


def test_a_wrong_variable_is_refused_by_the_nearest_name(dataset, plain):
    with pytest.raises(ValueError, match=r"^variable = 'edge_ration': .* mean 'edge_ratio'\?"):
        pj.variable_map(dataset, "edge_ration")
    with pytest.raises(ValueError, match="did you mean 'edge_crossing'"):
        pj.variable_map(dataset, "edge_crosing")
    for name in ("regime", "edge_crossing"):
        with pytest.raises(ValueError, match=f"^variable = '{name}': unknown; did you mean '"):
            pj.variable_map(plain, name)


def test_plot_draws_a_variable(store, capsys, tmp_path):
    assert cli.main(["plot", str(store), "--variable", "edge_ratio"]) == 0
    assert (store.parent / "edge_ratio.png").read_bytes().startswith(b"\x89PNG")
    output = ["--output", str(tmp_path / "p.png")]
    capsys.readouterr()
    assert cli.main(["plot", str(store), "--variable", "../sharpnes", *output]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --variable = '../sharpnes': unknown; did you mean 'sharpness'?")
    assert error.count("\n") == 1
    assert cli.main(["plot", str(store), "--variable", "margin", "--late-loss", *output]) == 2
    assert "--variable = 'margin': must be given without" in capsys.readouterr().err
    assert not (tmp_path / "p.png").exists()


@pytest.fixture(scope="module")
def page(browser, dataset, store):
    """The page of the sweep, with two open cells; fails after a message or a request."""
    marks = [{"a": 10, "b": 300}, {"a": 0.3, "b": 0.3}]
    page = Page(browser, pj.write_page(dataset, store.with_name("page.html"), marks=marks))
    yield page
    assert page.said == []
    assert page.asked == [page.url]
    page.tab.close()


BELOW = "const below = Bokeh.documents[0].roots()[5], above = Bokeh.documents[0].roots()[1];"
THRESHOLD = "below.center.filter(p => p.type === 'Span' && p.visible).map(p => p.location)"


def test_the_page_shows_what_probes_measured_below_the_losses(page, dataset):
    cells = dataset.sel(a=[10, 0.3], b=[300, 0.3], method="nearest").load()
    page.tab.screenshot(path=SCREENSHOT.with_name("probes.png"))
    for i in range(2):
        drawn = page.curve(5 + i)
        np.testing.assert_allclose(drawn["t"], dataset.step.values + 16)  # middles of 32 steps
        ratio = cells.edge_ratio.isel(a=i, b=i)
        np.testing.assert_allclose(drawn["value"], ratio, rtol=2e-3, atol=1e-9)
    shared, threshold, start, end = page.tab.evaluate(
        f"() => {{ {BELOW} return [below.x_range === above.x_range, {THRESHOLD}, "
        "below.y_range.start, below.y_range.end]; }"
    )
    assert (shared, threshold) == (True, [1])
    assert start < 0 < 1 < end
    page.tab.select_option("#probe", label="sharpness: " + dataset.sharpness.attrs["long_name"])
    expected = np.log10(cells.sharpness.isel(a=0, b=0))
    np.testing.assert_allclose(page.curve(5)["value"], expected, atol=2e-3)
    label, threshold = page.tab.evaluate(
        f"() => {{ {BELOW} return [below.left[0].axis_label, {THRESHOLD}]; }}"
    )
    assert (label, threshold) == ("log₁₀ sharpness", [])


def test_the_plane_of_the_page_is_coloured_by_a_probe(page, dataset):
    cell = dataset.isel(a=3, b=1)
    numbers = pj.mechanism(dataset)
    scales = {
        "probe edge_ratio": ("RdBu_r", float(cell.edge_ratio[-32:].median()), Normalize(0, 2)),
        "probe sharpness": ("viridis", float(cell.sharpness[-32:].median()), None),
        "mechanism edge_peak": ("RdBu_r", float(numbers.edge_peak[3, 1]), Normalize(0, 2)),
    }
    for key, (name, value, norm) in scales.items():
        page.tab.select_option("#map", key)
        norm = norm or drawn(pj.variable_map(dataset, key.split()[1]))[2]
        expected = matplotlib.colormaps[name](norm(value))[:3]
        np.testing.assert_allclose(page.colour(float(cell.a), float(cell.b)), expected, atol=0.03)
    page.tab.select_option("#map", "mechanism edge_crossing")
    assert np.isnan(numbers.edge_crossing[0, 1].item())
    grey = page.colour(float(dataset.a[0]), float(dataset.b[1]))
    np.testing.assert_allclose(grey, [0xEC / 255] * 3, atol=0.02)


def test_a_page_without_probes_has_nothing_of_them(plain, tmp_path):
    text = pj.write_page(plain, tmp_path / "plain.html").read_text()
    assert 'id="probe"' not in text
    assert "function probePanels" not in text
    about = json.loads(re.findall(r'id="about">(.*?)</script>', text)[0])
    assert not {"scales", "probes"} & set(about)
    assert not [part for part in about["layout"] if "probe" in part["name"]]


def test_a_page_is_written_while_the_sweep_runs(dataset, tmp_path):
    """Cells that are not there yet have neither a curve nor a value."""
    running = dataset.load().copy(deep=True)
    running.status[1, 2] = 0
    for name, values in running.items():
        if values.dtype.kind == "f" and set(values.dims) >= {"a", "b"}:
            running[name][1, 2] = np.nan
    text = pj.write_page(running, tmp_path / "page.html").read_text()
    assert "24 of 25 cells computed so far" in text


def decoded(curves, units, shape):
    """The values that a page shows."""
    codes = curves.low.astype(np.int64) | (curves.high.astype(np.int64) << 8)
    steps = ((codes >> 1) ^ -(codes & 1)).reshape(len(units), shape, -1)
    values = np.cumsum(steps, axis=-1).astype(np.int16)
    shown = np.sinh(values * (curves.resolution * np.log(10)))
    shown *= np.array(list(units.values()))[:, None, None]
    special = {-32768: np.nan, -32767: -np.inf, 32767: np.inf}
    for code, value in special.items():
        shown = np.where(values == code, value, shown)
    return shown


def test_probes_of_any_sign_and_size_fit_a_page():
    rng = np.random.default_rng(0)
    values = 10.0 ** rng.uniform(-9, 9, (30, 40)) * rng.choice([-1, 1], (30, 40))
    values[0, :4] = np.nan, np.inf, -np.inf, 0
    curves, units = pack_probes({"any": values})
    assert (curves.resolution, curves.merged) == (0.001, 1)
    unit = units["any"]
    np.testing.assert_allclose(decoded(curves, units, 30)[0], values, rtol=1.3e-3, atol=2e-3 * unit)
    assert unit < 1e-8
    two = {"one_min": values, "one_max": values}
    curves, units = pack_probes(two, most=1_200)
    assert curves.merged == 2
    pairs = values[1:].reshape(29, 20, 2)
    low, high = decoded(curves, units, 30)[:, 1:]
    np.testing.assert_allclose(low, pairs.min(-1), rtol=1.3e-3, atol=2e-3 * unit)
    np.testing.assert_allclose(high, pairs.max(-1), rtol=1.3e-3, atol=2e-3 * unit)


def test_a_large_page_carries_fewer_variables(dataset, plain, monkeypatch):
    computed = np.ones(25, bool)
    every = carried(dataset.load(), computed).probes["variables"]
    names = [variable["name"].replace(" ", "_") for variable in every]
    assert names[:3] == ["edge_ratio", "predictor_max", "growth_rate"]
    assert set(names) == {name for name in dataset if "window" in dataset[name].dims} - set(plain)
    monkeypatch.setattr(probes, "MOST_CURVES", 60)
    assert carried(dataset, computed).probes["variables"] == every[:2]
