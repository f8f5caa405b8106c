"""The plane of decays δ = 1 − β₁ and γ = 1 − β₂: the optimizer, the borders, the figures."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.text
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import phasejax as pj
from phasejax import cli, theory
from phasejax.problems.problem import initial_params
from phasejax.regimes import NAMES

from .drawn import check_figure

PROBLEM = pj.problems.digits(samples=32, hidden=(8,))


def trajectory(optimizer, steps=200):
    """Parameters of every step, `[steps, size]`, in float64."""
    with jax.enable_x64(True):
        start = jax.tree.map(jnp.asarray, initial_params(PROBLEM, 0))

        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(PROBLEM.loss)(params), state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), ravel_pytree(params)[0]

        return np.asarray(jax.lax.scan(step, (start, optimizer.init(start)), length=steps)[1])


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("eps", "eps_root"), [(1e-8, 0.0), (0.0, 1e-6)])
@pytest.mark.parametrize("rate", [1e-3, optax.linear_schedule(0.0, 1e-3, 100)])
def test_adam_decays_is_adamw(rate, eps, eps_root, weight_decay):
    ours = pj.adam_decays(0.1, 0.01, rate, eps, eps_root, weight_decay)
    theirs = optax.adamw(rate, 0.9, 0.99, eps, eps_root, weight_decay=weight_decay)
    found = trajectory(ours)
    np.testing.assert_allclose(found, trajectory(theirs), rtol=1e-9, atol=1e-11)
    if weight_decay:
        assert not np.allclose(found, trajectory(pj.adam_decays(0.1, 0.01, rate, eps, eps_root)))


def test_adam_decays_is_adam_with_delta_as_b_eta_and_gamma_as_a_eta():
    np.testing.assert_allclose(
        trajectory(pj.adam_decays(0.1, 0.01, 1e-3)), trajectory(pj.adam(10, 100)), rtol=1e-10
    )


def test_decays_next_to_one_lose_no_digits_in_float32():
    """optax rounds 1 − β to a multiple of 6e-8, which is 16 % of 3.7e-7 after 100 steps."""
    gradients = np.random.default_rng(0).standard_normal(100)
    gradients[50:] *= 1e-3  # so that v has to be an average, and not the last square

    def last(optimizer, dtype):
        state, update = optimizer.init(jnp.zeros((), dtype)), np.nan
        for g in gradients.astype(dtype):
            update, state = optimizer.update(jnp.asarray(g), state)
        return float(update)

    with jax.enable_x64(True):
        exact = last(pj.adam_decays(3.7e-7, 3.7e-7, 1e-3, 0.0), "float64")
    ours = last(pj.adam_decays(3.7e-7, 3.7e-7, 1e-3, 0.0), "float32")
    theirs = last(optax.adam(1e-3, 1 - 3.7e-7, 1 - 3.7e-7, 0.0), "float32")
    assert abs(ours / exact - 1) < 1e-5
    assert abs(theirs / exact - 1) > 1e-3


@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("delta", 0.0, "delta = 0.0: must be greater than 0 and at most 1"),
        ("delta", 1.5, "delta = 1.5: must be greater than 0 and at most 1"),
        ("gamma", -1, "gamma = -1: must be greater than 0 and at most 1"),
        ("gamma", float("nan"), "gamma = nan: must be greater than 0 and at most 1"),
        ("learning_rate", 0.0, "learning_rate = 0.0: must be a finite number greater than 0"),
        ("eps", -1.0, "eps = -1.0: must be a finite number, at least 0"),
        ("weight_decay", -0.1, "weight_decay = -0.1: must be a finite number, at least 0"),
    ],
)
def test_bad_values_are_named(argument, value, said):
    with pytest.raises(ValueError, match=said):
        pj.adam_decays(**{"delta": 0.1, "gamma": 0.01, argument: value})


def test_weight_decay_can_be_an_axis():
    """Each value shrinks the parameters as optax's does."""
    decays = [0.0, 0.1, 1.0]
    grid = pj.Grid(weight_decay=decays, delta=0.1, gamma=0.01, learning_rate=1e-3)
    problem = pj.problems.quadratic((1.0, 0.1), (0.3, 0.2))
    found = pj.sweep(problem, pj.adam_decays, grid, steps=64, windows=8)
    others = pj.Grid(weight_decay=decays, b1=0.9, b2=0.99, learning_rate=1e-3, eps=1e-8)
    theirs = pj.sweep(problem, optax.adamw, others, steps=64, windows=8)
    np.testing.assert_allclose(found.loss_mean, theirs.loss_mean, rtol=1e-9)
    assert len(np.unique(found.loss_mean[:, -1])) == 3


def test_the_border_of_small_steps_is_the_limit_of_the_exact_one():
    for k in (3, 4, 6, 7.5):
        for eta in (1e-3, 1e-5, 1e-7):
            a = 3.0
            delta = float(theory.power_border(a, k)) * eta
            gamma = float(theory.power_decay_border(delta, k))
            assert gamma / (a * eta) == pytest.approx(1, abs=10 * eta)


def test_borders_over_decays_at_known_values():
    assert theory.power_decay_border(0.19, 8) == pytest.approx(1 - 0.9**3)  # β₁ = 0.9²
    np.testing.assert_allclose(theory.power_decay_border([0.1, 0.5, 1.0], 4), [0.1, 0.5, 1.0])
    np.testing.assert_allclose(theory.power_spike_line([0.1, 0.2], 4), [0.3, 0.6])
    assert theory.power_spike_line(0.07, 6) == pytest.approx(0.24)
    assert theory.quadratic_wall(0.1) == pytest.approx(0.013277, rel=1e-4)
    np.testing.assert_allclose(
        np.diff(np.log10(theory.quadratic_wall([0.01, 0.1]))), 3.07, rtol=1e-12
    )
    for call, said in (
        (lambda: theory.power_decay_border(0.1, 2), "k = 2: must be greater than 2"),
        (lambda: theory.power_decay_border([0.1, 0.0], 4), "delta = .*must be greater than 0 and"),
        (lambda: theory.power_spike_line(1.1, 4), "delta = 1.1"),
        (lambda: theory.quadratic_wall(0.0), "delta = 0.0"),
    ):
        with pytest.raises(ValueError, match=said):
            call()


@pytest.mark.parametrize("k", [4, 6])
def test_the_self_similar_solution_contracts_below_the_exact_border(k):
    """Eigenvalues of the step in scaled coordinates, by automatic differentiation at the solution.

    With v only decaying, x = rᵗX, m = r^((k−1)t)M and √v = √β₂ᵗ, a step maps (X, M) to (X', M').
    """
    for delta in (0.02, 0.1, 0.3, 0.6, 0.9):
        border = 1 - float(theory.power_decay_border(delta, k))
        for beta, contracts in ((border**0.98, True), (border**1.02, False)):
            root = np.sqrt(beta)
            r = root ** (1 / (k - 2))
            q = r ** (k - 1)

            def step(z, q=q, root=root, r=r, delta=delta):
                x, m = z
                m = ((1 - delta) * m + delta * x ** (k - 1)) / q
                return jnp.stack([(x - m * q / root) / r, m])

            # At the fixed point, m' q/√β₂ = (1 − r) x and m (q − β₁) = δ x^(k−1).
            scale = (1 - r) * root / q * (q - (1 - delta)) / delta
            x = scale ** (1 / (k - 2))
            at = np.array([x, delta * x ** (k - 1) / (q - (1 - delta))])
            with jax.enable_x64(True):
                np.testing.assert_allclose(step(at), at, rtol=1e-9)
                multipliers = np.linalg.eigvals(jax.jacfwd(step)(jnp.asarray(at)))
            assert (np.abs(multipliers).max() < 1) == contracts


@pytest.mark.parametrize("k", [4, 6])
def test_adam_converges_on_powers_up_to_the_exact_border(k):
    """With ε = 0 every column converges below the border, to within a cell, and nowhere above."""
    grid = pj.Grid(
        delta=pj.log_axis(0.02, 0.6, 12),
        gamma=pj.log_axis(0.02, 0.9, 16),
        learning_rate=1e-3,
        eps=0.0,
    )
    dataset = pj.sweep(pj.problems.power(k), pj.adam_decays, grid, steps=60_000, windows=64)
    converged = dataset["regime"].values == NAMES.index("converged")
    count = converged.sum(axis=1)
    ends = np.arange(converged.shape[1]) < count[:, None]
    np.testing.assert_array_equal(converged, ends)  # all below one γ, none above it
    border = theory.power_decay_border(dataset["delta"].values, k)
    expected = np.searchsorted(dataset["gamma"].values, border)
    assert np.abs(count - expected).max() <= 1
    assert np.mean(count == expected) > 0.75


def test_the_exact_border_is_nearer_than_that_of_small_steps_where_steps_are_large():
    """On x⁶ at δ from 0.3 to 0.6, where the two are 4 to 19 % apart."""
    grid = pj.Grid(
        delta=pj.log_axis(0.3, 0.6, 6),
        gamma=pj.linear_axis(0.3, 0.9, 61),
        learning_rate=1e-3,
        eps=0.0,
    )
    dataset = pj.sweep(pj.problems.power(6), pj.adam_decays, grid, steps=20_000, windows=64)
    converged = dataset["regime"].values == NAMES.index("converged")
    last = np.array([dataset["gamma"].values[row].max() for row in converged])
    delta = dataset["delta"].values
    assert np.abs(last - theory.power_decay_border(delta, 6)).max() < 0.021  # two cells
    assert (delta / theory.power_border(1.0, 6) - last).min() > 0.015


@pytest.fixture(scope="module")
def plane():
    """A sweep of x⁶ over δ and γ."""
    decays = pj.log_axis(0.003, 0.6, 8)
    grid = pj.Grid(delta=decays, gamma=decays, learning_rate=1e-3, eps=0.0)
    return pj.sweep(pj.problems.power(6), pj.adam_decays, grid, steps=2_000, windows=64)


def drawn_lines(figure) -> dict[Any, Any]:
    """Lines of the first panel by their names."""
    lines = figure.axes[0].lines
    return {line.get_label(): line for line in lines if line.get_label()[0] != "_"}


def ticks(axis):
    """Texts of the tick labels inside an axis, by rising place on the screen."""
    low, high = axis.get_view_interval()
    inside = [(t.get_position(), t.get_text()) for t in axis.get_ticklabels()]
    which = 0 if axis.axis_name == "x" else 1
    places = [
        (p[which], text) for p, text in inside if min(low, high) <= p[which] <= max(low, high)
    ]
    return [text for _, text in sorted(places, reverse=bool(low > high))]


def test_axes_are_labelled_as_one_minus_beta_or_as_beta(plane):
    figure = pj.phase_diagram(plane)
    check_figure(figure)
    panel = figure.axes[0]
    assert panel.get_xlabel().startswith("δ = 1 − β₁")
    assert panel.get_ylabel().startswith("γ = 1 − β₂")
    assert ticks(panel.xaxis) == ["0.003", "0.01", "0.03", "0.1", "0.3"]
    figure = pj.phase_diagram(plane, beta=True)
    check_figure(figure)
    panel = figure.axes[0]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("m-decay β₁", "v-decay β₂")
    assert ticks(panel.xaxis) == ticks(panel.yaxis) == ["0.7", "0.9", "0.97", "0.99", "0.997"]
    assert panel.get_xlim()[0] > panel.get_xlim()[1]
    assert panel.get_ylim()[0] > panel.get_ylim()[1]


@pytest.mark.parametrize("beta", [False, True])
def test_lines_of_theory_are_on_the_plane_with_their_names_inside(plane, beta):
    lines = ["gamma = 3.7 delta", "gamma = delta / 12", "gamma = 15.6 delta**3.07"]
    figure = pj.phase_diagram(plane.assign_attrs(problem_builtin="power"), lines=lines, beta=beta)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    drawn = drawn_lines(figure)
    named = {"γ = 3.7 δ", "γ = δ / 12", "γ = 15.6 δ^3.07"}
    assert set(drawn) == {"β₁ = β₂", "theory: β₂ = β₁^(4/3)", *named}
    border = drawn["theory: β₂ = β₁^(4/3)"]
    np.testing.assert_allclose(
        border.get_ydata(), theory.power_decay_border(border.get_xdata(), 6), rtol=1e-12
    )
    boxes = [text.get_window_extent() for text in panel.texts]
    assert len(boxes) == 5
    for i, box in enumerate(boxes):
        assert panel.bbox.padded(2).containsx(box.x0)
        assert panel.bbox.padded(2).containsx(box.x1)
        assert panel.bbox.padded(2).containsy(box.y0)
        assert panel.bbox.padded(2).containsy(box.y1)
        assert not box.count_overlaps(boxes[i + 1 :])


def test_on_a_quartic_the_border_is_that_of_equal_decays_and_on_a_quadratic_it_is_upright():
    decays = pj.log_axis(0.01, 0.6, 3)
    how: dict[str, Any] = {"steps": 64, "windows": 8}
    grid = pj.Grid(delta=decays, gamma=decays, learning_rate=1e-3, eps=0.0)
    quartic = pj.sweep(pj.problems.power(4), pj.adam_decays, grid, **how)
    assert list(drawn_lines(pj.phase_diagram(quartic))) == ["theory: β₁ = β₂"]
    grid = pj.Grid(delta=decays, gamma=decays, learning_rate=1 / 300, eps=0.0, eps_root=1e-8)
    quadratic = pj.sweep(pj.problems.quadratic((1.0, 0.1)), pj.adam_decays, grid, **how)
    at = float(theory.adam_border(1.0, 1 / 300, 1e-8)) / 300
    drawn = drawn_lines(pj.phase_diagram(quadratic))
    np.testing.assert_allclose(drawn[f"theory: δ = {at:.3g}"].get_xdata(), at)
    decayed = quadratic.assign_attrs(fixed=quadratic.attrs["fixed"] | {"weight_decay": 0.1})
    assert list(drawn_lines(pj.phase_diagram(decayed))) == ["β₁ = β₂"]


def test_weight_decay_is_in_the_title_if_there_is_any(plane):
    assert "weight decay" not in pj.phase_diagram(plane).get_suptitle()
    decayed = plane.assign_attrs(fixed=plane.attrs["fixed"] | {"weight_decay": 0.1})
    assert "weight decay = 0.1" in pj.phase_diagram(decayed).get_suptitle()


def test_every_figure_shows_decays(plane):
    slices = plane.expand_dims(seed=[0, 1])
    slices.attrs["axes"] = [*plane.attrs["axes"], "seed"]
    for figure in (
        pj.variable_map(plane, "late_level", beta=True),
        pj.comparison(plane, plane, beta=True),
        pj.small_multiples(slices, "seed", beta=True),
        pj.probability_diagram(slices, beta=True),
    ):
        assert "v-decay β₂" in [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def test_beta_needs_an_axis_of_decays():
    grid = pj.Grid(a=[1.0, 10.0], b=[1.0, 10.0])
    dataset = pj.sweep(pj.problems.quadratic(), pj.adam, grid, steps=64, windows=8)
    with pytest.raises(ValueError, match="beta = True: must be left out: the axes are a and b"):
        pj.phase_diagram(dataset, beta=True)


def test_the_plane_of_decays_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sweep = "sweep --problem power --problem-arg k=6 --optimizer adam_decays --eps 0 --steps 512 "
    assert cli.main(f"{sweep} --delta 0.01:0.5:3 --gamma 0.01:0.5:4 --store s.zarr".split()) == 0
    dataset = pj.open_dataset("s.zarr")
    np.testing.assert_allclose(dataset["delta"], np.geomspace(0.01, 0.5, 3))
    assert dataset.sizes["gamma"] == 4
    assert (
        cli.main(["plot", "s.zarr", "--beta", "--line", "gamma = 3 delta", "--output", "f.svg"])
        == 0
    )
    drawn = (tmp_path / "f.svg").read_text()
    for text in ("v-decay β₂", "γ = 3 δ", "0.97", "theory: β₂ = β₁^(4/3)"):
        assert f"<!-- {text} -->" in drawn
    assert cli.main(["view", "s.zarr", "--no-browser", "--line", "gamma = 3 delta"]) == 0
    page = (tmp_path / "phase_diagram.html").read_text()
    names = json.dumps(["β₁ = β₂", "theory: β₂ = β₁^(4/3)", "γ = 3 δ"])
    assert f'"lines": {names}' in page
    capsys.readouterr()
    wrong = f"{sweep} --delta 0.01:1.5:3 --gamma 0.01:0.5:4 --store t.zarr"
    assert cli.main(wrong.split()) == 2
    assert "--delta = 1.5: must be greater than 0 and at most 1" in capsys.readouterr().err


def crossings(k, delta, gamma, steps):
    """Steps at which the preconditioned curvature of |x|ᵏ/k passes its threshold, in NumPy."""
    x, m, v, before, found = 1.0, 0.0, 0.0, 0.0, []
    for t in range(1, steps + 1):
        g = x ** (k - 1)
        m, v = m + delta * (g - m), v + gamma * (g * g - v)
        corrected = np.sqrt(v / (1 - (1 - gamma) ** t))
        preconditioner = (1 - (1 - delta) ** t) * corrected
        ratio = 1e-3 * (k - 1) * x ** (k - 2) / preconditioner * delta / (2 * (2 - delta))
        found += [t] if ratio > 1 >= before else []
        before = ratio
        x -= 1e-3 * m / (1 - (1 - delta) ** t) / corrected
    return np.array(found)


def test_the_period_of_crossings_is_that_of_a_plain_loop():
    """In the wedge of spikes of x⁴, until rounding has grown; below the border there is none."""
    gammas, steps = [0.05, 0.15, 0.2], 1408
    dataset = pj.sweep(
        pj.problems.power(4),
        pj.adam_decays,
        pj.Grid(gamma=gammas, delta=0.1, learning_rate=1e-3, eps=0.0),
        steps=steps,
        windows=22,
        probes=[pj.probes.SpikePredictor(sustained=1)],
    )
    counts = np.array([np.sum(crossings(4, 0.1, gamma, steps) > steps / 2) for gamma in gammas])
    assert counts[0] == 0
    assert counts[1:].min() > 9
    found = dataset["crossing_period"]
    np.testing.assert_array_equal(found, [np.nan, *(steps / 2 / counts[1:])])
    assert found.attrs["units"] == "steps"


def test_two_crossings_in_the_last_half_are_no_period():
    crossed = np.array([[5.0, 0, 2, 0], [5, 0, 2, 1], [0, 0, np.nan, np.nan]])
    found = pj.probes.SpikePredictor().describe(
        {"predictor_crossings": crossed}, np.array([0, 10, 20, 30, 40])
    )
    np.testing.assert_array_equal(found["crossing_period"], [np.nan, 20 / 3, np.nan])
