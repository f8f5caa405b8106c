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
    assert axes.get_xlabel() == "a   (rate of v)"
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
        assert axes.get_xlabel().startswith(f"{x}   (")
        assert axes.get_ylabel().startswith(f"{y}   (")
        assert axes.get_xscale() == axes.get_yscale() == "log"


def test_paper_cells_and_diagonal_are_marked(dataset):
    axes = pj.phase_diagram(dataset).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert "(1, 100)" in texts
    assert "(10, 10)" in texts
    assert "(100, 1)" in texts
    assert "a = b" in texts
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


@pytest.fixture(scope="module")
def slices():
    """A plane at three learning rates and two seeds."""
    values = pj.log_axis(0.3, 300, 5)
    return pj.sweep(
        pj.problems.quadratic((1.0, 0.1)),
        pj.adam,
        pj.Grid(learning_rate=[1e-4, 1e-3, 3e-3], a=values, b=values, seed=[0, 1]),
        steps=640,
        windows=64,
    )


def test_small_multiples_are_the_slices_in_order(slices):
    figure = pj.small_multiples(slices.sel(seed=1), "learning_rate", x="b")
    assert [panel.get_title() for panel in figure.axes] == ["η = 0.0001", "η = 0.001", "η = 0.003"]
    for i, panel in enumerate(figure.axes):
        mesh = panel.collections[0]
        colours = mesh.to_rgba(mesh.get_array()).reshape(5, 5, 4)  # [a, b]
        for (j, k), code in np.ndenumerate(slices.regime.sel(seed=1).values[i]):
            assert matplotlib.colors.same_color(colours[j, k], COLOURS[NAMES[code]])
    assert figure.axes[0].get_ylabel().startswith("a   (")
    assert figure.axes[1].get_ylabel() == ""
    assert figure.axes[1].get_xlabel().startswith("b   (")
    counts = pj.regime_counts(slices.sel(seed=1))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [f"{name}  {n}" for name, n in counts.items() if n]
    with pytest.raises(ValueError, match="over = 'eps': unknown"):
        pj.small_multiples(slices, "eps")
    with pytest.raises(ValueError, match=r"dataset axes = .*'a', 'b', 'seed'.*: must be two"):
        pj.small_multiples(slices, "learning_rate")


def test_probabilities_are_drawn_as_they_are(slices):
    dataset = slices.sel(learning_rate=1e-3)
    figure = pj.probability_diagram(dataset)
    chances = pj.regime_probabilities(dataset)
    panels = [axes for axes in figure.axes if axes.get_title()]
    for panel in panels[:-1]:
        name = panel.get_title().split(":")[0]
        expected = chances.probability.sel(label=name).transpose("b", "a").values
        drawn = panel.collections[0].get_array().reshape(5, 5)
        np.testing.assert_array_equal(drawn, expected)
        assert f"{expected.mean():.0%}" in panel.get_title()
    assert panels[-1].get_title() == "entropy of the regime"
    drawn = panels[-1].collections[0].get_array().reshape(5, 5)
    np.testing.assert_array_equal(drawn, chances.entropy.transpose("b", "a").values)
    assert "2 values of seed" in figure.get_suptitle()


def test_inferred_cells_are_pale_and_told():
    """White lies over them, and over no other."""
    axis = pj.log_axis(0.3, 300, 5)
    dataset = pj.sweep(
        pj.problems.quadratic(), pj.adam, pj.Grid(a=axis, b=axis), steps=640, windows=64, refine=33
    )
    figure = pj.phase_diagram(dataset, late_loss=True)
    pale = next(c for c in figure.axes[0].collections if c.get_alpha())
    shown = ~np.ma.getmaskarray(pale.get_array()).reshape(33, 33)
    inferred = dataset.status.transpose("b", "a").values == 2
    assert 0 < inferred.sum() < inferred.size
    np.testing.assert_array_equal(shown, inferred)
    computed = inferred.size - inferred.sum()
    told = f"{computed:,} of 1,089 cells computed, the pale ones inferred"
    assert figure.get_suptitle().endswith(told)


def test_mini_batches_are_in_the_title():
    problem = pj.problems.digits(samples=16, hidden=(4,), batch_size=4)
    grid = pj.Grid(a=[1.0, 10.0], b=[1.0, 10.0])
    dataset = pj.sweep(problem, pj.adam, grid, steps=64, windows=8)
    assert "batches of 4, 64 steps" in pj.phase_diagram(dataset).get_suptitle()


def drawn_lines(panel):
    return {line.get_label(): line for line in panel.lines if line.get_linestyle() == "--"}


def test_what_theory_knows_of_a_problem_is_drawn_over_it():
    """Adam rests on a quadratic below a b of theory; on x⁴/4 it converges above b = a."""
    axis = pj.log_axis(1, 100, 3)
    epsilon = {"eps": 0.0, "eps_root": 1e-8}
    quadratic = pj.sweep(
        pj.problems.quadratic((1.0, 0.1)),
        pj.adam,
        pj.Grid(a=axis, b=axis, learning_rate=1 / 300, **epsilon),
        steps=64,
        windows=8,
    )
    border = float(pj.theory.adam_border(1.0, 1 / 300, 1e-8))
    line = drawn_lines(pj.phase_diagram(quadratic).axes[0])[f"theory: b = {border:.3g}"]
    np.testing.assert_array_equal(line.get_ydata(), border)
    assert (min(line.get_xdata()), max(line.get_xdata())) == pytest.approx((1, 100))
    exchanged = drawn_lines(pj.phase_diagram(quadratic, x="b").axes[0])
    np.testing.assert_array_equal(exchanged[f"theory: b = {border:.3g}"].get_xdata(), border)

    grid = pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=0.0)
    power = pj.sweep(pj.problems.power(6), pj.adam, grid, steps=64, windows=8)
    line = drawn_lines(pj.phase_diagram(power).axes[0])["theory: b = 0.75 a"]
    np.testing.assert_allclose(line.get_ydata(), pj.theory.power_border(line.get_xdata(), 6))


def test_lines_of_a_user_are_drawn_where_they_are_inside(dataset):
    lines = {"b = 12 a": lambda a: 12 * a, "far": lambda a: 1e6 * a, "b = 3": lambda a: 3.0}
    figure = pj.phase_diagram(dataset, lines=lines)
    drawn = drawn_lines(figure.axes[0])
    assert set(drawn) == {"a = b", "b = 12 a", "b = 3"}
    np.testing.assert_allclose(drawn["b = 12 a"].get_ydata(), 12 * drawn["b = 12 a"].get_xdata())
    assert max(drawn["b = 12 a"].get_ydata()) <= 300
    assert "b = 12 a" in [text.get_text() for text in figure.axes[0].texts]
    with pytest.raises(ValueError, match=r"lines\['b'\] = \(2,\): must be one number for each"):
        pj.phase_diagram(dataset, lines={"b": lambda a: a[:2]})
