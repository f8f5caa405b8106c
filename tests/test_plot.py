import copy
from typing import Any

import matplotlib.colors
import matplotlib.text
import numpy as np
import pytest
import xarray as xr

import phasejax as pj
from phasejax import cli
from phasejax.plot.formula import read_line
from phasejax.plot.style import COLOURS, HATCH
from phasejax.regimes import NAMES, UNRESOLVED
from phasejax.results.axes import cell_edges

from .drawn import check_figure


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
    mesh: Any = figure.axes[0].collections[0]
    colours = mesh.to_rgba(mesh.get_array()).reshape(7, 7, 4)  # [b, a]
    for i in range(7):
        for j in range(7):
            code = int(dataset.regime[i, j])
            name = "unlabelled" if code < 0 else NAMES[code]
            assert matplotlib.colors.same_color(colours[j, i], COLOURS[name])


def test_unresolved_cells_are_hatched_and_counted():
    """A solver with at most 700 steps leaves some cells unresolved."""
    grid = pj.Grid(a=pj.log_axis(1, 100, 4), b=pj.log_axis(1, 100, 3))
    flow = pj.Flow(pj.adam_flow, solver="tsit5", max_steps=700)
    dataset = pj.sweep(pj.problems.quadratic(), flow, grid, time=5.0, windows=32)
    unresolved = dataset.regime.values == UNRESOLVED
    assert 0 < unresolved.sum() < 12
    axes: Any = pj.phase_diagram(dataset, x="a", y="b").axes[0]
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


def test_a_sweep_of_unresolved_cells_is_drawn_and_summarized(recwarn):
    grid = pj.Grid(a=[1.0, 2.0], eps=[1e-3, 1e-2])
    flow = pj.Flow(pj.rmsprop_flow, max_steps=10, solver="bosh3")
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


PAPER = {(1.0, 100.0), (10.0, 10.0), (100.0, 1.0)}


def marked(figure):
    """Coordinates of the circles on each panel of a plane."""
    return [
        {(float(line.get_xdata()[0]), float(line.get_ydata()[0]))
         for line in panel.lines if line.get_marker() == "o"}
        for panel in figure.axes if panel.get_label() != "<colorbar>"
    ]  # fmt: skip


DRAWN = {
    "phase_diagram": lambda d, **how: pj.phase_diagram(d, late_loss=True, **how),
    "comparison": lambda d, **how: pj.comparison(d, d, **how),
    "small_multiples": lambda d, **how: pj.small_multiples(d.expand_dims(seed=[0]), "seed", **how),
    "probability_diagram": lambda d, **how: pj.probability_diagram(d.expand_dims(seed=[0]), **how),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_marks_default_to_the_papers_cells_on_the_papers_plane_only(draw, dataset):
    paper = dataset.assign_attrs(problem_builtin="digits")
    others = [
        dataset,
        dataset.assign_attrs(
            problem="digits", problem_builtin=""
        ),  # the user's own problem of that name
        paper.assign_attrs(optimizer_module="mine"),
        paper.assign_attrs(fixed=paper.attrs["fixed"] | {"learning_rate": 3e-3}),
    ]
    assert all(places == PAPER for places in marked(draw(paper)))
    for other in others:
        assert all(places == set() for places in marked(draw(other)))
    assert all(places == set() for places in marked(draw(paper, marks=())))
    asked = draw(dataset, marks=[{"a": 3, "b": 30}, {"b": 1e6, "a": 3}], lines=["b = 12 a"])
    assert all(places == {(3.0, 30.0)} for places in marked(asked))
    for panel in asked.axes:
        if panel.get_label() != "<colorbar>":
            assert {"(3, 30)", "b = 12 a"} <= {text.get_text() for text in panel.texts}
    with pytest.raises(ValueError, match=r"mark = 'a=3': must be a=\.\.\.,b=\.\.\."):
        draw(dataset, marks=[{"a": 3}])
    with pytest.raises(ValueError, match="mark = 'b=nan': must be a finite number"):
        draw(dataset, marks=[{"a": 3, "b": float("nan")}])


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_figures_are_complete(draw, dataset):
    """All regimes occur; nothing is cut off or overlaps, and everything has a name."""
    everything = np.arange(49).reshape(7, 7) % 7 - 1
    shown = dataset.assign(regime=dataset.regime.copy(data=everything))
    more = {"weight_decay": 0.01, "b1": 0.9, "nesterov": True, "mask": "models.heads", "none": None}
    more |= {"masked": "x" * 90 + ".end"}
    long = {f"argument_{i}": f"package.module.function_{i}" for i in range(4)}
    attrs = {"fixed": shown.attrs["fixed"] | more | long}
    figure = draw(shown.assign_attrs(attrs), lines=["b = a/9", "b = 9/a", "a = 5", "b = 1e9 a"])
    check_figure(figure)
    for panel in figure.axes:
        assert "b = 1e9 a" not in {text.get_text() for text in panel.texts}
    titles = figure.get_suptitle() or figure.axes[0].get_title()
    titles = " ".join(titles.split())
    for told in ("weight decay = 0.01", "b1 = 0.9", "nesterov = True", "mask = models.heads",
                 "argument 3 = package.module.function_3", "xxx.end", "η = 0.001"):  # fmt: skip
        assert told in titles
    assert "None" not in titles


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_axes_are_drawn_in_order(draw, dataset):
    """A sweep keeps the given order of values, [10, 1, 100]; a figure sorts them."""
    shown = dataset.assign(regime=dataset.regime.copy(data=np.arange(49).reshape(7, 7) % 5))
    mixed = shown.isel(a=[3, 0, 6, 1, 2, 5, 4], b=slice(None, None, -1))
    for panel, expected in zip(draw(mixed).axes, draw(shown).axes, strict=True):
        assert panel.get_xlim() == expected.get_xlim()
        assert panel.get_ylim() == expected.get_ylim()
        for one, other in zip(panel.collections, expected.collections, strict=True):
            np.testing.assert_array_equal(one.get_array(), other.get_array())


def test_selected_values_are_in_the_title(slices):
    title = pj.phase_diagram(slices.sel(seed=1, learning_rate=3e-3)).get_suptitle()
    assert "seed = 1" in title
    assert "η = 0.003" in title
    assert (
        "seed = 5"
        in pj.phase_diagram(
            slices.sel(seed=1, learning_rate=3e-3, drop=True).assign_attrs(
                axes={name: slices.attrs["axes"][name] for name in "ab"}, seeds=[5]
            )
        ).get_suptitle()
    )


def test_the_title_names_only_the_epsilon_in_use(dataset):
    """If both are zero, one is named; the position of optax's `eps` is not known."""

    def title(module="phasejax.dynamics.adam", **fixed):
        attrs = {"optimizer_module": module, "fixed": fixed}
        return pj.phase_diagram(dataset.assign_attrs(attrs)).get_suptitle()

    assert ": ε = 0.1 inside the root, 640" in title(eps=0.0, eps_root=0.1)
    assert ": ε = 0, 640" in title(eps=0.0, eps_root=0.0)
    assert ": ε = 1e-08, β₁ = 0.9, 640" in title("optax._src.alias", eps=1e-8, b1=0.9)
    assert ": eps = 1e-08, b1 = 0.9, 640" in title("mine", eps=1e-8, b1=0.9)


def test_the_title_says_where_epsilon_is(dataset):
    title = pj.phase_diagram(dataset).get_suptitle()
    assert "ε = 1e-08 outside the root" in title
    assert "η = 0.001" in title


def test_late_loss_is_a_second_panel(dataset):
    figure = pj.phase_diagram(dataset, late_loss=True)
    assert len(figure.axes) == 3  # regimes, late loss, its colour bar
    assert "decades" in figure.axes[2].get_ylabel()


def test_cell_edges_are_halfway_between_values(dataset):
    edges = cell_edges(dataset, "a")
    np.testing.assert_allclose(edges[1:-1] ** 2, dataset.a.values[1:] * dataset.a.values[:-1])
    assert len(edges) == 8


def test_three_axes_need_a_selection(dataset):
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
        mesh: Any = panel.collections[0]
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


def test_probabilities_are_drawn_with_their_values(slices):
    dataset = slices.sel(learning_rate=1e-3)
    figure = pj.probability_diagram(dataset)
    chances = pj.regime_probabilities(dataset)
    panels: list[Any] = [axes for axes in figure.axes if axes.get_title()]
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


def test_inferred_cells_are_pale_and_counted():
    """Only inferred cells are covered with transparent white."""
    axis = pj.log_axis(0.3, 300, 5)
    dataset = pj.sweep(
        pj.problems.quadratic(), pj.adam, pj.Grid(a=axis, b=axis), steps=640, windows=64, refine=33
    )
    figure = pj.phase_diagram(dataset, late_loss=True)
    pale: Any = next(c for c in figure.axes[0].collections if c.get_alpha())
    shown = ~np.ma.getmaskarray(pale.get_array()).reshape(33, 33)
    inferred = dataset.status.transpose("b", "a").values == 2
    assert 0 < inferred.sum() < inferred.size
    np.testing.assert_array_equal(shown, inferred)
    computed = inferred.size - inferred.sum()
    told = f"{computed:,} of 1,089 cells computed, the pale ones inferred"
    assert figure.get_suptitle().endswith(told)


def test_mini_batches_are_in_the_title():
    inputs = np.random.default_rng(0).standard_normal((16, 3))
    problem = pj.problems.network(inputs, inputs[:, 0], hidden=(2,), batch_size=4)
    grid = pj.Grid(a=[1.0, 10.0], learning_rate=[1e-3, 1e-2])
    dataset = pj.sweep(problem, pj.rmsprop, grid, steps=64, windows=8)
    assert "batches of 4, 64 steps" in pj.phase_diagram(dataset).get_suptitle()


def drawn_lines(panel) -> dict[Any, Any]:
    return {line.get_label(): line for line in panel.lines if line.get_label()[0] != "_"}


def test_borders_from_theory_are_drawn_over_the_plane():
    """For Adam on a quadratic, and on x⁶/6."""
    axis = pj.log_axis(1, 100, 3)
    epsilon = {"eps": 0.0, "eps_root": 1e-8}
    quadratic = pj.sweep(
        pj.problems.quadratic((1.0, 0.1)),
        pj.adam,
        pj.Grid(a=axis, b=axis, learning_rate=1 / 300, **epsilon),
        steps=64,
        windows=8,
    ).assign_attrs(problem_builtin="quadratic")
    border = float(pj.theory.adam_border(1.0, 1 / 300, 1e-8))
    line = drawn_lines(pj.phase_diagram(quadratic).axes[0])[f"theory: b = {border:.3g}"]
    np.testing.assert_array_equal(line.get_ydata(), border)
    assert (min(line.get_xdata()), max(line.get_xdata())) == pytest.approx((1, 100))
    exchanged = drawn_lines(pj.phase_diagram(quadratic, x="b").axes[0])
    np.testing.assert_array_equal(exchanged[f"theory: b = {border:.3g}"].get_xdata(), border)

    grid = pj.Grid(a=axis, b=axis, learning_rate=1e-3, eps=0.0)
    power = pj.sweep(pj.problems.power(6), pj.adam, grid, steps=64, windows=8)
    power = power.assign_attrs(problem_builtin="power")
    line = drawn_lines(pj.phase_diagram(power).axes[0])["theory: b = 0.75 a"]
    np.testing.assert_allclose(line.get_ydata(), pj.theory.power_border(line.get_xdata(), 6))
    strokes = [
        line.get_linestyle() for line in drawn_lines(pj.phase_diagram(power).axes[0]).values()
    ]
    assert len(set(strokes)) == len(strokes) == 2

    for known in (quadratic, power):
        attrs = known.attrs
        for own in (
            {"problem_builtin": "", "problem_arguments": {}},  # the user's own problem of that name
            {"problem_builtin": "", "problem": attrs["problem"]},
            {"optimizer_module": "mine"},  # the user's own optimizer named adam
        ):
            names = set(drawn_lines(pj.phase_diagram(known.assign_attrs(own)).axes[0]))
            assert names == ({"a = b"} if "problem_builtin" in own else set())
    mine = pj.phase_diagram(quadratic.assign_attrs(optimizer_module="mine")).axes[0]
    assert (mine.get_xlabel(), mine.get_ylabel()) == ("a", "b")  # their meaning is unknown


def test_lines_of_the_user_are_drawn_inside_the_plane(dataset):
    lines = {"b = 12 a": lambda a: 12 * a, "far": lambda a: 1e6 * a, "b = 3": lambda a: 3.0}
    figure = pj.phase_diagram(dataset, lines=lines)
    drawn = drawn_lines(figure.axes[0])
    assert set(drawn) == {"a = b", "b = 12 a", "b = 3"}
    np.testing.assert_allclose(drawn["b = 12 a"].get_ydata(), 12 * drawn["b = 12 a"].get_xdata())
    assert max(drawn["b = 12 a"].get_ydata()) <= 300
    assert "b = 12 a" in [text.get_text() for text in figure.axes[0].texts]
    with pytest.raises(ValueError, match=r"lines\['b'\] = \(2,\): must be one number for each"):
        pj.phase_diagram(dataset, lines={"b": lambda a: a[:2]})


@pytest.mark.parametrize(
    ("text", "axis", "expected"),
    [
        ("b = 12 a", "a", 24),
        ("b=12a", "a", 24),
        ("b = 12*a**0.5", "a", 12 * 2**0.5),
        ("b = 2a^2", "a", 8),
        ("b = 1e-3 a", "a", 2e-3),
        ("b = -(1 + a)(3 - a) / .5", "a", -6),
        ("b = 34", "a", 34),
        ("a = b/12", "b", 2 / 12),
        ("b = 1/0", "a", np.inf),
    ],
)
def test_formulas_are_evaluated(text, axis, expected):
    found, function = read_line(text, "a", "b")
    assert found == axis
    assert function(np.array([2.0])) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    ["b", "b = foo(a)", "b = a.real", "c = a", "b = a b", "b = True a", "b = 1j a", "b = ",
     "b = 'a'", "b = 2 c", "b = 12 a = 3", "b = a\0", "b = [a]", "b = a if a else a", "b == a",
     "b = __import__('os')", "b = " + "-" * 100_000 + "a", "b = " + "(" * 5_000,
     "b = " + "9" * 5_000],
)  # fmt: skip
def test_other_texts_than_formulas_are_refused_with_one_line(text, dataset):
    with pytest.raises(ValueError, match=r"^line = .*must be") as refused:
        pj.phase_diagram(dataset, lines=[text])
    assert "\n" not in str(refused.value)


def test_names_of_lines_do_not_overlap(dataset):
    lines = ["b = 1.1 a", "b = 1.2 a", "b = 1.3 a", "b = 90/a", "b = 300 a", "a = 0.4", "b = 0.4"]
    figure = pj.phase_diagram(dataset, lines=lines)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    boxes = [text.get_window_extent() for text in panel.texts]
    assert len(boxes) == 8
    for i, box in enumerate(boxes):
        assert panel.bbox.padded(2).containsx(box.x0)
        assert panel.bbox.padded(2).containsx(box.x1)
        assert panel.bbox.padded(2).containsy(box.y0)
        assert not box.count_overlaps(boxes[i + 1 :])


def test_names_with_dollar_signs_are_drawn(dataset, tmp_path):
    bad = r"$\badcmd$"
    shown = dataset.rename(a=bad).assign_attrs(problem=bad, optimizer=bad)
    shown.attrs["axes"] = {bad: dataset.attrs["axes"]["a"], "b": dataset.attrs["axes"]["b"]}
    for draw in DRAWN.values():
        figure = draw(shown, lines={bad: lambda a: a, "$b = a^2$": lambda a: a**2})
        figure.savefig(tmp_path / "f.png")


def test_small_numbers_are_written_without_e(dataset):
    small = dataset.assign_coords(a=("a", np.geomspace(1e-5, 1e-2, 7), {"scale": "log"}))
    figure = pj.phase_diagram(small)
    figure.draw_without_rendering()
    texts = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert {"10⁻⁵", "3·10⁻⁵", "0.001"} <= set(texts)


def with_names(slices, names):
    """The slices, as if the learning rate had been an axis of names."""
    name = "nesterov" if isinstance(names[0], bool) else "activation"
    attrs = copy.deepcopy(slices.attrs)
    rates = attrs["axes"].pop("learning_rate")
    attrs["axes"] = {name: rates | {"values": names, "scale": "category"}} | attrs["axes"]
    renamed = slices.isel(learning_rate=slice(len(names))).rename(learning_rate=name)
    found = renamed.assign_coords({name: (name, names, {"scale": "category"})})
    return found.assign_attrs(attrs)


@pytest.mark.parametrize("names", [[False, True], ["relu", "tanh", "gelu"]])
def test_axes_of_names_have_adjacent_cells_of_equal_size(slices, names):
    dataset = with_names(slices, names).sel(seed=0)
    name, texts = str(dataset.regime.dims[0]), [str(value) for value in names]
    plane = dataset.isel(a=2)
    np.testing.assert_array_equal(cell_edges(plane, name), np.arange(len(names) + 1) - 0.5)
    for x, y in ((name, "b"), ("b", name)):
        mark = {name: names[1], "b": 10.0}
        figure = pj.phase_diagram(plane, x=x, y=y, late_loss=True, marks=[mark])
        check_figure(figure)
        for panel in figure.axes[:2]:
            axis = panel.xaxis if x == name else panel.yaxis
            assert [label.get_text() for label in axis.get_ticklabels()] == texts
            assert axis.get_label_text() == name
        assert marked(figure)[0] == {(1.0, 10.0) if x == name else (10.0, 1.0)}
        mesh: Any = figure.axes[0].collections[0]
        colours = mesh.to_rgba(mesh.get_array()).reshape(*plane.regime.transpose(y, x).shape, 4)
        for at, code in np.ndenumerate(plane.regime.transpose(y, x).values):
            assert matplotlib.colors.same_color(colours[at], COLOURS[NAMES[code]])
    with pytest.raises(ValueError, match=f"line = 'b = 3': must be left out: {name} is an axis of"):
        pj.phase_diagram(plane, lines=["b = 3"])
    with pytest.raises(ValueError, match=f"mark = '{name}=what': unknown"):
        pj.phase_diagram(plane, marks=[{name: "what", "b": 1}])

    panels = pj.small_multiples(dataset, name).axes
    assert [panel.get_title() for panel in panels] == [f"{name} = {text}" for text in texts]
    assert f"{name} = {texts[1]}" in pj.phase_diagram(dataset.isel({name: 1})).get_suptitle()
    check_figure(pj.probability_diagram(with_names(slices, names).isel(a=1)))
    check_figure(pj.probability_diagram(dataset, name))
    check_figure(pj.comparison(plane, plane))
    other = plane.assign_coords({name: (name, names[::-1], {"scale": "category"})})
    with pytest.raises(ValueError, match=f"other = '{name}': must be an axis with the same values"):
        pj.comparison(plane, other)


@pytest.mark.parametrize("names", [[False, True], ["relu", "tanh", "gelu"]])
def test_cells_on_axes_of_names_are_found_by_name(slices, names):
    dataset = with_names(slices, names)
    name = str(dataset.regime.dims[0])
    assert f"{', '.join(map(str, names))}, {len(names)} values" in pj.summary(dataset)
    for value in (names[1], str(names[1])):
        found = pj.cell(dataset, {name: value, "a": 2, "b": 2, "seed": 1})
        cell = dataset.sel({name: names[1], "seed": 1}).isel(a=1, b=1)
        assert found[name] == names[1]
        assert found["regime"] == NAMES[int(cell.regime)]
        assert found["a"] == float(cell.a)
    for at in ({name: "what"}, {name: 1.0}, {"a": "relu"}, {"a": float("nan")}):
        with pytest.raises(ValueError, match=r"^at = "):
            pj.cell(dataset, {name: names[0], "a": 2, "b": 2, "seed": 1} | at)


def test_axes_are_equal_only_up_to_rounding(dataset):
    """Learning rates of 1e-12 and 1e-13 differ, and so do one cell and seven."""
    other = dataset.assign_coords(a=xr.DataArray(dataset.a.values * 1e-12, dims="a"))
    another = dataset.assign_coords(a=xr.DataArray(dataset.a.values * 1e-13, dims="a"))
    for one, two in ((other, another), (dataset, dataset.isel(a=[0]))):
        with pytest.raises(ValueError, match="other = 'a': must be an axis with the same values"):
            pj.comparison(one, two)


def test_marks_and_lines_of_the_command_line(small, tmp_path, monkeypatch, capsys):
    """They are drawn in the figure and the page; wrong ones are refused with one line."""
    monkeypatch.chdir(tmp_path)
    pj.sweep(**small, store="s.zarr")
    asked = ["--mark", "a=1,b=10", "--mark", "a=100,b=1", "--line", "b = 12 a", "--line", "a = 10"]
    assert cli.main(["plot", "s.zarr", *asked, "--output", "f.svg"]) == 0
    drawn = (tmp_path / "f.svg").read_text()
    for text in ("(1, 10)", "(100, 1)", "b = 12 a", "a = 10"):
        assert f"<!-- {text} -->" in drawn
    assert cli.main(["plot", "s.zarr", "--mark", "none", "--output", "f.svg"]) == 0
    assert "<!-- (" not in (tmp_path / "f.svg").read_text()
    assert cli.main(["view", "s.zarr", "--no-browser", *asked]) == 0
    page = (tmp_path / "phase_diagram.html").read_text()
    assert '"shown": [2, 8]' in page
    assert '"lines": ["a = b", "b = 12 a", "a = 10"]' in page
    capsys.readouterr()
    for wrong, told in (
        (["--line", "b = foo(a)"], "error: --line = 'b = foo(a)': must be b = a formula of a"),
        (["--line", "c = a"], "error: --line = 'c = a': must be b = a formula of a, or a ="),
        (["--mark", "a=1"], "error: --mark = 'a=1': must be a=...,b=..."),
        (["--mark", "a"], "error: --mark = 'a': must be NAME=VALUE,..."),
        (["--mark", "a=1,b=relu"], "error: --mark = 'b=relu': must be a finite number"),
        (["--at", "a=relu"], "error: --at = 'a=relu': must be a finite number"),
    ):
        for command in (["plot", "s.zarr"], ["view", "s.zarr", "--no-browser"]):
            assert cli.main([*command, *wrong]) == 2
            said = capsys.readouterr().err
            assert said.startswith(told)
            assert said.count("\n") == 1


TAKES_A_SWEEP = {
    "phase_diagram": pj.phase_diagram,
    "variable_map": lambda dataset: pj.variable_map(dataset, "margin"),
    "write_page": lambda dataset: pj.write_page(dataset, "never.html"),
    "safe_region": lambda dataset: pj.safe_region(dataset, "a"),
    "summary": pj.summary,
    "regime_probabilities": lambda dataset: pj.regime_probabilities(dataset, "a"),
    "border_dimension": pj.border_dimension,
}


@pytest.mark.parametrize("name", TAKES_A_SWEEP)
def test_what_is_no_sweep_or_has_no_cells_is_refused(name, dataset):
    with pytest.raises(ValueError, match=r"^dataset has no cells: select at least one value of b"):
        TAKES_A_SWEEP[name](dataset.isel(b=[]))
    with pytest.raises(ValueError, match=r"^dataset has no regime: give what"):
        TAKES_A_SWEEP[name](dataset.drop_vars("regime"))


def test_a_dataset_without_losses_is_not_labelled_again(dataset):
    with pytest.raises(ValueError, match=r"^dataset has no loss_max: give what"):
        pj.classify(dataset.drop_vars("loss_max"))
    with pytest.raises(ValueError, match=r"^dataset has no cells: select at least one value of b"):
        pj.classify(dataset.isel(b=[]))
