import matplotlib.colors
import numpy as np
import pytest

import phasejax as pj
from phasejax.plot.panel import cell_edges
from phasejax.plot.style import COLOURS, HATCH
from phasejax.regimes import NAMES, UNRESOLVED


@pytest.fixture(scope="module")
def dataset():
    values = pj.log_axis(0.3, 300, 7)
    return pj.sweep(
        pj.problems.quadratic(),
        pj.adam,
        pj.Grid(a=values, b=values, learning_rate=1e-3),
        steps=640,
        windows=64,
    )


def test_every_cell_is_drawn_in_the_colour_of_its_regime(dataset):
    dataset = dataset.copy()
    dataset["regime"] = dataset.regime.copy(data=np.arange(49).reshape(7, 7) % 6 - 1)
    figure = pj.phase_diagram(dataset, x="a", y="b")
    mesh = figure.axes[0].collections[0]
    colours = mesh.to_rgba(mesh.get_array()).reshape(7, 7, 4)  # [b, a]
    for i in range(7):
        for j in range(7):
            code = int(dataset.regime[i, j])
            name = "unlabelled" if code < 0 else NAMES[code]
            assert matplotlib.colors.same_color(colours[j, i], COLOURS[name])


def test_unresolved_cells_are_hatched_and_counted():
    """Their number and place: a solver that may try 700 steps."""
    grid = pj.Grid(a=pj.log_axis(1, 100, 4), b=pj.log_axis(1, 100, 3))
    flow = pj.Flow(pj.adam_flow, max_steps=700)
    dataset = pj.sweep(pj.problems.quadratic(), flow, grid, time=5.0, windows=32)
    unresolved = dataset.regime.values == UNRESOLVED
    assert 0 < unresolved.sum() < 12
    axes = pj.phase_diagram(dataset, x="a", y="b").axes[0]
    hatched = next(c for c in axes.collections if c.get_hatch())
    assert hatched.get_hatch() == HATCH
    shown = ~np.ma.getmaskarray(hatched.get_array()).reshape(3, 4)  # [b, a]
    np.testing.assert_array_equal(shown, unresolved.T)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"unresolved  {unresolved.sum()}" in labels
    handle = axes.get_legend().legend_handles[labels.index(f"unresolved  {unresolved.sum()}")]
    assert handle.get_hatch() == HATCH
    assert axes.get_xlabel() == "$a$   (rate of $v$)"
    assert "time 5" in axes.figure.get_suptitle()


def test_a_sweep_without_any_answer_is_drawn_and_told(recwarn):
    grid = pj.Grid(a=[1.0, 2.0], b=[1.0, 2.0])
    flow = pj.Flow(pj.adam_flow, max_steps=10)
    dataset = pj.sweep(pj.problems.quadratic(), flow, grid, time=5.0, windows=32)
    assert pj.regime_counts(dataset)["unresolved"] == 4
    assert len(pj.phase_diagram(dataset, late_loss=True).axes) == 3
    assert "at most 10 of 10" in pj.summary(dataset)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_axes_can_be_exchanged(dataset):
    for x, y in (("a", "b"), ("b", "a")):
        axes = pj.phase_diagram(dataset, x=x, y=y).axes[0]
        assert axes.get_xlabel().startswith(f"${x}$")
        assert axes.get_ylabel().startswith(f"${y}$")
        assert axes.get_xscale() == axes.get_yscale() == "log"


def test_paper_cells_and_diagonal_are_marked(dataset):
    axes = pj.phase_diagram(dataset).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert "(1, 100)" in texts
    assert "(10, 10)" in texts
    assert "(100, 1)" in texts
    assert "$a = b$" in texts
    points = {(float(l.get_xdata()[0]), float(l.get_ydata()[0])) for l in axes.lines}  # noqa: E741
    assert {(1.0, 100.0), (10.0, 10.0), (100.0, 1.0)} <= points


def test_title_says_where_epsilon_is(dataset):
    title = pj.phase_diagram(dataset).get_suptitle()
    assert "ε = 1e-08 outside the root" in title
    assert "η = 0.001" in title


def test_late_loss_is_a_second_panel(dataset):
    figure = pj.phase_diagram(dataset, late_loss=True)
    assert len(figure.axes) == 3  # regimes, late loss, its colour bar
    assert "decades" in figure.axes[2].get_ylabel()


def test_cells_touch_halfway_between_their_values(dataset):
    edges = cell_edges(dataset, "a")
    np.testing.assert_allclose(edges[1:-1] ** 2, dataset.a.values[1:] * dataset.a.values[:-1])
    assert len(edges) == 8


def test_three_axes_need_a_choice(dataset):
    many = dataset.expand_dims(seed=[0, 1])
    with pytest.raises(ValueError, match="select one value of the others"):
        pj.phase_diagram(many)
    with pytest.raises(ValueError, match="x = 'c': unknown"):
        pj.phase_diagram(dataset, x="c")
    with pytest.raises(ValueError, match="y = 'a': must be another axis"):
        pj.phase_diagram(dataset, x="a", y="a")


def linear_luminance(colour):
    """Relative luminance of sRGB (IEC 61966-2-1)."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_regimes_differ_without_any_colour_vision():
    lightness = sorted(np.cbrt(linear_luminance(COLOURS[name])) for name in NAMES)
    assert np.min(np.diff(lightness)) > 0.1
