"""Flows against scipy, closed forms and diffrax's own loop; what can't be solved is said."""

import dataclasses
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import wrightomega

import phasejax as pj
from phasejax import theory
from phasejax.engine.adaptive import run_adaptive
from phasejax.engine.spec import Spec
from phasejax.engine.tuning import choose_placement
from phasejax.ode import steppers
from phasejax.regimes import NAMES, UNRESOLVED

TIMES = np.array([0.1, 0.5, 1.0, 2.0])


def rosenbrock_gradient(x):
    valley = x[1] - x[0] ** 2
    return np.array([-400 * x[0] * valley - 2 * (1 - x[0]), 200 * valley])


PROBLEMS = {
    "quadratic": (pj.problems.quadratic((1.0, 0.1), (1.0, -0.7)), lambda x: x * [1.0, 0.1]),
    "power": (pj.problems.power(4, (1.2,)), lambda x: x**3),
    "rosenbrock": (pj.problems.rosenbrock(start=(-0.5, 0.8)), rosenbrock_gradient),
}


def adam_by_hand(t, y, gradient, a, b, eps, eps_root):
    x, m, v = np.split(y, 3)
    g = gradient(x)
    m_hat, v_hat = (m / -np.expm1(-b * t), v / -np.expm1(-a * t)) if t > 0 else (g, g**2)
    x_dot = -m_hat / (np.sqrt(np.maximum(v_hat, 0) + eps_root) + eps)
    return np.concatenate([x_dot, b * (g - m), a * (g**2 - v)])


def rmsprop_by_hand(t, y, gradient, a, eps, eps_root):
    x, v = np.split(y, 2)
    g = gradient(x)
    x_dot = -g / (np.sqrt(np.maximum(v, 0) + eps_root) + eps)
    return np.concatenate([x_dot, a * (g**2 - v)])


def signgd_by_hand(t, x, gradient, eps):
    g = gradient(x)
    return -g / (np.abs(g) + eps)


FLOWS = {
    "adam": (pj.adam_flow, adam_by_hand, 3),
    "rmsprop": (pj.rmsprop_flow, rmsprop_by_hand, 2),
    "signgd": (pj.signgd_flow, signgd_by_hand, 1),
}


def random_cell(name, rng) -> dict[str, Any]:
    """Hyper-parameters of a flow, ε inside the root in half of the cells."""
    log = lambda low, high: float(np.exp(rng.uniform(np.log(low), np.log(high))))  # noqa: E731
    if name == "signgd":
        return {"eps": log(1e-4, 0.1)}
    inside = rng.random() < 0.5
    root = {"eps": 0.0 if inside and name == "adam" else log(1e-3, 0.1)}
    root["eps_root"] = log(1e-6, 0.1) if inside else 0.0
    if name == "rmsprop":
        return {"a": log(0.3, 100), **root}
    return {"a": log(0.3, 100), "b": log(0.3, 100), **root}


def by_scipy(name, problem, cell, times):
    """Parameters `[times]` by LSODA, from a right-hand side that is written out in NumPy."""
    _, by_hand, parts = FLOWS[name]
    start = np.asarray(PROBLEMS[problem][0].config["start"])
    y = np.concatenate([start, np.zeros((parts - 1) * len(start))])
    arguments = PROBLEMS[problem][1], *cell.values()
    solution = solve_ivp(
        by_hand, (0, times[-1]), y, "LSODA", times, args=arguments, rtol=1e-10, atol=1e-14
    )
    return solution.y[: len(start)].T


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.usefixtures("traced_once")
def test_twenty_random_cells_agree_with_scipy(name, problem, rng):
    for _ in range(20):
        cell = random_cell(name, rng)
        own = pj.trajectory(PROBLEMS[problem][0], FLOWS[name][0], times=TIMES, **cell)
        expected = by_scipy(name, problem, cell, TIMES)
        np.testing.assert_allclose(own, expected, atol=1e-6, rtol=0, err_msg=f"{cell}")


def test_a_sweep_keeps_the_statistics_of_the_same_solution():
    """All cells in one batch, each with a step of its own; against 2,000 points by scipy."""
    a, b = [0.5, 3.0, 20.0], [1.0, 10.0, 60.0]
    grid = pj.Grid(a=a, b=b, eps=0.0, eps_root=1e-3)
    problem, _ = PROBLEMS["quadratic"]
    dataset = pj.sweep(problem, pj.adam_flow, grid, time=2.0, windows=20)
    times = np.linspace(0, 2, 2001)
    for cell in [{"a": x, "b": y} for x in a for y in b]:
        path = by_scipy("adam", "quadratic", {**cell, "eps": 0.0, "eps_root": 1e-3}, times)
        loss = 0.5 * (path**2 @ [1.0, 0.1])
        windows = np.stack([loss[100 * w : 100 * w + 101] for w in range(20)])
        found = dataset.sel(cell)
        np.testing.assert_allclose(found.loss_max, windows.max(1), rtol=2e-3)
        np.testing.assert_allclose(found.loss_min, windows.min(1), rtol=0.1, atol=1e-6)
        mean = ((windows[:, 1:] + windows[:, :-1]) / 2).mean(1)
        np.testing.assert_allclose(found.loss_mean, mean, rtol=2e-3)
        np.testing.assert_allclose(found.log10_loss_mean, np.log10(windows).mean(1), atol=0.05)
    assert (dataset.end_time == 2.0).all()
    np.testing.assert_allclose(dataset.time, np.arange(20) / 10)


@pytest.mark.parametrize("eps", [1e-2, 1e-4, 1e-8])
def test_signgd_flow_on_a_quadratic_has_its_closed_form_extinction_included(eps):
    """x + (ε/λ) ln x falls at unit speed, so x = (ε/λ) ω((x₀ − t)λ/ε + ln(x₀λ/ε)), with Wright's
    ω, which is max(x₀ − t, 0) in the limit of ε = 0.
    """
    curvatures, start = (1.0, 0.3), (1.0, 0.5)
    times = np.array([0.2, 0.45, 0.8, 0.97, 1.5, 2.0])
    problem = pj.problems.quadratic(curvatures, start)
    curvatures, start = np.array(curvatures), np.array(start)
    found = pj.trajectory(problem, pj.signgd_flow, times=times, eps=eps)
    width = eps / curvatures
    exact = width * wrightomega(np.log(start / width) + (start - times[:, None]) / width)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-7)
    limit = np.maximum(start - times[:, None], 0)
    np.testing.assert_allclose(found, limit, rtol=0, atol=width.max() * np.log(1 / eps))
    loss = 0.5 * found**2 @ curvatures
    after = times > theory.signgd_extinction_time(0.5 * start**2 @ curvatures, 0.6)
    assert np.all(loss[after] <= 2 * eps**2)


@pytest.mark.parametrize("method", ["bosh3", "tsit5", "dopri5", "dopri8"])
def test_steps_are_those_of_diffrax(method):
    """Same method, tolerances and first step: the same number of steps, the same solution."""
    problem, eps = PROBLEMS["rosenbrock"][0], 0.05
    flow = pj.Flow(pj.signgd_flow, solver=method, rtol=1e-7, atol=1e-9)
    grid = pj.Grid(eps=[eps])
    dataset = pj.sweep(problem, dataclasses.replace(flow), grid, time=1.0, windows=8)
    own = pj.trajectory(problem, flow, times=[1.0], eps=eps)[0]
    with jax.enable_x64(True):
        field = lambda t, x, args: pj.signgd_flow(eps).velocity(  # noqa: E731
            t, jax.grad(problem.loss)(x), ()
        )[0]
        start = jnp.array(problem.config["start"])
        scale = 1e-9 + 1e-7 * jnp.abs(start)
        first = 0.01 * steppers.rms(start / scale) / steppers.rms(field(0, start, None) / scale)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            steppers.solver(method)(),
            0.0,
            1.0,
            first,
            start,
            stepsize_controller=diffrax.PIDController(rtol=1e-7, atol=1e-9),
        )
    # Dopri8's error estimate is rounding in the first steps, and rounding chooses the next ones.
    same = 1e-6 if method == "dopri8" else 1e-11
    assert solution.ys is not None
    np.testing.assert_allclose(own, solution.ys[0], rtol=same)
    extra = float(dataset.solver_steps[0]) - int(solution.stats["num_steps"])
    assert 0 <= extra <= 2 * 8  # steps cut at the windows' ends are all there is more


@pytest.mark.parametrize("method", steppers.IMPLICIT)
def test_implicit_steps_are_those_of_diffrax(method):
    """One step of a stiff and nonlinear equation, to what Newton's method leaves."""

    def slope(t, y):
        return jnp.array([-1e4 * (y[0] - jnp.cos(t)), y[0] ** 2 - y[1] ** 3])

    with jax.enable_x64(True):
        y, t, t1 = jnp.array([0.9, 0.5]), jnp.array(0.3), jnp.array(0.301)
        scale = jnp.full(2, 1e-10)
        own = steppers.take(method, slope, t, t1, y, slope(t, y), scale)
        newton = diffrax.VeryChord(rtol=1e-6, atol=1e-6)
        solver = steppers.solver(method)(root_finder=newton, root_find_max_steps=100)
        term = diffrax.ODETerm(lambda t, y, args: slope(t, y))
        state = jnp.array(False), slope(t, y)
        expected, *_ = solver.step(term, t, t1, y, None, state, False)
    np.testing.assert_allclose(own.y, expected, rtol=1e-8)
    by_hand = lambda t, y: np.array([-1e4 * (y[0] - np.cos(t)), y[0] ** 2 - y[1] ** 3])  # noqa: E731
    exact = solve_ivp(by_hand, (0.3, 0.301), [0.9, 0.5], "Radau", rtol=1e-12, atol=1e-14).y[:, -1]
    assert np.all(np.abs(own.y - exact) <= 2 * np.abs(own.error))


def test_the_start_is_exact():
    """At t = 0, where m and v are 0/0, Adam's flow moves at −∇f/√(∇f² + ε), and soon after too."""
    field = pj.adam_flow(a=7.0, b=3.0, eps_root=0.1)
    with jax.enable_x64(True):
        x = jnp.array([0.3, -2.0])
        state = field.init(x)
        velocity, _ = field.velocity(jnp.array(0.0), x, state)
        np.testing.assert_allclose(velocity, -x / np.sqrt(x**2 + 0.1), rtol=1e-15)
        soon = type(state)(3.0 * 1e-8 * x, 7.0 * 1e-8 * x**2)
        later, _ = field.velocity(jnp.array(1e-8), x, soon)
    np.testing.assert_allclose(later, velocity, rtol=1e-7)


def test_cells_that_turn_stiff_go_on_with_implicit_steps():
    """RMSprop comes to rest at the rate λ/ε = 1e8: explicit steps alone never arrive."""
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    grid = pj.Grid(a=[3.0, 10.0, 100.0], eps=1e-8)
    dataset = pj.sweep(problem, pj.rmsprop_flow, grid, time=10.0)
    assert np.isfinite(dataset.implicit_from).all()
    assert (dataset.solver_steps < 5_000).all()
    assert all(NAMES[code] == "converged" for code in dataset.regime.values)
    explicit = pj.Flow(pj.rmsprop_flow, solver="tsit5", max_steps=5_000)
    short = pj.sweep(problem, explicit, grid, time=10.0)
    assert (short.regime == UNRESOLVED).all()
    assert (short.solver_steps == 5_000).all()
    explicit = dataclasses.replace(explicit, solver="kvaerno5")
    implicit = pj.sweep(problem, explicit, grid, time=10.0)
    early = dataset.loss_max.values > 1e-9
    np.testing.assert_allclose(
        implicit.loss_max.values[early], dataset.loss_max.values[early], rtol=1e-3
    )


def test_a_cell_that_uses_up_its_steps_is_unresolved_and_the_others_are_not(tmp_path):
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    grid = pj.Grid(a=[1.0, 100.0], b=[1.0, 3.0, 100.0], eps_root=1e-8)
    flow = pj.Flow(pj.adam_flow, max_steps=4_000)
    how: dict[str, Any] = {"time": 10.0, "windows": 32, "block_size": 2}
    dataset = pj.sweep(problem, flow, grid, **how, store=tmp_path / "s")
    unresolved = dataset.regime.values == UNRESOLVED
    assert 0 < unresolved.sum() < 6
    np.testing.assert_array_equal(unresolved, dataset.end_time.values < 10.0)
    np.testing.assert_array_equal(unresolved, dataset.solver_steps.values == 4_000)
    np.testing.assert_array_equal(unresolved, np.isnan(dataset.loss_max.values[..., -1]))
    assert pj.regime_counts(dataset)["unresolved"] == unresolved.sum()
    meanings = dataset.regime.attrs["flag_meanings"].split()
    assert meanings[UNRESOLVED] == "unresolved"
    assert dataset.attrs["max_steps"] == 4_000
    assert dataset.attrs["time"] == 10.0
    assert "unresolved" in pj.summary(dataset)
    assert pj.classify(dataset).regime.equals(dataset.regime)
    whole = pj.sweep(problem, pj.adam_flow, grid, **how)
    resolved = ~unresolved
    np.testing.assert_array_equal(
        dataset.loss_max.values[resolved], whole.loss_max.values[resolved]
    )
    again = pj.sweep(problem, flow, grid, **how, store=tmp_path / "s", resume=True)
    assert again.regime.equals(dataset.regime)
    other = dataclasses.replace(flow, rtol=1e-7)
    with pytest.raises(ValueError, match=r"rtol differs, 1e-08 in the store and 1e-07 now"):
        pj.sweep(problem, other, grid, **how, store=tmp_path / "s", resume=True)


def test_a_field_that_breaks_down_neither_hangs_nor_raises():
    """x' = x² leaves every bound at t = 1; the log of a negative number is none from t = 1 on."""

    def blow_up(rate):
        return pj.VectorField(lambda x: (), lambda t, g, s: (rate * g * g, ()))

    def broken(rate):
        return pj.VectorField(
            lambda x: (), lambda t, g, s: (-rate * g * jnp.sqrt(jnp.where(t < 1, 1.0, -1.0)), ())
        )

    problem = pj.problems.quadratic((1.0,), (1.0,))
    for field in (blow_up, broken):
        dataset = pj.sweep(problem, field, pj.Grid(rate=[0.1, 1.0]), time=1.5)
        assert dataset.end_time[1] == pytest.approx(1.0, abs=1e-3)
        assert int(dataset.regime[1]) == UNRESOLVED
        assert int(dataset.solver_steps[1]) < 10_000
    assert int(pj.sweep(problem, blow_up, pj.Grid(rate=[0.1, 1.0]), time=1.5).regime[0]) >= 0


def test_progress_counts_the_time_of_every_cell_to_the_end():
    """Unresolved ones included, and never backwards."""
    grid = pj.Grid(a=[1.0, 100.0], b=[1.0, 3.0, 100.0], eps_root=1e-8)
    spec = Spec(
        problem=pj.problems.quadratic((1.0, 0.1), (1.0, 1.0)),
        dynamics=pj.Flow(pj.adam_flow, max_steps=4_000),
        grid=grid,
        horizon=10.0,
        windows=32,
        dtype="float64",
    )
    told = []
    with jax.enable_x64(True):
        _, solved = run_adaptive(spec, choose_placement(spec, 2), np.arange(6), told.append)
    assert (solved.end_time < 10).any()
    assert len(told) > 3
    assert min(told) >= 0
    assert sum(told) == pytest.approx(6 * 10.0)


def test_above_the_floor_a_loss_is_the_flows_and_labels_do_not_look_below_it():
    """A thousand times tighter tolerances change nothing above it, and much below it."""
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    grid = pj.Grid(a=[0.5, 5.0, 50.0], b=[5.0, 30.0, 200.0], eps_root=1e-6)
    dataset = pj.sweep(problem, pj.adam_flow, grid, time=20.0)
    tight = pj.Flow(pj.adam_flow, solver="dopri8", rtol=1e-11, atol=1e-20, max_steps=10**6)
    exact = pj.sweep(problem, tight, grid, time=20.0)
    assert (exact.end_time == 20.0).all()
    floor = dataset.loss_floor.values
    assert np.all((floor > 1e-27) | (floor == 0))
    assert np.all(floor < 1e-20)
    assert np.count_nonzero(floor) >= 5
    above = exact.loss_max.values > 10 * floor[..., None]
    ratio = np.log10(dataset.loss_max.values / exact.loss_max.values)
    assert np.abs(ratio[above]).max() < 0.05
    assert np.abs(ratio[~above]).max() > 1
    low = np.log10(floor[floor > 0])
    assert np.all(dataset.late_level.values[floor > 0] >= low - 1e-9)
    loose = pj.sweep(problem, pj.Flow(pj.adam_flow, rtol=1e-7, atol=1e-10), grid, time=20.0)
    assert np.all(loose.loss_floor.values >= floor)
    assert np.median(loose.loss_floor.values) > 1e-20


def test_other_tolerances_times_and_grids_compile_nothing():
    problem = pj.problems.quadratic((1.0, 0.1), (1.0, 1.0))
    grid = pj.Grid(a=[1.0, 2.0, 4.0], eps=[1e-2, 1e-1], eps_root=1e-8)
    pj.sweep(problem, pj.rmsprop_flow, grid, time=0.5, windows=16)
    traced = []

    def listener(event, duration_secs, **_):
        traced.append(event)

    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        other = pj.Flow(pj.rmsprop_flow, rtol=1e-7, atol=1e-12, max_steps=10_000)
        grid = pj.Grid(a=[1.5, 3.0, 9.0], eps=[2e-2, 3e-1], eps_root=1e-7)
        pj.sweep(pj.problems.quadratic((3.0, 0.5), (1.0, 1.0)), other, grid, time=0.7, windows=16)
        assert not [name for name in traced if "backend_compile" in name]
        jax.jit(lambda x: 3 * x + 7)(np.arange(5))  # the listener hears a compilation
        assert [name for name in traced if "backend_compile" in name]
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


def test_flows_of_networks_and_seeds_sweep_like_optimizers():
    inputs = np.random.default_rng(0).standard_normal((16, 8))

    def network(params):
        outputs = jnp.tanh(inputs @ params["w"]) @ params["v"]
        return jnp.mean((outputs - inputs[:, 0]) ** 2)

    def start(key):
        w, v = jax.random.split(key)
        return {"w": jax.random.normal(w, (8, 10)) / 3, "v": jax.random.normal(v, (10,)) / 3}

    problem = pj.Problem(network, start)
    grid = pj.Grid(seed=[0, 1], a=[1.0, 10.0], eps_root=1e-2)
    flow = pj.Flow(pj.rmsprop_flow, rtol=1e-6, atol=1e-10)
    dataset = pj.sweep(problem, flow, grid, time=1.0, windows=16)
    assert dataset.loss_min.dims == ("seed", "a", "window")
    assert np.isnan(dataset.implicit_from).all()  # no linear system of a network's size
    path = pj.trajectory(problem, flow, times=[1.0], seed=1, a=10.0, eps_root=1e-2)
    with jax.enable_x64(True):
        loss = float(problem.loss(jax.tree.map(lambda x: jnp.asarray(x[0]), path)))
    last = dataset.sel(seed=1, a=10.0).isel(window=-1)
    assert float(last.loss_min) <= loss * (1 + 1e-6)
    assert float(last.loss_max) >= loss * (1 - 1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": None}, "time is missing"),
        ({"time": 0.0}, "time = 0.0: must be a finite number greater than 0"),
        ({"steps": 100}, "steps = 100: must be left out for a flow"),
        ({"dtype": "float32"}, "dtype = 'float32': must be 'float64' for a flow"),
        ({"rtol": 1e-3}, "rtol = 0.001: must be from 2e-15 to 1e-06"),
        ({"atol": 0.0}, "atol = 0.0"),
        ({"max_steps": 0}, "max_steps = 0"),
        (
            {"max_steps": 2**31},
            "max_steps = 2147483648: must be an integer",
        ),
        ({"solver": "tsit"}, "did you mean 'tsit5'"),
        ({"a": -1.0}, "a = -1.0"),
        ({"c": 1.0}, "hyper-parameter of adam_flow = 'c'"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(change, message, on_advance):
    on_advance(lambda *_: pytest.fail("ran"))
    of_flow = {k: change.pop(k) for k in ("rtol", "atol", "max_steps", "solver") if k in change}
    of_sweep: dict[str, Any] = {"time": 1.0}
    of_sweep |= {k: change.pop(k) for k in ("time", "steps", "dtype") if k in change}
    grid = pj.Grid(**({"a": 1.0, "b": [1.0, 2.0]} | change))
    with pytest.raises(ValueError, match=message):
        pj.sweep(pj.problems.quadratic(), pj.Flow(pj.adam_flow, **of_flow), grid, **of_sweep)


def test_optimizers_and_flows_are_not_taken_for_each_other():
    grid = pj.Grid(a=[1.0, 2.0], b=1.0)
    with pytest.raises(TypeError, match=r"adam_flow returned VectorField.*needs its time"):
        pj.sweep(pj.problems.quadratic(), pj.adam_flow, grid)
    with pytest.raises(TypeError, match=r"adam returned .*must return a phasejax.VectorField"):
        pj.sweep(pj.problems.quadratic(), pj.adam, grid, time=1.0)
    with pytest.raises(ValueError, match=r"time = 1.0: must be left out for an optimizer"):
        pj.sweep(pj.problems.quadratic(), pj.Optimizer(pj.adam), grid, time=1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one of them"),
        ({"times": [1.0], "steps": [1]}, "give one of them"),
        ({"times": [2.0, 1.0]}, r"times = \[2.0, 1.0\]: must be a list of ascending numbers"),
        ({"steps": [-1]}, "steps = -1: must be an integer, at least 0"),
    ],
)
def test_a_trajectory_wants_ascending_steps_or_times(arguments, message):
    with pytest.raises(ValueError, match=message):
        pj.trajectory(pj.problems.quadratic(), pj.adam_flow, a=1.0, b=1.0, **arguments)
