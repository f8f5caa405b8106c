"""The figures of the gallery: labels, legends, marked cells, and values of curves and lines."""

import itertools
from importlib import import_module
from typing import Any

import matplotlib.colors
import matplotlib.style
import numpy as np
import optax
import pytest
import xarray as xr
import zarr
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

import figures
import phasejax as pj
from figures import (
    __main__,
    central_flow,
    edge_of_stability,
    features,
    flow_validity,
    gallery,
    linearization,
    lyapunov,
    periods,
    phase_diagram,
    recipes,
    rmsprop,
    signgd,
    spike_predictor,
    stability_diagram,
    stability_models,
    steps_and_flows,
    theory_lines,
    three_regimes,
    two_cycle,
)
from phasejax.plot.style import COLOURS
from phasejax.regimes import NAMES

from .drawn import check_figure


@pytest.fixture(autouse=True)
def style():
    """Draw in the style that `python -m figures` uses."""
    with matplotlib.style.context("phasejax.plot.paper"):
        yield


def lines(panel):
    return {line.get_label(): line for line in panel.lines if line.get_label()[0] != "_"}


def legend(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def xy(line):
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def slope(x, y):
    return np.polyfit(x, y, 1)[0]


def test_features_are_steps_of_real_runs(monkeypatch):
    monkeypatch.setattr(features, "STEPS", 1_000)
    monkeypatch.setattr(features, "SWING", slice(900, 960))
    problem = pj.problems.digits(samples=8, hidden=(4,))
    runs = features.compute(problem)
    figure = features.draw(runs)
    check_figure(figure)
    panels = np.array(figure.axes).reshape(2, 3)
    for row, name, (calm, wild) in zip(panels, ("RMSprop", "Adam"), runs, strict=True):
        titles = [panel.get_title().split("\n")[0] for panel in row]
        assert titles == [f"{name}: {f}" for f in ("fast start", "small oscillations", "spikes")]
        steps, loss = xy(row[0].lines[0])
        np.testing.assert_array_equal(steps, np.arange(400))
        assert loss[0] == pytest.approx(float(calm.initial_loss), rel=0.2)
        np.testing.assert_array_equal(loss, calm.loss_max.values[:400])  # a step, not a mean
        assert len(row[1].lines[0].get_xdata()) == 60
        np.testing.assert_array_equal(row[2].lines[0].get_ydata(), wild.loss_mean)
        assert all(panel.get_yscale() == "log" for panel in row)
        assert {panel.get_xlabel() for panel in row} == {"step"}
    assert panels[0, 2].get_title().endswith("a = 0.44, η = 0.00025")
    assert panels[1, 2].get_title().endswith("a = 1, b = 100, η = 0.001")


def test_signgd_flow_is_drawn_under_its_bound():
    figure = signgd.draw(signgd.compute())
    check_figure(figure)
    (panel,) = figure.axes
    bound, flow, adam = (xy(line)[1] for line in panel.lines)
    time = xy(panel.lines[0])[0]
    start = 0.5 * (1.0 + 0.3 * 0.36)
    closed = np.maximum(np.sqrt(start) - np.sqrt(0.6) * time / 2, 0) ** 2
    np.testing.assert_allclose(bound, closed, atol=1e-12)
    assert np.all(flow <= bound + 1e-12)
    assert flow[time > 1.01].max() < 1e-12  # both coordinates are zero after t = 1
    assert np.abs(adam - flow).max() < 0.01
    assert legend(panel)[1:] == ["signGD flow", "Adam, α = 0.9, β = 0.5, η = 0.001"]
    assert legend(panel)[0].endswith(f"zero at t = {2 * np.sqrt(start / 0.6):.2f}")


def test_distances_to_both_limits_have_slope_one():
    figure = steps_and_flows.draw(steps_and_flows.compute((4e-3, 1e-3)))
    check_figure(figure)
    (panel,) = figure.axes
    points = [lines(panel)[name] for name in steps_and_flows.CASES]
    for line in points:
        eta, distance = np.log10(xy(line))
        assert slope(eta, distance) == pytest.approx(1, abs=0.1)
    dashed = [line for line in panel.lines if line.get_linestyle() == "--" and len(xy(line)[0])]
    for line in dashed:
        assert slope(*np.log10(xy(line))) == pytest.approx(1)
    assert legend(panel) == [*steps_and_flows.CASES, "slope one"]


def test_two_cycle_ends_on_half_the_learning_rate():
    figure = two_cycle.draw(two_cycle.compute())
    check_figure(figure)
    left, right = figure.axes
    _, iterates = xy(left.lines[0])
    np.testing.assert_allclose(np.abs(iterates[-10:]), 0.5, atol=0.02)
    assert np.all(iterates[-10:-1] * iterates[-9:] < 0)  # the sign alternates
    assert [xy(line)[1][0] for line in left.lines[1:3]] == [-0.5, 0.5]
    dotted = [line for line in right.lines if line.get_linestyle() == ":" and len(xy(line)[0])]
    for line, alpha in zip(dotted, (0.5, 0.9, 0.98), strict=True):
        k, expected = xy(line)
        assert slope(k, np.log(expected)) == pytest.approx(np.log(alpha) / 2)
    assert legend(right) == ["α = 0.5", "α = 0.9", "α = 0.98", "√α per step, by theory"]


def test_the_flow_meets_its_linearization():
    figure = linearization.draw(linearization.compute())
    check_figure(figure)
    (panel,) = figure.axes
    time, flow = xy(panel.lines[0])
    linear = xy(panel.lines[1])[1]
    assert slope(time, np.log(linear)) == pytest.approx(-3)
    assert slope(time[time > 6], np.log(flow[time > 6])) == pytest.approx(-3, rel=0.01)
    assert legend(panel) == ["RMSprop's flow, |x|", "linearized: rate λ/ε = 3"]


@pytest.fixture(scope="module")
def plane():
    """A plane with the paper's cells among its values, dense and refined."""
    problem = pj.problems.quadratic((1.0, 0.1))
    axis = pj.log_axis(1, 100, 5)
    grid = pj.Grid(a=axis, b=axis, learning_rate=1e-3)
    how: dict[str, Any] = {"steps": 1_280, "windows": 64}
    return pj.sweep(problem, pj.adam, grid, **how), pj.sweep(
        problem, pj.adam, grid, refine=17, **how
    )


def test_three_regimes_are_the_papers_cells(plane):
    dataset, _ = plane
    figure = three_regimes.draw(dataset)
    check_figure(figure)
    panels: list[Any] = figure.axes
    for panel, (a, b) in zip(panels, [(1, 100), (10, 10), (100, 1)], strict=True):
        cell = dataset.sel(a=a, b=b, method="nearest")
        name = NAMES[int(cell.regime)]
        assert panel.get_title() == f"a = {a}, b = {b}: {name}"
        np.testing.assert_allclose(panel.lines[0].get_ydata(), 10**cell.log10_loss_mean)
        band = panel.collections[0].get_paths()[0].vertices
        assert band[:, 1].max() == pytest.approx(float(cell.loss_max.max()))
        face = panel.collections[0].get_facecolor()[0][:3]
        assert matplotlib.colors.same_color(face, COLOURS[name])
        assert (panel.get_xlabel(), panel.get_ylabel()) == ("step", "loss")


def test_phase_diagram_has_cells_border_and_lines(plane):
    dense, refined = plane
    figure = phase_diagram.draw(phase_diagram.Sweeps(refined, dense, 0.123))
    panels: list[Any] = figure.axes
    left, right, bar = panels
    for panel in (left, right):
        marked = {tuple(map(float, (line.get_xdata()[0], line.get_ydata()[0])))
                  for line in panel.lines if line.get_marker() == "o"}  # fmt: skip
        assert marked == {(1.0, 100.0), (10.0, 10.0), (100.0, 1.0)}
        assert panel.get_xlabel().startswith("a ")
        assert panel.get_ylabel().startswith("b ")
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim()
    check_figure(figure)
    a, b = xy(lines(left)["b = 12 a"])
    np.testing.assert_allclose(b, 12 * a)
    a, b = xy(lines(left)["a = b"])
    np.testing.assert_array_equal(a, b)
    counts = pj.regime_counts(refined)
    expected = [f"{name}  {n}" for name, n in counts.items() if n]
    inferred = int((refined.status == 2).sum())
    assert legend(left) == [*expected, f"pale: inferred  {inferred}"]
    assert "rest only where b < 0.1, not on this plane" in right.get_title()
    np.testing.assert_array_equal(
        right.collections[0].get_array().reshape(5, 5), dense.late_level.transpose("b", "a")
    )
    assert "decades" in bar.get_ylabel()


def test_the_border_lies_between_unequal_cells_and_nowhere_else(plane):
    _, refined = plane
    codes = refined.regime.values
    segments = phase_diagram.border_segments(refined, "a", "b")
    pairs = sum(
        int(codes[i, j] != codes[i + di, j + dj])
        for (i, j), (di, dj) in itertools.product(np.ndindex(17, 17), [(1, 0), (0, 1)])
        if i + di < 17 and j + dj < 17
    )
    assert len(segments) == pairs > 0
    axis = refined.a.values
    for (x0, y0), (x1, y1) in segments:
        x, y = np.sqrt(x0 * x1), np.sqrt(y0 * y1)
        step = 1.01 * (axis[1] / axis[0]) ** 0.5
        across = (step, 1) if x0 == x1 else (1, step)
        sides = [
            codes[np.abs(np.log(axis / (x * across[0] ** s))).argmin(),
                  np.abs(np.log(axis / (y * across[1] ** s))).argmin()]
            for s in (-1, 1)
        ]  # fmt: skip
        assert sides[0] != sides[1]


def test_rest_border_is_that_of_the_steepest_direction():
    problem = pj.problems.quadratic((2.0, 0.5))
    border = phase_diagram.rest_border(problem, steps=10)
    assert border == pytest.approx(4 / (1e-3 * (2 + 1e-3 * 2.0 / 1e-8)))


def test_theory_lines_are_at_their_values():
    known = [d.assign_attrs(problem_builtin=d.attrs["problem"]) for d in theory_lines.compute(4)]
    figure = theory_lines.draw(known)
    check_figure(figure)
    rest, fourth, sixth = figure.axes
    _, b = xy(lines(rest)["theory: b = 34"])
    np.testing.assert_allclose(b, float(pj.theory.adam_border(1.0, 1 / 300, 1e-8)))
    a, b = xy(lines(fourth)["theory: a = b"])
    np.testing.assert_allclose(b, a)
    assert set(lines(fourth)) == {"theory: a = b"}  # the same line is not drawn twice
    a, b = xy(lines(sixth)["theory: b = 0.75 a"])
    np.testing.assert_allclose(b, 0.75 * a)
    assert sixth.get_title().startswith("Adam on |x|ᵏ/k, k = 6\nη = 0.001, ε = 0, 60,000 steps")


def test_rmsprop_is_cut_along_a():
    grid = pj.Grid(a=pj.log_axis(0.5, 50, 4), learning_rate=[2.5e-4, 1e-3, 4e-3])
    dataset = pj.sweep(pj.problems.quadratic(), pj.rmsprop, grid, steps=1_280, windows=64)
    figure = rmsprop.draw(dataset)
    check_figure(figure)
    panels: list[Any] = figure.axes
    plane, cut = panels
    assert plane.get_ylabel() == "learning rate η"
    scatters = [c for c in cut.collections if len(c.get_offsets()) == 4]
    for scatter, rate in zip(scatters, (2.5e-4, 1e-3), strict=True):
        row = dataset.sel(learning_rate=rate)
        np.testing.assert_allclose(scatter.get_offsets()[:, 1], row.late_level)
        for face, code in zip(scatter.get_facecolors(), row.regime.values, strict=True):
            assert matplotlib.colors.same_color(face, COLOURS[NAMES[code]])
    assert legend(cut) == ["η = 0.00025", "η = 0.001"]


@pytest.fixture(scope="module")
def two_runs():
    """The runs of two figures, with the probes of both."""
    probes = ("sharpness", "predictor")
    return [edge_of_stability.run([a], [b], 250, probes) for a, b in edge_of_stability.CELLS]


def test_runs_come_to_the_edge_of_stability_when_the_caption_says(two_runs):
    runs = two_runs
    row = xr.concat([run.assign_coords(b=[10.0]) for run in runs], "a", data_vars="all")
    plane = xr.concat([row, row.assign_coords(b=[100.0])], "b", data_vars="all").transpose(
        "a", "b", ...
    )
    plane["regime"].values[:] = [[NAMES.index("spike"), 1], [NAMES.index("divergence"), 4]]
    figure = edge_of_stability.draw(edge_of_stability.Runs(runs, plane))
    check_figure(figure)
    spiky, calm = (pj.mechanism(run.squeeze()) for run in runs)
    assert [spiky.edge_onset, spiky.edge_crossing, calm.edge_onset] == [5_520, 5_920, 1_800]
    assert spiky.spikes_at_edge == runs[0].spike_count == 12
    axes: list[Any] = figure.axes
    loss, ratio, right, _ = axes
    steps, spiky, calm = *xy(ratio.lines[0]), xy(ratio.lines[2])[1]
    after = spiky[steps > 5_900]
    tops = after[1:-1][(after[1:-1] > after[:-2]) & (after[1:-1] > after[2:])]
    lows = after[1:-1][(after[1:-1] < after[:-2]) & (after[1:-1] < after[2:])]
    assert [tops.min().round(2), tops.max().round(2)] == [1.01, 1.04]
    assert lows[0].round(3) == 0.955
    assert 0.8 < lows[-1] < 0.88  # 0.82 here; after some spikes, rounding tells
    assert (calm < 1).all()
    assert 0.87 < calm[steps > 2_400].min() < calm[steps > 2_400].max() < 0.885
    assert xy(loss.lines[0])[1][0] > 1
    onset = pj.mechanism(plane).edge_onset.transpose("b", "a").values
    np.testing.assert_array_equal(right.collections[0].get_array().reshape(2, 2), onset)
    assert legend(right) == ["spike  1", "divergence  1", "never at 0.8"]


def test_digits_spike_where_the_edge_is_reached(two_runs):
    """The ratio climbs from a hundredth to 1, where the first spike begins, and all others."""
    cell = two_runs[0].squeeze()
    found, ratio = pj.mechanism(cell), cell.edge_ratio.values
    assert ratio[0] < 0.02
    assert (np.diff(ratio[: 5_800 // 40]) > 0).all()
    assert 5_800 < found.edge_crossing < 6_000
    until = slice(6_000 // 40, 7_000 // 40)
    assert 0.85 < ratio[until].min() < ratio[until].max() < 1.05
    assert found.spikes_at_edge == found.spikes_announced == cell.spike_count >= 3
    assert found.spikes_missed == 0
    assert found.false_alarms <= 1
    assert found.warning_steps < 40
    assert (cell.sharpness_residual < 1e-3).all()


def test_every_spike_is_announced_by_the_predictor(two_runs):
    cell = two_runs[0].squeeze()
    figure = spike_predictor.draw(cell)
    check_figure(figure)
    found = pj.mechanism(cell)
    assert found.spikes_announced == cell.spike_count == 12
    assert found.spikes_missed == found.false_alarms == 0
    panels = np.array(figure.axes).reshape(3, 2)
    assert panels[0, 0].get_title(loc="left").startswith("12 spikes: 12 announced, 0 missed; 0 f")
    (ticks,) = panels[2, 0].collections
    crossings = np.array([segment[0, 0] for segment in ticks.get_segments()])
    assert len(crossings) >= 12
    assert 5_900 < crossings[0] < 6_000
    assert cell.predictor_max[cell.step < 5_880].max() < 1


def test_chaos_and_rest_are_where_the_lyapunov_figure_shows_them():
    dataset = lyapunov.compute(10)
    figure = lyapunov.draw(dataset)
    check_figure(figure)
    axes: list[Any] = figure.axes
    plane, cut, _ = axes
    border = float(pj.theory.adam_border(1.0, 1 / 300, 1e-8))
    signs = lyapunov.signs(dataset)
    below, left = dataset.b < border, dataset.a < 50
    assert (signs.where(left & (dataset.b > 7) & below, -1) == -1).all()
    assert (signs.where((dataset.a < 20) & ~below & (dataset.b < 70), 1) == 1).all()
    rest = dataset.sel(a=lyapunov.CUT, method="nearest")
    rest = rest.isel(b=(rest.b > 4.2) & (rest.b < border))
    theory = np.maximum(np.log(1 - rest.a / 300), np.log(1 - rest.b / 300) / 2)
    np.testing.assert_array_less(abs(rest.lyapunov_exponent - theory), 2 * rest.lyapunov_error)
    zero = plane.collections[1].get_array().reshape(10, 10)
    np.testing.assert_array_equal(~np.ma.getmaskarray(zero), signs.transpose("b", "a") == 0)
    counts = [int((signs == sign).sum()) for sign in (1, 0, -1)]
    assert [int(text.split()[-1]) for text in legend(plane)] == counts
    assert legend(cut)[0] == "at rest: max(ln α, ½ ln β)"
    _, line = xy(cut.lines[0])
    assert line[-1] == pytest.approx(np.log(1 - border / 300) / 2)


def test_gradient_descent_doubles_its_period_where_theory_says():
    runs = periods.compute(50, steps=2_048)
    figure = periods.draw(runs)
    check_figure(figure)
    cells = runs.periods
    rate, found, exponent = cells.learning_rate, cells.final_period, cells.lyapunov_exponent
    assert (found[rate < 0.97] == 1).all()
    assert (found[(rate > 1.01) & (rate < 5**0.5 - 1)] == 2).all()
    assert (found[(rate > 5**0.5 - 1 + 0.01) & (rate < 1.285)] == 4).all()
    chaotic = (rate > 1.303) & (found == 0)
    assert chaotic.sum() > 20
    assert (exponent[chaotic] > 2 * cells.lyapunov_error[chaotic]).all()
    assert (exponent[(rate > 1.01) & (found > 0)] < 0).all()
    eta = 1.2  # the 2-cycle p, q of w₁ = w₂ has pq = 1/η and p² + q² = 1 + 1/η
    late = runs.losses.sel(learning_rate=eta, method="nearest").loss_max.values[-2:]
    squares = np.roots([1, -(1 + 1 / eta), 1 / eta**2])
    np.testing.assert_allclose(sorted(late), sorted((squares - 1) ** 2 / 2), rtol=1e-6)
    x, loss = (xy(panel.lines[0])[1] for panel in figure.axes[3:])
    np.testing.assert_allclose(x[1:], -x[:-1])
    np.testing.assert_allclose(np.abs(x), 0.5)
    np.testing.assert_allclose(loss, 1 / 8)
    assert figure.axes[3].get_title().startswith("RMSprop on x²/2: period 2")


def test_the_plane_of_networks_has_the_lines_of_both_losses_and_the_safe_border():
    decays = pj.log_axis(0.01, 0.8, 6)
    problem = pj.problems.digits(samples=8, hidden=(4,))
    dataset = pj.sweep(
        problem, pj.adam_decays, pj.Grid(delta=decays, gamma=decays), steps=256, windows=64
    )
    codes = np.full((6, 6), NAMES.index("descending"))
    codes[2, 4:], codes[4, 5] = NAMES.index("spike"), NAMES.index("divergence")
    dataset["regime"] = dataset["regime"].copy(data=codes)
    period = np.full((6, 6), np.nan)
    period[2, 4:], period[4, 5] = (120, 350), 500
    dataset["spike_period"] = dataset["spike_period"].copy(data=period)
    figure = stability_models.draw(dict.fromkeys(stability_models.TITLES, dataset))
    check_figure(figure)
    *panels, bar = figure.axes
    assert bar.get_ylabel() == "steps from spike to spike"
    regimes = len(stability_models.TITLES)
    for panel in panels[regimes:]:  # the cell that diverges has no period
        (mesh,) = panel.collections
        values: Any = mesh.get_array()
        shown = np.ma.filled(values, np.nan)
        np.testing.assert_array_equal(shown, np.where(period == 500, np.nan, period).T)
        assert panel.get_title().endswith(": 2 cells")
    for panel in panels[:regimes]:
        for name, ratio in (("γ = δ / 12", 1 / 12), ("γ = 3.7 δ", 3.7)):
            delta, gamma = xy(lines(panel)[name])
            np.testing.assert_allclose(gamma, ratio * delta)
        border: Any = panel.patches[-1]
        edges = decays.values[0] * (80 ** (1 / 5)) ** (np.array([6, 6, 4, 6, 5, 6]) - 0.5)
        np.testing.assert_allclose(border.get_data().values, edges)
    names = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert names == {"descending", "spike", "divergence", "safe along γ up to here"}


def test_stability_diagram_has_the_lines_of_each_problem():
    """Periods lie in the wedge of spikes of x⁶, and beyond the wall of the quadratic."""
    decays = pj.log_axis(0.01, 0.8, 12)
    how: dict[str, Any] = {"steps": 20_000, "probes": [pj.probes.SpikePredictor(sustained=1)]}
    planes = {
        name: pj.sweep(
            problem,
            pj.adam_decays,
            pj.Grid(delta=decays, gamma=decays, learning_rate=1e-3, eps=eps),
            **how,
        )
        for name, problem, eps in (
            ("power_6", pj.problems.power(6), 0.0),
            ("quadratic_1e-3", pj.problems.quadratic((1.0,), (1.0,)), 1e-8),
        )
    }
    figure = stability_diagram.draw(planes)
    check_figure(figure)
    power, power_period, quadratic = figure.axes[:3]
    exact, upper, wall = stability_diagram.STYLES
    delta, gamma = xy(lines(power)[exact])
    np.testing.assert_allclose(gamma, pj.theory.power_decay_border(delta, 6))
    delta, gamma = xy(lines(power_period)[upper])
    np.testing.assert_allclose(gamma, pj.theory.power_spike_line(delta, 6))
    delta, gamma = xy(lines(quadratic)[wall])
    np.testing.assert_allclose(gamma, pj.theory.quadratic_wall(delta))
    names = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert set(stability_diagram.STYLES) < set(names)
    step = (0.8 / 0.01) ** (1 / 11)  # of the axes: borders are met to within a cell
    delta, gamma = np.meshgrid(decays.values, decays.values, indexing="ij")
    periodic = np.isfinite(planes["power_6"]["crossing_period"].values)
    assert periodic.sum() > 10
    assert (gamma > pj.theory.power_decay_border(delta, 6) / step)[periodic].all()
    assert (gamma < pj.theory.power_spike_line(delta, 6) * step)[periodic].all()
    periodic = np.isfinite(planes["quadratic_1e-3"]["crossing_period"].values)
    assert periodic.sum() > 20
    assert (delta * step**1.5 > (gamma / 15.6) ** (1 / 3.07))[periodic].all()


def test_the_gallery_has_all_captions_and_those_of_the_slides_cite_the_paper():
    assert gallery.GALLERY.read_text() == gallery.gallery(), "run `make figures`"
    for name in figures.ORDER:
        assert (gallery.FOLDER / f"{name}.png").exists()
    for name in figures.SLIDES:
        assert "Ma, Wu and E (2021)" in import_module(f"figures.{name}").CAPTION


def test_a_figure_is_drawn_by_name_as_png_and_pdf(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(__main__, "FOLDER", tmp_path)
    monkeypatch.setattr(__main__, "GALLERY", tmp_path / "gallery.md")
    monkeypatch.setattr("sys.argv", ["figures", "linearization"])
    __main__.main()
    with Image.open(tmp_path / "linearization.png") as picture:
        assert isinstance(picture, PngImageFile)
        assert picture.text["Title"] == linearization.TITLE
        assert "Ma, Wu and E (2021)" in picture.text["Description"]
    assert (tmp_path / "linearization.pdf").read_bytes().startswith(b"%PDF")
    assert "linearization.png and .pdf" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["figures", "nothing"])
    with pytest.raises(SystemExit):
        __main__.main()
    assert "NAME = ['nothing']: must be among features" in capsys.readouterr().err


RECIPE = """
import shutil
shutil.copytree("made.zarr", "out/s.zarr", dirs_exist_ok=True)
open("runs", "a").write("x")
"""


def test_a_recipe_runs_if_its_store_is_not_complete(monkeypatch, tmp_path, small):
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    pj.sweep(**small, store=tmp_path / "made.zarr")
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "recipe.py").write_text(RECIPE)
    assert recipes.found("s.zarr", "recipe.py").regime.size == 12
    assert recipes.found("s.zarr", "recipe.py").regime.size == 12
    assert (tmp_path / "runs").read_text() == "x"
    zarr.open_array(tmp_path / "out/s.zarr/status", mode="r+")[0, 0] = 0
    recipes.found("s.zarr", "recipe.py")
    assert (tmp_path / "runs").read_text() == "xx"


def test_the_variance_of_an_alternation_is_measured_around_a_mean_that_moves():
    step = np.arange(central_flow.STEPS)
    half = [np.array([0.3, -0.4]), np.array([[1.2]])]
    moving = [h * (-1.0) ** step[:, None] + 0.01 * step[:, None] for h in (half[0], half[1][0])]
    np.testing.assert_allclose(central_flow.variance(moving), 0.3**2 + 0.4**2 + 1.2**2, rtol=5e-3)


def test_the_map_of_flows_shows_for_how_long_each_follows():
    rng = np.random.default_rng(0)
    grid = pj.Grid(a=pj.log_axis(1, 100, 3), b=pj.log_axis(1, 50, 2), learning_rate=1e-2)
    axes = pj.sweep(pj.problems.quadratic(), pj.adam, grid, steps=64, windows=8)[["a", "b"]]
    until = rng.integers(0, 21, (3, 3, 2)) * 100
    compared = axes.assign(
        flow_edge_ratio=(("a", "b", "window"), rng.uniform(0.01, 1, (3, 2, 8))),
        follows_until=(("flow", "a", "b"), until),
    ).assign_coords(flow=["stable", "central", "rod"])
    planes = flow_validity.Planes(compared, compared.isel(b=0, drop=True))
    figure = flow_validity.draw(planes)
    check_figure(figure)
    panels = figure.axes[: 2 * len(flow_validity.PANELS)]
    rows, maps = np.split(np.array(panels), 2)
    for row, panel, name in zip(rows, maps, flow_validity.PANELS, strict=True):
        expected = (
            compared.flow_edge_ratio.max("window")
            if name == "edge"
            else compared.follows_until.sel(flow=name)
        ).transpose("b", "a")
        shown = [np.reshape(p.collections[0].get_array(), (-1, 3)) for p in (panel, row)]
        np.testing.assert_array_equal(shown[0], expected)
        np.testing.assert_array_equal(shown[1], expected[:1])
        assert panel.get_xscale() == panel.get_yscale() == "log"


def test_the_figure_of_central_flows_has_a_column_for_each_optimizer():
    """From short runs on a small problem, whose curves are those of the panels."""
    problem = pj.problems.deep_linear(3, (1.0, 0.5))
    grid = pj.Grid(learning_rate=[0.3])
    run: dict[str, Any] = {"steps": 200, "windows": central_flow.WINDOWS, "block_size": 1}
    discrete = pj.sweep(problem, optax.sgd, grid, probes=["sharpness"], **run).squeeze()
    stable = pj.sweep(problem, pj.stable_flow(optax.sgd), grid, **run).squeeze()
    spread = np.geomspace(1e-5, 1e-3, central_flow.WINDOWS)
    column = central_flow.Column(discrete, spread, dict.fromkeys(central_flow.FLOWS, stable))
    figure = central_flow.draw([column] * len(central_flow.CASES))
    check_figure(figure)
    loss, ratio, variance = figure.axes[:: len(central_flow.CASES)]
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), discrete.loss_mean)
    np.testing.assert_array_equal(loss.lines[-1].get_ydata(), stable.loss_mean)
    np.testing.assert_array_equal(ratio.lines[0].get_ydata(), discrete.edge_ratio)
    np.testing.assert_array_equal(variance.lines[0].get_ydata(), spread)
